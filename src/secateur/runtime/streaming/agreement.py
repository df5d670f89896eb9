"""Whisper, word by word: what two hypotheses in a row agree on is said (LocalAgreement-2, Liu et al. 2020, arXiv
2005.11185; for Whisper, Macháček et al. 2023, arXiv 2307.14743)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...decode.segments import Audio, Word
from ...decode.word_pieces import spaced
from ..token_recogniser import WhisperRecogniser
from .events import StreamOptions
from .stream import Guess


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


class WhisperHearing:
    """Hears the utterance again and again; words that are agreed on stay, and leave the audio once it is long."""

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
        """See `Hearing`."""
        self._said: list[Word] = []  # agreed on; the first `_left` of them have left the audio
        self._left = 0
        self._offset = 0.0  # seconds of the utterance that have left
        self._before: list[Word] = []  # the last hypothesis, of the audio that is left

    def partial(self, samples: Audio) -> Guess | None:
        """See `Hearing`."""
        words = self._words(samples)
        kept = len(self._said) - self._left
        count = max(kept, agreed([w.text for w in self._before], [w.text for w in words]))
        self._said += words[kept:count]
        self._before = words
        guess = self._guess(words)
        heard = len(samples) / self._recogniser.sample_rate - self._offset
        if heard > self._trim and len(self._said) > self._left:
            self._offset = self._said[-1].end
            self._before = words[len(self._said) - self._left :]
            self._left = len(self._said)
        return guess

    def final(self, samples: Audio) -> Guess:
        """See `Hearing`."""
        return self._guess(self._words(samples))

    def _guess(self, words: list[Word]) -> Guess:
        """What was agreed on, then the rest of the new hypothesis."""
        return Guess((*self._said, *words[len(self._said) - self._left :]), len(self._said))

    def _words(self, samples: Audio) -> list[Word]:
        """The words of what is left of the utterance, times from the utterance's start."""
        rest = samples[round(self._offset * self._recogniser.sample_rate) :]
        found = self._recogniser.transcribe(rest, self._decoding).words
        by = self._offset
        return [replace(w, start=round(w.start + by, 3), end=round(w.end + by, 3)) for w in found]
