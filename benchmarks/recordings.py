"""Which kinds of recordings are read, and how many seconds of each are lost: whole, joined, from a pipe, cut off.

    python benchmarks/recordings.py --out benchmarks/results/recordings.json

Real speech is written by PyAV in every kind that the tests know and read back. Source and result are held against each
other in pieces of 0.1 s, below 1 kHz: a piece with speech in it is lost where neither its wave nor its level is within
0.1 s of its place (telephones' codings, AMR, keep the wave of vowels alone; `cosine` is of the whole wave). `cut` says
what comes of the first 60 % of a file: "refused", "told" (read, with a line on what is missing) or "silent".
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "audio")]

from conftest import speech_folder  # noqa: E402
from recorded import how  # noqa: E402
from recording_kinds import JOINED, KINDS, LOSSLESS, Made, at_rate, encode, shift  # noqa: E402
from speech_clips import clips  # noqa: E402

from secateur.audio import read as audio_read  # noqa: E402
from secateur.audio.read import read_audio  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.files import write_json  # noqa: E402
from secateur.base.progress import track  # noqa: E402

PIECE, SLACK = 0.1, 0.1  # seconds
LOW = 2000  # Hz, at which pieces are compared
ALIKE = 0.5  # least cosine, or share of the level, of a piece that is there
SPEECH = 0.1  # of the recording's level, from which on a piece counts
SEEKERS = ("ipod", "mp4", "mov", "3gp", "avi", "caf")  # containers that are finished by going back
Samples = NDArray[np.float32]


def lost(source: Samples, found: Samples, rate: int) -> float:
    """Seconds of `source` that are not in `found`, near where they should be."""
    source, found = (soxr.resample(samples, rate, LOW).astype(np.float32) for samples in (source, found))
    rate = LOW
    size, slack = round(PIECE * rate), round(SLACK * rate)
    least = SPEECH * float(np.sqrt(np.mean(np.square(source))))
    padded = np.pad(found, (slack, slack + max(0, len(source) - len(found))))
    missing = 0.0
    for at in range(0, len(source) - size + 1, size):
        piece = source[at : at + size]
        if float(np.sqrt(np.mean(np.square(piece)))) > least:
            near = padded[at : at + size + 2 * slack]
            products = np.correlate(near, piece)
            power = np.sqrt(np.convolve(np.square(near), np.ones(size), "valid") * np.sum(np.square(piece)) + 1e-12)
            level = np.sqrt(np.convolve(np.square(near), np.ones(size), "valid").max() / np.square(piece).sum())
            missing += PIECE * (float((products / power).max()) < ALIKE and float(level) < ALIKE)
    return round(missing, 3)


def told(data: bytes, name: str, rate: int) -> tuple[str, Samples | None]:
    """What comes of reading, and what is read."""
    lines: list[str] = []
    audio_read.say = lines.append  # type: ignore[attr-defined]
    audio_read._shown_notes.clear()
    file = io.BytesIO(data)
    file.name = name  # type: ignore[attr-defined]
    try:
        audio = read_audio(file, rate)
    except SecateurError as problem:
        return f"refused: {problem}", None
    return "told" if lines else "silent", audio


def row(name: str, made: Made, speech: Samples) -> dict[str, Any]:
    """One kind."""
    source = at_rate(speech, made.rate)
    data = encode(source, made)
    outcome, audio = told(data, name, made.rate)
    found: dict[str, Any] = {"kind": name, "container": made.format, "coding": made.codec, "rate": made.rate}
    if audio is None:
        return {**found, "problem": outcome}
    lag, like = shift(audio, source)
    found |= {
        "seconds": round(len(source) / made.rate, 3), "lost": lost(source, audio, made.rate),
        "longer_by_samples": len(audio) - len(source), "late_by_samples": lag, "cosine": round(like, 4),
        "to_the_bit": len(audio) == len(source) and bool(np.abs(audio - source).max() < 2**-14),
    }  # fmt: skip
    _, joined = told(data + data, name, made.rate)
    if joined is not None:
        twice = np.concatenate([source, np.zeros(len(audio) - len(source), np.float32), source])
        found["joined_lost"] = lost(twice, joined, made.rate)
    if made.format not in SEEKERS:
        _, piped = told(encode(source, made, pipe=True), name, made.rate)
        found["piped_lost"] = None if piped is None else lost(source, piped, made.rate)
    found["cut"] = told(data[: len(data) * 6 // 10], name, made.rate)[0].split(":")[0]
    return found


def main() -> None:
    """Write, read, compare, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = speech_folder()
    if folder is None:
        sys.exit("no real speech: set SECATEUR_DATA")
    speech = np.concatenate([audio for audio, _ in clips(folder, "librispeech-mini", 2)])[: 12 * 16000 + 137]
    kinds = KINDS | LOSSLESS | JOINED
    rows = [row(name, made, speech) for name, made in track(kinds.items(), "kinds", len(kinds))]
    read = [r for r in rows if "problem" not in r]
    counts = {
        "tried": len(rows),
        "read": len(read),
        "seconds_lost": round(sum(r["lost"] for r in read), 3),
        "to_the_bit": sum(r["to_the_bit"] for r in read),
        "joined_tried": sum("joined_lost" in r for r in read),
        "joined_seconds_lost": round(sum(r.get("joined_lost", 0.0) for r in read), 3),
        "piped_tried": sum("piped_lost" in r for r in read),
        "piped_seconds_lost": round(sum(r.get("piped_lost") or 0.0 for r in read), 3),
        "cut": {word: sum(r["cut"] == word for r in read) for word in ("refused", "told", "silent")},
    }
    versions = {"av": av.__version__, "ffmpeg": str(av.ffmpeg_version_info)}
    for r in rows:
        print(r)
    print(counts)
    if options.out:
        write_json(options.out, {"how": how(), "versions": versions, "counts": counts, "rows": rows})


if __name__ == "__main__":
    main()
