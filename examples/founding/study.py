"""Runs the example with several seeds on both Keras backends; what is there already is not run again.

    python examples/founding/study.py                 # one core, 3 to 5 minutes a run
    python examples/founding/study.py torch           # one backend only
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parents[1] / "experiments" / "founding" / "results"
SEEDS = {"tensorflow": range(5), "torch": range(3)}
ONE_CORE = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def main() -> None:
    """One process a run: a backend cannot change once Keras is imported."""
    for backend in sys.argv[1:] or SEEDS:
        for seed in SEEDS[backend]:
            result = RESULTS / f"{backend}-{seed}.json"
            if result.exists():
                continue
            print(result.name, flush=True)
            subprocess.run(
                [
                    sys.executable, str(HERE / "run.py"), "--seed", str(seed), "--result", str(result),
                    "--work", f"runs/founding/{backend}",
                ],
                env={**os.environ, **ONE_CORE, "KERAS_BACKEND": backend}, check=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
