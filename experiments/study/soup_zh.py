"""Averages of an arm's seeds, pinyin heads too, as a run of their own: `dense-0`, `dense-1`, ... become `dense-soup-0`.

    python3 experiments/study/soup_zh.py RUNS dense merged

Weights pruned by one seed alone are averaged with its zeros: soups are for arms whose seeds share a mask or have none.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def soup(runs: list[Path], out: Path) -> None:
    """The mean of every tensor of `runs`, with the first one's other files.

    Raises:
        SystemExit: runs whose tensors differ in shape.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json", "pinyin_units.json", "words.json"):
        if (runs[0] / name).exists():
            shutil.copy(runs[0] / name, out / name)
    for name in ("model.safetensors", "pinyin_head.safetensors"):
        if not (runs[0] / name).exists():
            continue
        tensors = [load_file(run / name) for run in runs]
        shapes = [{key: value.shape for key, value in t.items()} for t in tensors]
        if any(s != shapes[0] for s in shapes):
            sys.exit(f"{out}: the runs differ in shape and have no average")
        first = tensors[0]
        mean = {
            key: np.mean([t[key].astype(np.float32) for t in tensors], axis=0).astype(first[key].dtype) for key in first
        }
        save_file(mean, out / name)


def main() -> None:
    """Every arm that is named."""
    folder = Path(sys.argv[1])
    for arm in sys.argv[2:]:
        runs = sorted(p for p in folder.glob(f"{arm}-[0-9]") if (p / "model.safetensors").exists())
        soup(runs, folder / f"{arm}-soup-0")
        print(f"{arm}: {len(runs)} runs averaged")


if __name__ == "__main__":
    main()
