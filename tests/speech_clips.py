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
    """A `transformers` folder with the real weights of `name`, made once in the cache; None when they can't be had."""
    from secateur.base.errors import SecateurError
    from secateur.base.files import cache_dir
    from secateur.families.whisper.write_transformers import write_transformers
    from secateur.weights.fetch import load_model

    folder = cache_dir() / "tests" / f"transformers-{name}"
    if not (folder / "tokenizer.json").is_file():
        try:
            write_transformers(folder, *load_model(name))
        except SecateurError:
            return None
    return folder
