"""Runs the example with several seeds on both Keras backends; what is there already is not run again.

    python examples/founding/study.py          # one core, about 4 minutes a run
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "founding" / "results"
SEEDS = {"tensorflow": range(5), "torch": range(3)}
ONE_CORE = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def main() -> None:
    """One process a run: a backend cannot change once Keras is imported."""
    for backend, seeds in SEEDS.items():
        for seed in seeds:
            result = RESULTS / f"{backend}-{seed}.json"
            if result.exists():
                continue
            print(result.name, flush=True)
            subprocess.run(
                [sys.executable, str(Path(__file__).with_name("run.py")), "--seed", str(seed), "--result", str(result)],
                env={**os.environ, **ONE_CORE, "KERAS_BACKEND": backend}, check=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
