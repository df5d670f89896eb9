"""What is wrong with a data set: every file is decoded once, every text compared with the others.

Memory does not grow with the set but by what finds repeated sounds and unusual rates: about 50 bytes a clip.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from ..audio.arrays import clipped_share, is_silent, peak_db
from ..audio.members import is_recording, recording_bytes
from ..audio.read import SLACK, audio_info
from ..base.errors import UTTERANCES, SecateurError, several
from ..base.progress import track
from .clip import read_clip
from .hashes import Hashes
from .manifest import Utterance
from .text_check import MEANING, CheckSettings, Kind, Problem, TextJudge, sort_of

__all__ = ["MEANING", "CheckSettings", "Kind", "Problem", "check", "check_audio", "check_texts", "sort_of"]

PIECE = 256  # clips submitted to a pool at a time, so that it does not keep all decoded audio


def check(
    utterances: Iterable[Utterance], settings: CheckSettings | None = None, workers: int = 2, audio: bool = True
) -> list[Problem]:
    """All problems of a set, in its order. `audio=False` looks at texts and at whether files exist only.

    `utterances` are passed over two times (three, when clips have the same samples): a list, or a `ManifestFile`.
    Repeated texts are no problem: prompts are often read by many speakers.
    """
    settings = settings or CheckSettings()
    judge = _judge(utterances, settings)
    all_problems: list[Problem] = []
    sounds = Hashes(numbered=True)
    duplicates: dict[int, int] = {}  # index in `all_problems` to the number of the first clip with these samples
    for number, (u, problems, digest) in enumerate(_audio_problems(utterances, settings, workers, audio)):
        all_problems += problems
        first = number if digest is None else sounds.first(digest, number)
        if first != number:
            duplicates[len(all_problems)] = first
            all_problems.append(Problem("duplicate", u.id, "", u.audio))
        all_problems += judge.problems(u)
    if duplicates:
        originals = set(duplicates.values())
        names = {number: u.id for number, u in enumerate(utterances) if number in originals}
        for index, first in duplicates.items():
            all_problems[index] = replace(all_problems[index], detail=f"same audio as '{names[first]}'")
    return all_problems


def check_texts(utterances: Iterable[Utterance], settings: CheckSettings | None = None) -> list[Problem]:
    """Empty texts, and texts unlike the others of the same language; `utterances` are passed over two times."""
    judge = _judge(utterances, settings or CheckSettings())
    return [problem for u in utterances for problem in judge.problems(u)]


def _judge(utterances: Iterable[Utterance], settings: CheckSettings) -> TextJudge:
    judge = TextJudge(settings)
    for u in several("check", utterances, UTTERANCES):
        judge.learn(u)
    judge.settle()
    return judge


Checked = tuple[Utterance, list[Problem], bytes | None]


def _audio_problems(
    utterances: Iterable[Utterance], settings: CheckSettings, workers: int, audio: bool
) -> Iterator[Checked]:
    """The audio problems and the digest of the samples of every utterance, in order."""
    if not audio:
        for u in utterances:
            yield u, [] if is_recording(u.audio) else [Problem("missing", u.id, "no such file", u.audio)], None
        return
    # Decoding and hashing leave the interpreter's lock, so threads are enough.
    total = len(utterances) if isinstance(utterances, list) else None
    with ThreadPoolExecutor(max(1, workers)) as pool:
        rest = iter(utterances)
        pieces = iter(lambda: list(itertools.islice(rest, PIECE)), [])
        checked = (h for piece in pieces for h in pool.map(lambda u: check_audio(u, settings), piece))
        yield from track(checked, "checking audio", total)


def check_audio(u: Utterance, settings: CheckSettings) -> Checked:
    """Decode one clip: its problems, and a digest of its samples (None when there are none or only silence)."""
    if not is_recording(u.audio):
        return u, [Problem("missing", u.id, "no such file", u.audio)], None
    try:
        info = audio_info(u.audio)
        if u.offset is not None and u.offset + u.duration > info.seconds + SLACK:
            detail = f"{u.offset:.2f} to {u.offset + u.duration:.2f} s of a recording of {info.seconds:.2f} s"
            return u, [Problem("duration", u.id, detail, u.audio)], None
        sample_rate = info.sample_rate
        samples = read_clip(u, sample_rate)
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
        return recording_bytes(path) == 0 or soundfile.info(str(path)).frames == 0
    except (soundfile.SoundFileError, OSError):
        return False
