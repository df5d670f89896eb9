"""The options of a stream, and its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ...base.errors import SecateurError
from ...decode.options import DecodingOptions
from ...decode.segments import Word


@dataclass(frozen=True)
class StreamOptions:
    """How a stream listens; all times in seconds.

    Raises:
        SecateurError: a time that is not above 0, or chunks that are longer than an utterance may be.
    """

    interval: float = 0.6  # from one partial result to the next
    pause: float = 0.6  # of silence ends an utterance
    longest: float = 20.0  # utterances are ended here, whether anyone pauses or not
    trim: float = 10.0  # Whisper decodes again at most so much and the audio since its words were last agreed on
    chunk: float = 0.64  # CTC: the chunk computed at once; a streaming network has its own, and no sides
    left: float | None = None  # CTC: context before a chunk; None: its receptive field (`chunks.receptive_field`)
    right: float | None = None  # CTC: context after it, and so the delay; None: the same
    detector: Literal["auto", "silero", "energy", "none"] = "auto"  # of speech; auto: silero where it is installed
    threshold: float = 0.5  # probability above which someone speaks
    decoding: DecodingOptions = field(default_factory=DecodingOptions)

    def __post_init__(self) -> None:
        for name in ("interval", "pause", "longest", "trim", "chunk"):
            if getattr(self, name) <= 0:
                raise SecateurError(f"{name} must be above 0 seconds, found {getattr(self, name)}")
        if min(self.left or 0, self.right or 0) < 0:
            raise SecateurError("left and right must be at least 0 seconds")
        if max(self.interval, self.chunk, self.trim) > self.longest:
            raise SecateurError(f"interval, chunk and trim must be at most the longest utterance, {self.longest:g} s")


@dataclass(frozen=True)
class StreamEvent:
    """`partial`: the text of the utterance so far; `final`: an utterance that has ended.

    Times are seconds of the stream. What is `stable` does not change: every later event of the utterance begins
    with it.
    """

    kind: Literal["partial", "final"]
    text: str
    stable: str
    start: float
    end: float  # of the speech
    words: tuple[Word, ...]
    delay: float  # of audio, from `end` of a final, or from the last stable word of a partial, until this was known
    compute: float  # seconds that working it out took
    confidence: float | None = None
