"""What a server allows, in one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass

from ...base.errors import SecateurError

LOCAL = ("", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Limits:
    """Bounds on what one client may ask, and all together."""

    megabytes: float = 25.0  # of an upload, as at OpenAI
    seconds: float = 1800.0  # of audio, in a file or a stream
    timeout: float = 120.0  # seconds that one request may take, the wait for its turn included
    workers: int = 2  # recognitions at a time
    waiting: int = 16  # requests that may wait for their turn; more are told to come again (429)
    streams: int = 64  # open WebSocket and Wyoming streams; more are refused
    idle: float = 60.0  # seconds that a stream may be silent before it is closed
    connections: int = 512  # open at a time, streams among them; more are refused
    share: float = 0.5  # of streams and connections that one address may hold; 127.0.0.1, a proxy perhaps, all of them
    patience: float = 10.0  # seconds for headers, for a stream's first message, and until an answer is read
    slowest: float = 2000.0  # bytes a second that a body must bring, after `patience` seconds
    drain: float = 30.0  # seconds that a shutdown waits for what is in flight

    def own(self, most: int, address: str) -> int:
        """How many of `most` one address may hold."""
        return most if address in LOCAL else max(1, int(self.share * most))

    def __post_init__(self) -> None:
        for name in ("megabytes", "seconds", "timeout", "idle", "patience", "slowest"):
            if getattr(self, name) <= 0:
                raise SecateurError(f"{name} must be above 0, found {getattr(self, name)}")
        if not 0 < self.share <= 1:
            raise SecateurError(f"share must be above 0 and at most 1, found {self.share}")
        if self.workers < 1 or self.streams < 1 or self.connections < 1 or self.waiting < 0:
            raise SecateurError("workers, streams and connections must be at least 1, waiting at least 0")
