"""Other programs that read what we export, installed here or in an environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest


def python_with(module: str) -> str:
    """An interpreter that has `module`: this one, or the one that `SECATEUR_PEERS` names."""
    for python in (sys.executable, os.environ.get("SECATEUR_PEERS", "")):
        words = [python, "-c", f"import {module}"]
        if shutil.which(python) and not subprocess.run(words, capture_output=True).returncode:
            return python
    pytest.skip(f"{module} is not installed here, nor for the interpreter that SECATEUR_PEERS names")
