"""Manifests whose lines are parts of long recordings: every reader takes the part, none the whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from secateur.audio.read import read_audio
from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.data.check import check
from secateur.data.clip import read_clip
from secateur.data.clip_index import ClipIndex
from secateur.data.demo import BUNDLED
from secateur.data.manifest import Utterance, iter_manifest, read_manifest, write_manifest
from secateur.data.pack import pack
from secateur.data.shards import write_shard
from secateur.runtime.contents import BUNDLED as MODELS

RATE = 16000


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of six clips that are parts of one recording; each keeps its own file's name in `whole`."""
    folder = tmp_path_factory.mktemp("long")
    clips = read_manifest(BUNDLED / "train.jsonl")[:6]
    pieces, made, at = [np.zeros(RATE, np.float32)], [], 1.0
    for u in clips:
        samples = read_audio(u.audio)
        extras = {"whole": str(u.audio)}
        made.append(
            Utterance(u.id, folder / "long.flac", len(samples) / RATE, u.text, u.speaker, extras=extras, offset=at)
        )
        pieces += [samples, np.zeros(RATE // 2, np.float32)]
        at += len(samples) / RATE + 0.5
    soundfile.write(folder / "long.flac", np.concatenate(pieces), RATE)
    write_manifest(folder / "all.jsonl", made)
    return folder / "all.jsonl"


def assert_own_samples(samples: np.ndarray, u: Utterance) -> None:
    own = read_audio(u.extras["whole"])
    assert abs(len(samples) - len(own)) <= 2
    length = min(len(samples), len(own))
    assert np.abs(samples[:length] - own[:length]).max() < 1e-3


def test_a_manifest_keeps_parts(long: Path, tmp_path: Path) -> None:
    read = read_manifest(long)
    assert read[0].offset == 1.0
    write_manifest(tmp_path / "again.jsonl", read)
    assert read_manifest(tmp_path / "again.jsonl") == read
    for u in read:
        assert_own_samples(read_clip(u), u)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"offset": -1}, "offset: -1 is no time in a recording"),
        ({"offset": "3"}, "offset: expected a number of seconds"),
        ({"offset": True}, "offset: expected a number of seconds"),
        ({"offset": 0, "duration": 0}, "0 seconds from offset 0 on"),
        ({"start": 2.5}, "unknown field 'start': rename it to 'offset'"),
        ({"channel": 1.5}, r"channel: expected a number from 0 \(left\)"),
    ],
)
def test_what_is_no_part_is_refused(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    line = {"id": "a", "audio": "a.wav", "duration": 1.0, **fields}
    (tmp_path / "m.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(SecateurError, match=message):
        read_manifest(tmp_path / "m.jsonl")


def test_a_part_that_the_recording_does_not_hold(long: Path, tmp_path: Path) -> None:
    end = soundfile.info(long.parent / "long.flac").duration
    beyond = Utterance("x", long.parent / "long.flac", 2.0, "text", offset=end - 1.0)
    with pytest.raises(SecateurError, match="does not hold the segment"):
        read_clip(beyond)
    assert [(p.kind, p.id) for p in check([*read_manifest(long), beyond])] == [("duration", "x")]


def test_both_banks(long: Path) -> None:
    pytest.importorskip("torch")
    from secateur.data.bank import AudioBank, StreamedBank

    index = ClipIndex([long])
    banks = (AudioBank.read(read_manifest(long), label=""), StreamedBank(index, threads=1))
    for bank in banks:
        audio, lengths = bank.gather([4, 1])
        for row, u in enumerate((index[4], index[1])):
            assert_own_samples(audio[row, : lengths[row]].numpy(), u)


def test_kept_banks_tell_parts_apart(long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from dataclasses import replace

    from secateur.data.bank import AudioBank

    monkeypatch.setenv("SECATEUR_BANKS", str(tmp_path))
    one = read_manifest(long)[0]
    for u in (one, replace(one, offset=2.0, duration=0.7)):
        assert AudioBank.read([u], label="").lengths.tolist() == [round(u.duration * RATE)]


def test_check_stats_and_split(long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(long)]) == 0
    assert main(["data", "stats", str(long), "--json"]) == 0
    text = capsys.readouterr().out
    hours = json.loads(text[text.index("{") :])["sets"][str(long)]["hours"]
    assert hours == pytest.approx(sum(u.duration for u in read_manifest(long)) / 3600)
    assert main(["data", "split", str(long), "--out", str(tmp_path), "--shares", "train=1,test=1", "--by", "id"]) == 0
    parts = [u for name in ("train", "test") for u in read_manifest(tmp_path / f"{name}.jsonl")]
    assert {(u.id, u.offset) for u in parts} == {(u.id, u.offset) for u in read_manifest(long)}


def test_archives_hold_the_parts_alone(long: Path, tmp_path: Path) -> None:
    packed = pack(long, tmp_path / "set", clips=4, quiet=True)
    for u, part in zip(read_manifest(long), iter_manifest(packed.pattern), strict=True):
        assert (part.id, part.text, part.duration, part.offset) == (u.id, u.text, u.duration, None)
        assert_own_samples(read_clip(part), u)


def test_archives_of_others(long: Path, tmp_path: Path) -> None:
    """An offset says where a member was cut from that is as long as stated; of a longer one it selects a part."""
    one = read_manifest(long)[2]
    whole, recording = Path(one.extras["whole"]).read_bytes(), (long.parent / "long.flac").read_bytes()
    fields = {"text": one.text, "offset": one.offset, "duration": one.duration}
    clips = [("cut", Path(one.extras["whole"]).suffix[1:], whole, fields), ("long", "flac", recording, fields)]
    write_shard(tmp_path / "a.tar", clips)
    cut, part = iter_manifest(tmp_path / "a.tar")
    assert (cut.offset, part.offset) == (None, one.offset)
    for u in (cut, part):
        assert_own_samples(read_clip(u), one)


def test_recognition_of_manifests(long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = [Utterance(u.id, Path(u.extras["whole"]), u.duration, u.text, u.speaker) for u in read_manifest(long)]
    write_manifest(tmp_path / "whole.jsonl", whole)
    texts, results = [], []
    for manifest in (long, tmp_path / "whole.jsonl"):
        out = tmp_path / f"{manifest.stem}-out.jsonl"
        assert main(["transcribe", str(manifest), "--out", str(out)]) == 0
        texts.append([(u.id, u.text) for u in iter_manifest(out)])
        capsys.readouterr()
        model = str(next(MODELS.glob("*/encoder.onnx")).parent)
        assert main(["evaluate", model, str(manifest), "--json"]) == 0
        results.append(json.loads(capsys.readouterr().out))
    assert texts[0] == texts[1]
    assert {u.offset for u in iter_manifest(tmp_path / "all-out.jsonl")} == {u.offset for u in read_manifest(long)}
    assert results[0]["rate"] == results[1]["rate"]
    assert results[0]["seconds_audio"] == pytest.approx(sum(u.duration for u in whole), abs=0.01)


def test_an_empty_text_is_no_missing_one(tmp_path: Path, long: Path) -> None:
    lines = [{"id": "quiet", "text": ""}, {"id": "unknown"}]
    audio = {"audio": str(long.parent / "long.flac"), "duration": 1.0, "offset": 0}
    (tmp_path / "m.jsonl").write_text("".join(json.dumps({**line, **audio}) + "\n" for line in lines))
    quiet, unknown = read_manifest(tmp_path / "m.jsonl")
    assert (quiet.no_speech, quiet.labelled, unknown.no_speech, unknown.labelled) == (True, True, False, False)
    write_manifest(tmp_path / "again.jsonl", [quiet, unknown])
    assert read_manifest(tmp_path / "again.jsonl") == [quiet, unknown]
    assert [p.id for p in check([quiet, unknown], audio=False) if p.kind == "no-text"] == ["unknown"]
