"""The demo's speech: the best there is, and the bundled synthetic one loudly as the last."""

from __future__ import annotations

import dataclasses
import shutil
import socket
from pathlib import Path

import pytest

from secateur.data import download as module
from secateur.data import manifest
from secateur.data.check import check
from secateur.data.demo import BUNDLED, SPLITS, demo_speech
from secateur.data.manifest import read_manifest
from secateur.data.split import shared_texts


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data folder, an empty cache, and a server that is gone."""
    monkeypatch.delenv("SECATEUR_DATA", raising=False)
    monkeypatch.delenv("SECATEUR_OFFLINE", raising=False)
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(manifest, "CHECKOUT", tmp_path / "project")
    gone = dataclasses.replace(module.SOURCES["mini-librispeech"], bases=("http://127.0.0.1:9/",))
    monkeypatch.setitem(module.SOURCES, "mini-librispeech", gone)


def test_without_network_the_bundled_speech_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    speech = demo_speech()
    said = capsys.readouterr().err
    assert speech.synthetic
    assert speech.name == "bundled"
    assert "mini LibriSpeech: none of its 1 servers answers" in said
    assert said.count("SYNTHETIC SPEECH") == 1
    assert "SYNTHETIC" in speech.note


def test_a_server_that_accepts_and_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        source = dataclasses.replace(module.SOURCES["mini-librispeech"], bases=(url, url + "mirror/"))
        monkeypatch.setitem(module.SOURCES, "mini-librispeech", source)
        assert demo_speech(patience=0.2).name == "bundled"


def test_a_folder_that_is_a_set_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(BUNDLED, tmp_path / "mine")
    monkeypatch.setenv("SECATEUR_DATA", str(tmp_path / "mine"))
    speech = demo_speech()
    assert (speech.name, speech.synthetic, speech.dev) == ("mine", False, tmp_path / "mine" / "dev.jsonl")


def test_offline_asks_no_server(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECATEUR_OFFLINE", "1")
    assert demo_speech().synthetic
    assert "fetch" not in capsys.readouterr().err


def test_real_sets_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("another", "speechocean762"):
        shutil.copytree(BUNDLED, tmp_path / "data" / name)
    (tmp_path / "data" / "partial").mkdir()
    shutil.copy(BUNDLED / "train.jsonl", tmp_path / "data" / "partial")
    monkeypatch.setenv("SECATEUR_DATA", str(tmp_path / "data"))
    speech = demo_speech()
    assert (speech.name, speech.synthetic) == ("speechocean762", False)
    assert speech.train == tmp_path / "data" / "speechocean762" / "train.jsonl"
    shutil.rmtree(tmp_path / "data" / "speechocean762")
    assert demo_speech().name == "another"
    shutil.rmtree(tmp_path / "data" / "another")
    assert demo_speech(fetch=False).name == "bundled"
    assert "SYNTHETIC" in capsys.readouterr().err


def test_a_finished_download_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "data" / "mini-librispeech"
    shutil.copytree(BUNDLED, folder)
    assert demo_speech(fetch=False).name == "bundled"  # nothing says that it is finished
    (folder / "parts.json").write_text('["dev-clean-2", "train-clean-5"]')
    speech = demo_speech()
    assert (speech.name, speech.synthetic, speech.test) == ("mini-librispeech", False, folder / "test.jsonl")


def test_the_bundled_speech_is_sound_and_small() -> None:
    sets = {split: read_manifest(BUNDLED / f"{split}.jsonl") for split in SPLITS}
    everything = [u for members in sets.values() for u in members]
    assert len(everything) == 48
    assert [p for members in sets.values() for p in check(members)] == []
    assert all(2 <= u.duration <= 5 for u in everything)
    heard = [{u.speaker for u in members} for members in sets.values()]
    assert sum(map(len, heard)) == len(set.union(*heard)) == 12
    assert shared_texts(sets) == {}
    assert sum(f.stat().st_size for f in BUNDLED.rglob("*") if f.is_file()) < 1_000_000
    assert {u.audio for u in everything} == set(BUNDLED.rglob("*.opus"))
