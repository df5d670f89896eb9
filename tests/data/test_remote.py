"""Data sets behind URLs: fsspec's memory file system and a server of files on this machine."""

from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import foreign
import pytest

from secateur.base.errors import SecateurError
from secateur.base.files import read_json, write_json
from secateur.base.remote import files_below, is_file, is_folder, url_of
from secateur.cli import main
from secateur.data.clip import read_clip
from secateur.data.clip_index import ClipIndex
from secateur.data.manifest import Utterance, read_manifest, write_manifest

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder of fsspec's memory file system."""
    yield "memory://bucket/set"
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


@pytest.fixture
def clips() -> list[foreign.Clip]:
    return foreign.clips(3)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address of a server of its files."""
    pytest.importorskip("aiohttp")
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def put(url: str, data: bytes) -> None:
    with fsspec.open(url, "wb") as file:
        file.write(data)


def test_paths_keep_their_scheme() -> None:
    for url in ("s3://bucket/a b/c.flac", "hf://datasets/x/y.jsonl", "gs://b/c", "http://h:8000/a.wav"):
        assert url_of(Path(url)) == url == url_of(url)
        assert url_of(Path(url).parent / "d") == url.rsplit("/", 1)[0] + "/d"
    assert [url_of(p) for p in ("/a/b", "a:b", "C:/a", "x", "")] == [None] * 5


def test_a_table_in_a_store_becomes_a_manifest_there(memory: str, clips: list[foreign.Clip], tmp_path: Path) -> None:
    for c in clips:
        put(f"{memory}/wavs/{c.name}.wav", foreign.wav(tmp_path / "x.wav", c.samples).read_bytes())
    put(f"{memory}/metadata.csv", "\n".join(["file,text", *(f"{c.name},{c.text}" for c in clips)]).encode("utf-16"))
    for source in (f"{memory}/metadata.csv", memory):
        out = f"{memory}/all.jsonl"
        assert main(["data", "prepare", source, "--out", out, "--max-seconds", "3.3"]) == 0
        found = read_manifest(out)
        kept = [c for c in clips if len(c.samples) <= 3.3 * 16000]
        assert len(kept) > 0
        foreign.assert_same_sounds(found, kept)
        with fsspec.open(out, "r") as file:
            assert f'"audio": "wavs/{kept[0].name}.wav"' in file.read()
    assert is_file(f"{memory}/all.left-out.tsv") == (len(kept) < len(clips))
    assert main(["data", "check", out]) == 0
    assert main(["data", "stats", out]) == 0


def test_parts_and_conversion_in_a_store(memory: str, clips: list[foreign.Clip], tmp_path: Path) -> None:
    put(f"{memory}/in/talk.flac", foreign.joined(tmp_path / "talk.flac", clips).read_bytes())
    put(f"{memory}/in/talk.txt", "".join(f"{c.start}\t{c.end}\t{c.text}\n" for c in clips).encode())
    assert main(["data", "prepare", f"{memory}/in", "--out", f"{memory}/parts.jsonl"]) == 0
    foreign.assert_same_sounds(read_manifest(f"{memory}/parts.jsonl"), clips)
    words = ["data", "prepare", f"{memory}/in", "--out", f"{memory}/new.jsonl", "--format", "flac"]
    assert main(words) == 0
    found = read_manifest(f"{memory}/new.jsonl")
    foreign.assert_same_sounds(found, clips)
    assert {u.offset for u in found} == {None}
    written = [p.name for p in files_below(Path(f"{memory}/new"))]
    assert written == ["settings.json", *(f"talk-{i:04}.flac" for i in (1, 2, 3))]
    assert [len(read_clip(u)) for u in ClipIndex([f"{memory}/new.jsonl"])[:]] == [len(read_clip(u)) for u in found]


def test_a_manifest_here_with_audio_there(memory: str, clips: list[foreign.Clip], tmp_path: Path) -> None:
    one = clips[0]
    data = foreign.wav(tmp_path / "a.wav", one.samples).read_bytes()
    put(f"{memory}/a.wav", data)
    there = Utterance("a", Path(f"{memory}/a.wav"), len(one.samples) / 16000, one.text)
    write_manifest(tmp_path / "m.jsonl", [there])
    assert f'"{memory}/a.wav"' in (tmp_path / "m.jsonl").read_text()
    [back] = read_manifest(tmp_path / "m.jsonl")
    foreign.assert_same_sounds([back], [one])
    assert main(["data", "pack", str(tmp_path / "m.jsonl"), "--out", str(tmp_path / "packed")]) == 0
    here = Utterance("a", tmp_path / "a.wav", len(one.samples) / 16000, one.text)
    write_manifest(f"{memory}/m.jsonl", [here])
    assert read_manifest(f"{memory}/m.jsonl")[0].audio == tmp_path / "a.wav"
    assert main(["data", "export", f"{memory}/m.jsonl", "--to", "audiofolder", "--out", f"{memory}/hf"]) == 0
    assert is_folder(f"{memory}/hf/train/audio")


def test_a_server_of_files(served: tuple[Path, str], clips: list[foreign.Clip], tmp_path: Path) -> None:
    folder, address = served
    foreign.separate(folder / "my clips", clips)
    rows = [{"audio_filepath": f"my clips/{c.name}.wav", "text": c.text} for c in clips]
    foreign.write(folder / "nemo.json", foreign.lines(rows))
    found = foreign.prepared(f"{address}/nemo.json", tmp_path / "all.jsonl")
    foreign.assert_same_sounds(found, clips)
    assert f'"{address}/my clips/{clips[0].name}.wav"' in (tmp_path / "all.jsonl").read_text()
    out = tmp_path / "out.jsonl"
    assert main(["transcribe", str(tmp_path / "all.jsonl"), "--out", str(out)]) == 0
    assert [u.id for u in read_manifest(out)] == [u.id for u in found]


def test_what_is_not_there_is_one_line(
    memory: str, served: tuple[Path, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{memory}/x", b"")
    for url in (f"{memory}/gone.jsonl", f"{served[1]}/gone.jsonl"):
        assert main(["data", "stats", url]) == 2
        assert f"{url}: no such file" in capsys.readouterr().err
    assert main(["data", "stats", "nosuch://a/b.jsonl"]) == 2
    assert "nosuch://a/b.jsonl: cannot be reached or read" in capsys.readouterr().err
    assert main(["data", "stats", f"{memory}/set-{{0..3}}.tar"]) == 2
    assert "copy them here" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert main(["data", "stats", "s3://bucket/m.jsonl"]) == 2
    assert "a package for 's3' is missing: Install s3fs" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(SecateurError, match=r"is not installed.*\[remote\]|\[remote\].*is not installed"):
        read_manifest(f"{memory}/gone.jsonl")


def test_json_files(memory: str) -> None:
    write_json(f"{memory}/a/b.json", {"a": 1})
    assert read_json(f"{memory}/a/b.json") == {"a": 1}
