"""Real clips in other people's layouts: as files of their own, and joined into one long recording."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from secateur.audio.read import read_audio
from secateur.cli import main
from secateur.data.clip import read_clip
from secateur.data.demo import BUNDLED
from secateur.data.manifest import Utterance, read_manifest

RATE = 16000
GAP = 0.6  # s of silence between joined clips


@dataclass(frozen=True)
class Clip:
    """One bundled clip: where it is in a joined recording, and what is said."""

    name: str
    text: str
    speaker: str
    samples: np.ndarray
    start: float  # s
    end: float


def clips(count: int = 5, start: int = 0) -> list[Clip]:
    """`count` clips, the first of which begins after 0.3 s."""
    made, at = [], 0.3
    for u in read_manifest(BUNDLED / "train.jsonl")[start : start + count]:
        samples = read_audio(u.audio)
        made.append(Clip(u.id, u.text, u.speaker, samples, round(at, 3), round(at + len(samples) / RATE, 3)))
        at = round(at + len(samples) / RATE + GAP, 3)
    return made


def wav(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def separate(folder: Path, some: list[Clip], ending: str = "wav") -> None:
    """One file a clip."""
    for clip in some:
        wav(folder / f"{clip.name}.{ending}", clip.samples)


def joined(path: Path, some: list[Clip]) -> Path:
    """All clips in one recording, at the times that they have."""
    audio = np.zeros(round((some[-1].end + 0.5) * RATE), np.float32)
    for clip in some:
        at = round(clip.start * RATE)
        audio[at : at + len(clip.samples)] = clip.samples
    return wav(path, audio)


def prepared(source: Path | str, out: Path, *options: str) -> list[Utterance]:
    """What `secateur data prepare` makes of a source, read by our own reader."""
    assert main(["data", "prepare", str(source), "--out", str(out), *options]) == 0
    return read_manifest(out)


def assert_same_sounds(utterances: list[Utterance], some: list[Clip], slack: float = 0.02) -> None:
    """Each utterance is its clip's text and samples (correlated, wherever the part begins to a hundredth)."""
    assert [u.text for u in utterances] == [c.text for c in some]
    for u, clip in zip(utterances, some, strict=True):
        samples = read_clip(u, RATE)
        assert abs(len(samples) - len(clip.samples)) < slack * RATE
        length = min(len(samples), len(clip.samples))
        energy = [np.square(s[:length]).sum() for s in (samples, clip.samples)]
        assert energy[0] > 0.8 * energy[1] > 0.5 * energy[0]


def lines(values: list[dict[str, object]]) -> str:
    return "".join(json.dumps(v, ensure_ascii=False) + "\n" for v in values)
