"""Scripts run with one Keras backend, each in a process of its own: Keras chooses its backend when it is imported."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def needs(*packages: str) -> None:
    """Skip the file that calls this where a package is missing; TensorFlow takes seconds to import, this does not."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}", allow_module_level=True)


@functools.cache
def zygote(backend: str) -> subprocess.Popen[str]:
    """The process that forks for every script with this backend; it ends when this process does."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "keras_zygote.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )  # fmt: skip
    assert process.stdout and json.loads(process.stdout.readline())["ready"]
    return process


def ran(script: str | Path, backend: str, folder: Path) -> str:
    """What `script`, a file beside this one, printed; it runs in `folder`, and writes there."""
    said = folder.with_name(f"{folder.name}.said")
    code = answer(
        backend, words=[str(HERE / script), str(folder)], folder=str(folder), said=str(said), writers=writers()
    )
    printed = said.read_text(errors="replace")
    assert code == 0, printed[-3000:]
    return printed


def answer(backend: str, **request: Any) -> int:
    """The exit code of what the process of a backend was asked to run; see `keras_zygote`."""
    process = zygote(backend)
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return int(json.loads(process.stdout.readline())["code"])


@functools.cache
def writers() -> str:
    """Where scripts ask for files that another backend writes: forks of its process instead of a Python for each."""
    folder = tempfile.mkdtemp()
    listener = Listener(f"{folder}/socket", "AF_UNIX")

    def serve() -> None:
        while True:
            with listener.accept() as asked:
                backend, code, words = asked.recv()
                said = Path(folder, "said")
                ended = answer(backend, code=code, words=["-c", *words], folder=folder, said=str(said))
                asked.send((ended, said.read_text(errors="replace")))

    threading.Thread(target=serve, daemon=True).start()
    return str(listener.address)
