"""Whisper, word by word: the prefix that two hypotheses in a row agree on is stable.

LocalAgreement-2, Liu et al. 2020, arXiv 2005.11185; for Whisper, Macháček et al. 2023, arXiv 2307.14743.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...decode.alignment import spaced
from ...decode.segments import Audio, Word
from ..token_recogniser import WhisperRecogniser
from .events import StreamOptions
from .stream import StreamResult


def agreed(before: Sequence[str], now: Sequence[str]) -> int:
    """How many words both begin with, whatever their case and punctuation.

    >>> agreed(["Turn", "the", "light."], ["turn", "the", "lights", "on"])
    2
    """
    count = 0
    for one, other in zip(before, now, strict=False):
        if plain(one) != plain(other):
            break
        count += 1
    return count


def plain(word: str) -> str:
    """Without case and punctuation."""
    return "".join(c for c in word.lower() if c.isalnum()) or word


class WhisperStreamDecoder:
    """Decodes the growing utterance again and again; words agreed on are final, and leave the audio once it is long."""

    def __init__(self, recogniser: WhisperRecogniser, options: StreamOptions) -> None:
        self._recogniser = recogniser
        self._decoding = replace(
            options.decoding,
            word_times=True,
            timestamps=False,
            temperatures=options.decoding.temperatures[:1],
            vad="off",  # the stream has found the speech
        )
        self._trim = min(options.trim, recogniser.window_seconds / 2)
        self.joiner = " " if spaced(options.decoding.language) else ""
        self.start()

    def start(self) -> None:
        """See `StreamDecoder`."""
        self._agreed: list[Word] = []  # agreed on; the first `_left` of them have left the audio
        self._left = 0
        self._offset = 0.0  # seconds of the utterance that have left
        self._before: list[Word] = []  # the last hypothesis, of the audio that is left

    def partial(self, samples: Audio) -> StreamResult | None:
        """See `StreamDecoder`."""
        words = self._words(samples)
        kept = len(self._agreed) - self._left
        count = max(kept, agreed([w.text for w in self._before], [w.text for w in words]))
        self._agreed += words[kept:count]
        self._before = words
        result = self._result(words)
        seconds = len(samples) / self._recogniser.sample_rate - self._offset
        if seconds > self._trim and len(self._agreed) > self._left:
            self._offset = self._agreed[-1].end
            self._before = words[len(self._agreed) - self._left :]
            self._left = len(self._agreed)
        return result

    def final(self, samples: Audio) -> StreamResult:
        """See `StreamDecoder`."""
        return self._result(self._words(samples))

    def _result(self, words: list[Word]) -> StreamResult:
        """What was agreed on, then the rest of the new hypothesis."""
        return StreamResult((*self._agreed, *words[len(self._agreed) - self._left :]), len(self._agreed))

    def _words(self, samples: Audio) -> list[Word]:
        """The words of what is left of the utterance, times from the utterance's start."""
        rest = samples[round(self._offset * self._recogniser.sample_rate) :]
        words = self._recogniser.transcribe(rest, self._decoding).words
        by = self._offset
        return [replace(w, start=round(w.start + by, 3), end=round(w.end + by, 3)) for w in words]
