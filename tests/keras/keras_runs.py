"""Scripts run with one Keras backend, each in a process of its own: Keras chooses its backend when it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def ran(script: str, backend: str, folder: Path) -> str:
    """What `script`, a file beside this one, printed; it writes into `folder`."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), str(folder)],
        env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
