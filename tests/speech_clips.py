"""Real clips for tests: samples at 16 kHz and their transcripts, evenly over a split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secateur.audio.read import read_audio


def clips(speech: Path, name: str, count: int, split: str = "test") -> list[tuple[NDArray[np.float32], str]]:
    """`count` clips of the set `name`."""
    lines = (speech / name / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    chosen = [json.loads(line) for line in lines[:: max(1, len(lines) // count)][:count]]
    return [(read_audio(speech / name / one["audio"], 16000), one["text"]) for one in chosen]


def dev_weights(name: str) -> Path | None:
    """A folder of real weights that development left in the cache, or None."""
    from secateur.base.files import cache_dir

    folder = cache_dir() / "dev" / name
    return folder if (folder / "model.safetensors").is_file() else None
