"""Whole sets to one manifest or a file a clip: resumed after a kill, failures told apart, the same texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import secateur
from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.data.manifest import Utterance, read_manifest, write_manifest
from secateur.runtime.bulk import run as job
from secateur.runtime.bulk.clips import cut
from secateur.runtime.bulk.run import BulkSettings, transcribe_all
from secateur.runtime.bulk.worker import TranscribeSpec
from secateur.runtime.recogniser import Recogniser

DEV = Path(secateur.__file__).parent / "data" / "bundled" / "dev.jsonl"
PIECES = BulkSettings(piece_clips=3)


def test_a_killed_run_goes_on_and_nothing_is_heard_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "heard.jsonl"
    heard: list[int] = []
    make = job.make_worker

    def dying(spec: TranscribeSpec) -> Any:
        hear = make(spec)

        def one(piece: Any) -> Any:
            if len(heard) == 1:
                raise KeyboardInterrupt
            heard.append(piece.number)
            return hear(piece)

        return one

    monkeypatch.setattr(job, "make_worker", dying)
    with pytest.raises(KeyboardInterrupt):
        transcribe_all([str(DEV)], TranscribeSpec(None), out, PIECES)
    assert not out.exists() and len(list((tmp_path / "heard.jsonl.pieces").glob("0*.jsonl"))) == 1
    with pytest.raises(SecateurError, match="unfinished run with other pieces is here"):
        transcribe_all([str(DEV)], TranscribeSpec(None), out, BulkSettings(piece_clips=4))
    monkeypatch.setattr(job, "make_worker", make)
    done = transcribe_all([str(DEV)], TranscribeSpec(None), out, PIECES)
    assert (done["heard"], done["pieces"], done["kept"], heard) == (8, 3, 1, [0])
    assert list(tmp_path.iterdir()) == [out]
    clips = read_manifest(DEV)
    alone = [t.text for t in Recogniser.load().transcribe_batch([u.audio for u in clips])]
    found = read_manifest(out)
    assert [u.text for u in found] == alone
    assert [u.extras["reference"] for u in found] == [u.text for u in clips]
    assert [(u.id, u.audio, u.speaker) for u in found] == [(u.id, u.audio, u.speaker) for u in clips]


def test_what_cannot_be_heard_is_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = read_manifest(DEV)[:2]
    (tmp_path / "noise.wav").write_bytes(b"no sound")
    wrong = [Utterance("gone", tmp_path / "gone.wav", 1.0), Utterance("noise", tmp_path / "noise.wav", 1.0)]
    write_manifest(tmp_path / "some.jsonl", [clips[0], *wrong, clips[1]])
    assert main(["transcribe", str(tmp_path / "some.jsonl"), "--out", str(tmp_path / "out.jsonl")]) == 2
    assert "2 clips transcribed, 2 could not be transcribed (see" in capsys.readouterr().out
    assert [u.id for u in read_manifest(tmp_path / "out.jsonl")] == [u.id for u in clips]
    lines = [json.loads(line) for line in (tmp_path / "out.failed.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["gone", "noise"]
    assert lines[0]["problem"] == "no such file" and lines[1]["problem"].startswith("not audio but text")


def test_sets_come_from_urls_and_go_to_urls(
    own_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fsspec = pytest.importorskip("fsspec")
    store, clips = fsspec.filesystem("memory"), read_manifest(DEV)[:2]
    store.put_file(str(clips[0].audio), "/bulk/a.opus")
    lines = [{"id": name, "audio": f"{name}.opus", "duration": 2.0, "text": ""} for name in ("a", "gone")]
    store.pipe_file("/bulk/in.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    assert main(["transcribe", "memory://bulk/in.jsonl", "--out", "memory://bulk/out/set.jsonl"]) == 2
    said = capsys.readouterr().out
    assert said.startswith("memory://bulk/out/set.jsonl: 1 clips") and "see memory://bulk/out/set.failed.jsonl" in said
    found = [json.loads(line) for line in store.cat_file("/bulk/out/set.jsonl").splitlines()]
    assert [(line["id"], line["text"]) for line in found] == [("a", Recogniser.load().transcribe(clips[0].audio).text)]
    assert json.loads(store.cat_file("/bulk/out/set.failed.jsonl"))["id"] == "gone"
    assert main(["transcribe", "memory://bulk/in.jsonl", "--out", "memory://bulk/texts"]) == 2
    assert store.cat_file("/bulk/texts/a.txt").decode().strip() == found[0]["text"]
    assert not list((own_cache / "pieces").iterdir()) and not list(tmp_path.glob("memory*"))


def test_a_folder_and_subtitles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest with --format srt gives a file a clip; a folder with --out FILE.jsonl a line a file."""
    write_manifest(tmp_path / "two.jsonl", read_manifest(DEV)[:2])
    assert main(["transcribe", str(tmp_path / "two.jsonl"), "--out", str(tmp_path / "o"), "--format", "srt"]) == 0
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["gus-00.srt", "hana-01.srt"]
    assert (tmp_path / "o" / "gus-00.srt").read_text().splitlines()[2] == "turn the heating up in the bathroom"
    words = ["transcribe", str(DEV.parent / "dev"), "--out", str(tmp_path / "f.jsonl"), "--timestamps"]
    assert main(words) == 0
    found = read_manifest(tmp_path / "f.jsonl")
    assert len(found) == 8 and found[0].id == "gus-00.opus" and found[0].extras["segments"][0]["end"] > 1
    capsys.readouterr()
    assert main(["transcribe", str(DEV)]) == 2
    assert "need --out" in capsys.readouterr().err


def test_pieces_hold_what_was_asked_for() -> None:
    clips = [Utterance(str(i), Path("/a"), seconds) for i, seconds in enumerate((4.0, 4.0, 4.0, 30.0, 0.0, 1.0))]
    assert [[u.id for u in p.clips] for p in cut(clips, 8, 3)] == [["0", "1"], ["2"], ["3"], ["4"], ["5"]]
    assert [len(p.clips) for p in cut(clips, 1e9, 4)] == [4, 2]
    assert [p.number for p in cut(clips, 8, 3)] == [0, 1, 2, 3, 4]


def test_names_that_clash_are_refused_before_anything_is_heard(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.opus", "a.ogg", "b.c.opus"):
        (folder / name).write_bytes((DEV.parent / "dev" / "gus-00.opus").read_bytes())
    with pytest.raises(SecateurError, match="'a' occurs twice"):
        transcribe_all([str(folder)], TranscribeSpec(None), tmp_path / "out", PIECES)
    with pytest.raises(SecateurError, match="'gus-00' occurs twice"):
        transcribe_all([str(DEV), str(DEV)], TranscribeSpec(None), tmp_path / "twice.jsonl", PIECES)
    (folder / "a.ogg").unlink()
    with pytest.raises(SecateurError, match="unfinished run with other inputs is here"):
        transcribe_all([str(folder)], TranscribeSpec(None), tmp_path / "out", PIECES)
    transcribe_all([str(folder)], TranscribeSpec(None), tmp_path / "new", PIECES)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.txt", "b.c.txt"]
