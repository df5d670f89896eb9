"""Errors in what Chinese sounds like, whichever characters were written: pinyin and tone error rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..base.extras import require
from ..text.languages import base_language
from ..text.pinyin import Syllable, syllables
from .bootstrap import RESAMPLES, rate_interval
from .error_rate import GAP


@dataclass(frozen=True)
class SoundErrors:
    """One clip: syllables substituted, deleted or inserted, with and without regard to tone; `reference` of them.

    A word in Latin letters counts as one syllable.
    """

    pinyin: int  # a wrong tone is an error
    toneless: int  # a wrong tone is none
    tones: int  # wrong tones on syllables whose sound is right
    right: int  # syllables whose sound is right
    reference: int


@dataclass(frozen=True)
class Sounds:
    """Rates over a set, as fractions, with 95 % intervals by speaker."""

    pinyin: float  # pinyin error rate: syllables with their tones
    pinyin_interval: tuple[float, ...]
    toneless: float  # the same without tones
    toneless_interval: tuple[float, ...]
    tone: float  # tone error rate: wrong tones a syllable whose sound is right
    tone_interval: tuple[float, ...]
    syllables: int  # of the references


def has_sounds(language: str) -> bool:
    """Whether pinyin says how `language` sounds."""
    return base_language(language) == "zh"


def sound_errors(reference: str, hypothesis: str) -> SoundErrors:
    """Errors of one normalised `hypothesis` against its normalised `reference`.

    Sounds are aligned without tones, so that a wrong tone does not shift the alignment.
    """
    align = require("kaldialign", "train").align
    spoken, written = syllables(reference), syllables(hypothesis)
    pairs = align([_sound(s) for s in spoken], [_sound(s) for s in written], GAP)
    toneless = tones = same = i = j = 0
    for left, right_side in pairs:
        if left == right_side:
            same += 1
            tones += spoken[i] != written[j]
        else:
            toneless += 1
        i += left != GAP
        j += right_side != GAP
    return SoundErrors(toneless + tones, toneless, tones, same, len(spoken))


def measure_sounds(
    texts: Sequence[tuple[str, str]], speakers: Sequence[str], resamples: int = RESAMPLES, seed: int = 0
) -> Sounds:
    """The rates over normalised (reference, hypothesis) texts of one set."""
    errors = [sound_errors(reference, hypothesis) for reference, hypothesis in texts]
    lengths = [e.reference for e in errors]

    def rate(wrong: list[int], of: list[int]) -> tuple[float, tuple[float, float]]:
        total = sum(of)
        if not total:
            return 0.0, (0.0, 0.0)
        return sum(wrong) / total, rate_interval(wrong, of, speakers, resamples=resamples, seed=seed)

    pinyin, pinyin_interval = rate([e.pinyin for e in errors], lengths)
    toneless, toneless_interval = rate([e.toneless for e in errors], lengths)
    tone, tone_interval = rate([e.tones for e in errors], [e.right for e in errors])
    return Sounds(pinyin, pinyin_interval, toneless, toneless_interval, tone, tone_interval, sum(lengths))


def _sound(syllable: Syllable | str) -> str:
    return syllable.sound if isinstance(syllable, Syllable) else syllable
