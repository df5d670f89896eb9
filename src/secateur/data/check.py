"""What is wrong with a data set: every file is decoded once, every text held against the others."""

from __future__ import annotations

import hashlib
import itertools
import math
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from ..audio.level import SILENCE_DB, clipped_share, is_silent, peak_db
from ..audio.read import audio_info, read_audio
from ..base.errors import SecateurError
from ..base.progress import track
from ..text.clean import cleaner
from .manifest import Utterance

Kind = Literal[
    "missing", "corrupt", "zero-length", "silent", "clipped", "duration", "no-text", "rate", "characters", "duplicate"
]
MEANING: dict[Kind, str] = {
    "missing": "no such audio file",
    "corrupt": "the audio cannot be decoded",
    "zero-length": "the audio has no samples",
    "silent": "nothing in it is louder than silence",
    "clipped": "recorded too loud",
    "duration": "the manifest states another length",
    "no-text": "no transcript",
    "rate": "too many or too few characters a second for this speaker: perhaps another clip's transcript",
    "characters": "marks or characters that hardly any other transcript has",
    "duplicate": "the same samples as another clip",
}


@dataclass(frozen=True)
class CheckSettings:
    """From where on something is a problem."""

    clipped: float = 0.01  # share of samples at full scale
    duration: float = 0.1  # s, plus 1 % of the clip
    silence_db: float = SILENCE_DB  # dBFS
    rate_factor: float = 3.0  # times faster or slower than the speaker's median, and
    rate_deviations: float = 4.0  # as many standard deviations away from it (of the logarithm, by quartiles)
    rare: float = 0.005  # share of transcripts below which a foreign script or symbol is unusual
    few: int = 20  # with fewer transcripts in a language, rates and characters are not judged
    few_of_speaker: int = 8  # speakers with fewer are held against the whole set


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one utterance."""

    kind: Kind
    id: str
    detail: str
    audio: Path


def check(
    utterances: Sequence[Utterance], settings: CheckSettings | None = None, workers: int = 2, audio: bool = True
) -> list[Problem]:
    """All problems of a set, in its order. `audio=False` looks at texts and at whether files exist only.

    Repeated texts are no problem: prompts are often read by many speakers.
    """
    settings = settings or CheckSettings()
    found: dict[str, list[Problem]] = {u.id: [] for u in utterances}
    sounds: dict[bytes, Utterance] = {}
    for u, problems, digest in _listen(utterances, settings, workers, audio):
        found[u.id] += problems
        if digest is not None:
            first = sounds.setdefault(digest, u)
            if first is not u:
                found[u.id].append(Problem("duplicate", u.id, f"same audio as '{first.id}'", u.audio))
    for problem in check_texts(utterances, settings):
        found[problem.id].append(problem)
    return [problem for u in utterances for problem in found[u.id]]


Heard = tuple[Utterance, list[Problem], bytes | None]


def _listen(utterances: Sequence[Utterance], settings: CheckSettings, workers: int, audio: bool) -> Iterator[Heard]:
    """The audio problems and the digest of the samples of every utterance, in order."""
    if not audio:
        for u in utterances:
            yield u, [] if u.audio.is_file() else [Problem("missing", u.id, "no such file", u.audio)], None
        return
    # Decoding and hashing leave the interpreter's lock, so threads are enough.
    with ThreadPoolExecutor(max(1, workers)) as pool:
        heard = (h for piece in _pieces(utterances, 256) for h in pool.map(lambda u: check_audio(u, settings), piece))
        yield from track(heard, "checking audio", len(utterances))


def check_audio(u: Utterance, settings: CheckSettings) -> Heard:
    """Decode one clip: its problems, and a digest of its samples (None when there are none or only silence)."""
    if not u.audio.is_file():
        return u, [Problem("missing", u.id, "no such file", u.audio)], None
    try:
        sample_rate = audio_info(u.audio).sample_rate
        samples = read_audio(u.audio, sample_rate)
    except SecateurError as problem:
        kind: Kind = "zero-length" if _without_samples(u.audio) else "corrupt"
        return u, [Problem(kind, u.id, str(problem).removeprefix(f"{u.audio}: "), u.audio)], None
    seconds = len(samples) / sample_rate
    problems = []
    if abs(seconds - u.duration) > settings.duration + 0.01 * seconds:
        problems.append(Problem("duration", u.id, f"{seconds:.2f} s long, not {u.duration:.2f} s", u.audio))
    if is_silent(samples, settings.silence_db):
        problems.append(Problem("silent", u.id, f"peak {peak_db(samples):.0f} dBFS", u.audio))
        return u, problems, None
    clipped = clipped_share(samples)
    if clipped > settings.clipped:
        problems.append(Problem("clipped", u.id, f"{clipped:.1%} of the samples at full scale", u.audio))
    return u, problems, hashlib.sha256(np.round(samples * 32767).astype(np.int16).tobytes()).digest()


def _without_samples(path: Path) -> bool:
    try:
        return path.stat().st_size == 0 or soundfile.info(str(path)).frames == 0
    except (soundfile.SoundFileError, OSError):
        return False


def check_texts(utterances: Sequence[Utterance], settings: CheckSettings | None = None) -> list[Problem]:
    """Empty texts, and texts unlike the others of the same language."""
    settings = settings or CheckSettings()
    problems = [Problem("no-text", u.id, "empty", u.audio) for u in utterances if not u.text.strip()]
    clean = cleaner()
    languages: dict[str, list[Utterance]] = {}
    for u in utterances:
        if u.text.strip():
            languages.setdefault(u.language, []).append(u)
    for members in languages.values():
        cleaned = [(u, clean(u.text)) for u in members]
        problems += _leftover_marks(cleaned)
        if len(members) >= settings.few:
            problems += _strange_rates(members, settings)
            problems += _strange_characters(cleaned, settings)
    return problems


def _strange_rates(members: Sequence[Utterance], settings: CheckSettings) -> list[Problem]:
    """Clips whose characters a second are far from the speaker's (the set's, for those heard little).

    Measured as logarithms. Only a recogniser finds a wrong transcript of the right length.
    """
    rates = {u.id: math.log(len(u.text.strip()) / u.duration) for u in members if u.duration > 0}
    if len(rates) < settings.few:
        return []
    spoken: dict[str, list[float]] = {}
    for u in members:
        if u.id in rates:
            spoken.setdefault(u.speaker, []).append(rates[u.id])
    overall = statistics.median(rates.values())
    usual = {s: statistics.median(r) if len(r) >= settings.few_of_speaker else overall for s, r in spoken.items()}
    timed = [(u, rates[u.id] - usual[u.speaker]) for u in members if u.id in rates]
    lower, _, upper = statistics.quantiles([difference for _, difference in timed], n=4)
    deviation = (upper - lower) / 1.349  # of a normal distribution with these quartiles
    limit = max(settings.rate_deviations * deviation, math.log(settings.rate_factor))
    return [
        Problem("rate", u.id, _rate(rates[u.id], usual[u.speaker]), u.audio)
        for u, difference in timed
        if abs(difference) > limit
    ]


def _rate(logarithm: float, usual: float) -> str:
    return f"{math.exp(logarithm):.1f} characters a second, usual are {math.exp(usual):.1f}"


Cleaned = Sequence[tuple[Utterance, str]]


def _leftover_marks(cleaned: Cleaned) -> list[Problem]:
    """Control characters and bracketed marks that `text.clean` would remove."""
    removed = [(u, sorted(c for c in set(u.text) - set(text) if _is_mark(c))) for u, text in cleaned]
    return [
        Problem("characters", u.id, f"marks that cleaning removes: {_shown(characters)}", u.audio)
        for u, characters in removed
        if characters
    ]


def _is_mark(character: str) -> bool:
    """Whether a character that cleaning removes is a bracket or invisible, rather than an ordinary variant."""
    return character in "<>[]{}\ufffd" or (unicodedata.category(character) in ("Cc", "Cf") and not character.isspace())


def _strange_characters(cleaned: Cleaned, settings: CheckSettings) -> list[Problem]:
    """Letters of a script, and symbols, that hardly any other text has."""
    counts = Counter(sort for _, text in cleaned for sort in {sort_of(c) for c in text})
    limit = max(1.0, settings.rare * len(cleaned))
    unusual = {sort for sort, count in counts.items() if count <= limit and sort}
    strange = [(u, sorted({c for c in text if sort_of(c) in unusual})) for u, text in cleaned]
    return [
        Problem("characters", u.id, f"unusual in this set: {_shown(characters)}", u.audio)
        for u, characters in strange
        if characters
    ]


def sort_of(character: str) -> str:
    """The script of a letter, a symbol itself, and nothing for digits, marks, spaces and punctuation.

    >>> sort_of("é"), sort_of("ж"), sort_of("€"), sort_of("?")
    ('LATIN', 'CYRILLIC', '€', '')
    """
    category = unicodedata.category(character)
    if category.startswith("L"):
        return unicodedata.name(character, "unknown").split()[0].removesuffix("-")
    return character if category.startswith("S") or category in ("Co", "Cn", "Cs") else ""


def _shown(characters: Iterable[str]) -> str:
    return " ".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in itertools.islice(characters, 8))


def _pieces(values: Sequence[Utterance], size: int) -> Iterator[Sequence[Utterance]]:
    """Pieces of `size`: a pool that is given everything at once keeps everything it decoded."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
