"""What a server allows, in one frozen dataclass."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from ...base.options import Settings, option

LOCAL = ("", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Access(Settings):
    """Who may ask: names that the server is called by, and pages of other sites."""

    hosts: tuple[str, ...] = option(
        (), "Answer to these host names beside localhost, this machine's name and any IP address; others get 421."
    )
    origins: tuple[str, ...] = option(
        (), "Let pages of these origins (https://my.site) use the server from a browser (CORS)."
    )

    log: Path | None = option(
        None,
        "Append a line of JSON for every request and stream to this file, - is standard error; what was said is "
        "never in it.",
        writes=".log",
    )

    def known(self, host: str) -> bool:
        """Whether a request's `Host` names this server; a name that somebody else points here does not.

        An IP address always does: a page cannot have made a browser believe that it comes from there.

        >>> Access().known("127.0.0.1:8000"), Access().known("[::1]"), Access().known("evil.example:8000")
        (True, True, False)
        """
        name = host.strip().lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        try:
            ipaddress.ip_address(name)
        except ValueError:
            here = socket.gethostname().lower()
            return name.rstrip(".") in {"localhost", here, f"{here}.local", *(one.lower() for one in self.hosts)}
        return True


@dataclass(frozen=True)
class Limits(Settings):
    """What one client may ask of the server, and all together."""

    megabytes: float = option(25.0, "Refuse larger uploads (OpenAI's limit).", unit="MB", above=0)
    seconds: float = option(1800.0, "Refuse longer audio, in a file or a stream.", unit="s", above=0)
    timeout: float = option(120.0, "End a request after this time, the wait for its turn included.", unit="s", above=0)
    workers: int = option(2, "Run this many recognitions at a time.", least=1)
    waiting: int = option(
        16, "Let this many requests wait for their turn; more are asked to come again (429).", unit="requests", least=0
    )
    streams: int = option(64, "Hold this many WebSocket and Wyoming streams; more are refused.", least=1)
    idle: float = option(60.0, "Close a stream that is silent for this long.", unit="s", above=0, advanced=True)
    connections: int = option(
        512, "Hold this many connections, streams among them; more are refused.", least=1, advanced=True
    )
    share: float = option(
        0.5, "Let one address hold this share of streams and connections; 127.0.0.1, a proxy perhaps, all of them.",
        unit="share", above=0, most=1, advanced=True,
    )  # fmt: skip
    patience: float = option(
        10.0,
        "Wait this long for headers, a stream's first message, and until an answer is read.",
        unit="s",
        above=0,
        advanced=True,
    )
    slowest: float = option(
        2000.0,
        "Drop a body that brings fewer bytes a second than this, after `patience`.",
        unit="bytes/s",
        above=0,
        advanced=True,
    )
    drain: float = option(
        30.0, "Wait this long for requests in flight when shutting down.", unit="s", least=0, advanced=True
    )

    def own(self, most: int, address: str) -> int:
        """How many of `most` one address may hold."""
        return most if address in LOCAL else max(1, int(self.share * most))
