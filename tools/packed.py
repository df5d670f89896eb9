"""Result files of one study in one archive: FOLDER.tar.xz stands for FOLDER, with the same bytes for the same files.

tools/packed.py pack FOLDER [FOLDER ...]     # makes FOLDER.tar.xz and removes FOLDER
tools/packed.py unpack FOLDER TARGET         # files of FOLDER.tar.xz (or of FOLDER) into TARGET
"""

from __future__ import annotations

import atexit
import shutil
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path


@cache
def results(folder: Path) -> Path:
    """Where the files of `folder` can be read: the folder itself, or its archive unpacked for this process."""
    archive = folder.parent / f"{folder.name}.tar.xz"
    if folder.is_dir() or not archive.exists():
        return folder
    place = Path(tempfile.mkdtemp(prefix="secateur-results-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(place, filter="data")
    return place


def pack(folder: Path) -> Path:
    """Write `folder`.tar.xz and remove the folder; names sorted, owners and times left out."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        info.mode = 0o755 if info.isdir() else 0o644
        return info

    archive = folder.parent / f"{folder.name}.tar.xz"
    with tarfile.open(archive, "w:xz", preset=9) as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, str(path.relative_to(folder)), recursive=False, filter=plain)
    shutil.rmtree(folder)
    return archive


def main(words: list[str]) -> int:
    """See the module's text."""
    if words[:1] == ["pack"] and len(words) > 1:
        for name in words[1:]:
            print(pack(Path(name)))
        return 0
    if words[:1] == ["unpack"] and len(words) == 3:
        if (place := results(Path(words[1]))).is_dir():
            shutil.copytree(place, words[2], dirs_exist_ok=True)
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
