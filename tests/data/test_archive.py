"""Unpacking: hostile and damaged archives leave nothing behind."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from secateur.base.errors import SecateurError
from secateur.data.archive import unpack, unpack_inner


def archive(path: Path, files: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o4777
            out.addfile(info, io.BytesIO(content))
        for other in others:
            out.addfile(other)
    return path


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_files_and_folders_come_out(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", {"./a/b.txt": b"one", "c.txt": b"two"}, link("empty", tarfile.DIRTYPE, ""))
    unpack(path, tmp_path / "out")
    found = {str(f.relative_to(tmp_path / "out")): f.read_bytes() for f in (tmp_path / "out").rglob("*") if f.is_file()}
    assert found == {"a/b.txt": b"one", "c.txt": b"two"}
    assert (tmp_path / "out" / "empty").is_dir()
    assert not (tmp_path / "out" / "c.txt").stat().st_mode & 0o7111
    with pytest.raises(SecateurError, match="already there"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "a\\evil", "C:evil"])
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "in" / "a.tar.gz", {"good": b"good", name: b"evil"})
    with pytest.raises(SecateurError, match="unsafe name"):
        unpack(path, tmp_path / "in" / "out")
    assert [f.name for f in tmp_path.rglob("*")] == ["in", "a.tar.gz"]


def test_links_are_left_out_and_nothing_is_written_through_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "outside").mkdir()
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as out:
        out.addfile(link("way", tarfile.SYMTYPE, str(tmp_path / "outside")))
        out.addfile(link("hard", tarfile.LNKTYPE, "/etc/passwd"))
        out.addfile(link("pipe", tarfile.FIFOTYPE, ""))
        info = tarfile.TarInfo("way/file")
        info.size = 3
        out.addfile(info, io.BytesIO(b"abc"))
    unpack(path, tmp_path / "out")
    assert list((tmp_path / "outside").iterdir()) == []
    assert sorted(str(f.relative_to(tmp_path / "out")) for f in (tmp_path / "out").rglob("*")) == ["way", "way/file"]
    assert not (tmp_path / "out" / "way").is_symlink()
    assert "3 links or devices left out" in capsys.readouterr().err


def test_bombs_and_damage_leave_nothing(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "bomb.tar.gz", {"a": bytes(600), "b": bytes(600)})
    with pytest.raises(SecateurError, match="refused, it unpacks to more than 1e-06 GB"):
        unpack(bomb, tmp_path / "out", max_bytes=1000)
    cut = tmp_path / "cut.tar.gz"
    whole = archive(tmp_path / "whole.tar.gz", {str(i): bytes([i]) * 5000 for i in range(50)}).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    for path in (cut, tmp_path / "text.tar.gz"):
        if not path.exists():
            path.write_text("<html>not found</html>")
        with pytest.raises(SecateurError, match="damaged, or no tar archive"):
            unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("*.unpacking"))


def test_archives_inside_an_archive(tmp_path: Path) -> None:
    inner = archive(tmp_path / "S1.tar.gz", {"train/S1/a.wav": b"sound"}).read_bytes()
    unpack(archive(tmp_path / "outer.tar.gz", {"wav/S1.tar.gz": inner}), tmp_path / "out")
    unpack_inner(tmp_path / "out")
    files = [str(f.relative_to(tmp_path / "out")) for f in (tmp_path / "out").rglob("*") if f.is_file()]
    assert files == ["wav/S1/train/S1/a.wav"]
