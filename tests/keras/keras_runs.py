"""Scripts run with one Keras backend, each in a process of its own: Keras chooses its backend when it is imported."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def needs(*packages: str) -> None:
    """Skip the file that calls this where a package is missing; TensorFlow takes seconds to import, this does not."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}", allow_module_level=True)


def ran(script: str, backend: str, folder: Path) -> str:
    """What `script`, a file beside this one, printed; it writes into `folder`."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), str(folder)],
        env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
