"""Whole downloads of small copies of the public sets, from a loopback server, through the command line."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import layout_trees as trees
import pytest
from speech_server import Server, serve

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.data import download as module
from secateur.data import manifest
from secateur.data.demo import demo_speech
from secateur.data.download import SOURCES, download
from secateur.data.manifest import Utterance, read_manifest


def pack(folder: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as out:
        for inside in sorted(folder.iterdir()):
            out.add(inside, inside.name)
    return path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    with serve(tmp_path / "www") as running:
        yield running


def md5(path: Path) -> str:
    return f"md5:{hashlib.md5(path.read_bytes()).hexdigest()}"


@pytest.fixture
def mini(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """mini LibriSpeech in small: the registry gets the checksums of the copies."""
    source = SOURCES["mini-librispeech"]
    parts = {}
    for number, (name, archive) in enumerate(source.parts.items()):
        tree = trees.librispeech(tmp_path / "tree" / name, name, 10, 100 * number)
        parts[name] = dataclasses.replace(archive, checksum=md5(pack(tree, server.folder / archive.path)))
    monkeypatch.setitem(module.SOURCES, "mini-librispeech", dataclasses.replace(source, parts=parts))
    return server


def speakers(utterances: list[Utterance]) -> set[str]:
    return {u.speaker for u in utterances}


def test_mini_librispeech(mini: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mini.cut_after = [1500]  # the first archive breaks once
    assert main(["data", "download", "mini-librispeech", "--base-url", mini.url, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    sets = {split: read_manifest(values["manifest"]) for split, values in result.items()}
    assert {split: len(s) for split, s in sets.items()} == {"train": 18, "dev": 2, "test": 20}
    assert not speakers(sets["train"]) & speakers(sets["dev"])
    assert speakers(sets["test"]) == {str(i) for i in range(100, 110)}
    assert all(u.audio.is_file() and u.text for s in sets.values() for u in s)
    assert ("/31/train-clean-5.tar.gz", "bytes=1500-") in mini.requests
    folder = tmp_path / "cache" / "data" / "mini-librispeech"
    assert not list(folder.rglob("*.tar.gz*"))
    mini.requests.clear()
    assert set(download("mini-librispeech", base_url=mini.url)) == {"train", "dev", "test"}
    assert mini.requests == []


def test_the_demo_fetches_from_the_server_that_answers(
    mini: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECATEUR_DATA", raising=False)
    monkeypatch.delenv("SECATEUR_OFFLINE", raising=False)
    monkeypatch.setattr(manifest, "CHECKOUT", tmp_path)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    both = dataclasses.replace(module.SOURCES["mini-librispeech"], bases=("http://127.0.0.1:9/", mini.url))
    monkeypatch.setitem(module.SOURCES, "mini-librispeech", both)
    speech = demo_speech()
    assert (speech.name, speech.synthetic) == ("mini-librispeech", False)
    heard = [speakers(read_manifest(path)) for path in (speech.train, speech.dev, speech.test)]
    assert sum(map(len, heard)) == len(set.union(*heard)) == 20


def test_a_wrong_checksum_is_one_line_and_leaves_nothing(
    mini: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = mini.folder / "31" / "train-clean-5.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-1] + b"x")
    words = ["data", "download", "mini-librispeech", "--base-url", mini.url, "--out", str(tmp_path / "out")]
    assert main(words) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("secateur: train-clean-5.tar.gz could not be fetched; tried http://127.0.0.1")
    assert "wrong checksum: md5" in last
    assert list((tmp_path / "out").rglob("*")) == []


def test_a_server_that_is_gone_is_named(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SecateurError, match=r"tried http://127.0.0.1:9/an4_sphere.tar.gz \(Connection refused\)"):
        download("an4", tmp_path / "out", base_url="http://127.0.0.1:9")


def test_more_parts_are_added(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SOURCES["librispeech"]
    parts = dict(source.parts)
    for number, name in enumerate(("dev-clean", "test-clean")):
        tree = trees.librispeech(tmp_path / "tree" / name, name, 2, 10 * number)
        parts[name] = dataclasses.replace(parts[name], checksum=md5(pack(tree, server.folder / parts[name].path)))
    monkeypatch.setitem(module.SOURCES, "librispeech", dataclasses.replace(source, parts=parts))
    assert set(download("librispeech", parts=["dev-clean"], base_url=server.url)) == {"dev-clean"}
    assert set(download("librispeech", parts=["test-clean"], base_url=server.url)) == {"dev-clean", "test-clean"}
    assert len(server.requests) == 2


def test_an4_has_no_published_checksum(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack(trees.an4(tmp_path / "tree"), server.folder / "an4_sphere.tar.gz")
    manifests = download("an4", tmp_path / "out", base_url=server.url)
    assert {split: len(read_manifest(path)) for split, path in manifests.items()} == {"train": 9, "dev": 1, "test": 2}
    assert "gives no checksum; SHA-256" in capsys.readouterr().err
    assert (tmp_path / "out" / "an4_sphere.tar.gz.sha256").exists()


def test_speech_commands_and_aishell(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = trees.aishell(tmp_path / "aishell") / "data_aishell"
    for speaker in [p for p in (inner / "wav").iterdir() if p.is_dir()]:
        pack(speaker, inner / "wav" / f"{speaker.name}.tar.gz")
        for file in sorted(speaker.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        speaker.rmdir()
    trees_of = {"aishell": tmp_path / "aishell", "speech-commands": trees.speech_commands(tmp_path / "commands")}
    for name, tree in trees_of.items():
        source = SOURCES[name]
        archive = source.parts["all"]
        packed = dataclasses.replace(archive, checksum="")
        pack(tree, server.folder / archive.path)
        monkeypatch.setitem(module.SOURCES, name, dataclasses.replace(source, parts={"all": packed}))
        manifests = download(name, tmp_path / "out" / name, base_url=server.url, keep_archives=True)
        sets = {split: read_manifest(path) for split, path in manifests.items()}
        count = {"aishell": 1, "speech-commands": 2}[name]
        assert {split: len(s) for split, s in sets.items()} == {"train": count, "dev": count, "test": count}
        assert {u.language for s in sets.values() for u in s} == {source.language}
        assert (tmp_path / "out" / name / Path(archive.path).name).exists()


def test_an_archive_of_something_else(server: Server, tmp_path: Path) -> None:
    trees.text(tmp_path / "tree" / "README", "nothing")
    pack(tmp_path / "tree", server.folder / "an4_sphere.tar.gz")
    with pytest.raises(SecateurError, match="no recordings in the layout 'an4'"):
        download("an4", tmp_path / "out", base_url=server.url)


def test_unknown_names_and_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "download", "mini-librispech"]) == 2
    assert "unknown set 'mini-librispech' (did you mean 'mini-librispeech'?)" in capsys.readouterr().err
    assert main(["data", "download", "librispeech", "--parts", "dev-klean"]) == 2
    assert "librispeech has no part 'dev-klean' (did you mean 'dev-clean'?)" in capsys.readouterr().err
    assert main(["data", "download"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(SOURCES)


def test_the_registry_is_sound() -> None:
    for source in SOURCES.values():
        assert source.layout in module.LAYOUTS
        assert set(source.default) <= set(source.parts)
        for archive in source.parts.values():
            kind, _, digest = archive.checksum.partition(":")
            assert len(digest) == {"md5": 32, "sha256": 64, "": 0}[kind]
