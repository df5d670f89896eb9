"""`secateur data check, stats, split` as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from secateur.cli import main
from secateur.data.demo import BUNDLED
from secateur.data.manifest import Utterance, read_manifest, write_manifest

TRAIN = str(BUNDLED / "train.jsonl")


def test_check_exits_with_1_when_there_are_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", TRAIN]) == 0
    assert capsys.readouterr().out == "30 utterances, no problems\n"
    utterances = [*read_manifest(TRAIN), Utterance("gone", tmp_path / "gone.wav", 1.0, "a text")]
    write_manifest(tmp_path / "m.jsonl", utterances)
    assert main(["data", "check", str(tmp_path / "m.jsonl"), "--write", str(tmp_path / "sound.jsonl")]) == 1
    out = capsys.readouterr().out
    assert "missing     gone  no such file" in out
    assert out.endswith("31 utterances, 1 problems\n")
    assert [u.id for u in read_manifest(tmp_path / "sound.jsonl")] == [u.id for u in read_manifest(TRAIN)]
    assert main(["data", "check", str(tmp_path / "m.jsonl"), "--json", "--audio", "no"]) == 1
    assert [p["problem"] for p in json.loads(capsys.readouterr().out)["problems"]] == ["missing"]
    assert main(["data", "check", TRAIN, TRAIN, "--write", str(tmp_path / "x.jsonl")]) == 2


def test_check_goes_on_after_lines_that_are_no_utterance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Path(TRAIN).read_text().splitlines()[:6]
    whole = [json.loads(line) | {"audio": str(BUNDLED / json.loads(line)["audio"])} for line in lines]
    rows = [json.dumps(row) for row in whole[:5]]
    again, silent = whole[2] | {"audio": str(tmp_path / "gone.wav")}, whole[5] | {"text": ""}
    rows[1:1] = [json.dumps(again), '{"id": "x"', json.dumps(whole[4] | {"duration": "2 s"}), json.dumps(silent)]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(rows))
    assert main(["data", "check", str(path), "--json", "--write", str(tmp_path / "good.jsonl")]) == 1
    result = json.loads(capsys.readouterr().out)
    first, name = whole[2]["id"], f"{path}"
    assert {(p["id"], p["problem"]) for p in result["problems"]} == {
        (first, "missing"), (first, "same-id"), ("line 3", "line"), ("line 4", "line"),
    }  # fmt: skip
    details = {p["problem"]: p["detail"] for p in result["problems"]}
    assert details["same-id"] == f"{name}, line 7: id '{first}' is already on line 2"
    assert details["line"] == 'duration: expected a number of seconds, found "2 s"'
    assert [u.id for u in read_manifest(tmp_path / "good.jsonl")] == [
        whole[i]["id"] for i in (0, 5, 1, 3, 4)
    ]  # fmt: skip
    assert any("fewer than 20 transcripts in en, too few" in remark for remark in result["remarks"])
    assert any('1 clips have the text ""' in remark for remark in result["remarks"])
    path.write_text('{"id": "x"\n{"id": 3}\n')
    assert main(["data", "check", str(path)]) == 2
    assert "line 1: not valid JSON" in capsys.readouterr().err


def test_stats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "stats", TRAIN, "--by", "speaker", "--histogram", str(tmp_path / "h.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[1] == "30"
    assert {line.split()[0] for line in lines[4:]} == {"ada", "ben", "cleo", "dev", "ella", "finn", "kate", "liam"}
    assert (tmp_path / "h.png").stat().st_size > 5000
    assert main(["data", "stats", TRAIN, "--by", "mood"]) == 2
    assert "no utterance has 'mood'" in capsys.readouterr().err


def test_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "split", TRAIN, "--out", str(tmp_path / "s"), "--shares", "train=2,test=1", "--json"]
    assert main(words) == 0
    result = json.loads(capsys.readouterr().out)
    assert {name: values["speakers"] for name, values in result.items() if name != "shared_texts"} == {
        "train": 5,
        "test": 3,
    }
    back = [u for name in ("train", "test") for u in read_manifest(tmp_path / "s" / f"{name}.jsonl")]
    assert sorted(u.audio for u in back) == sorted(u.audio for u in read_manifest(TRAIN))
    for bad in ("train", "train=x", "=1"):
        assert main([*words[:6], bad]) == 2
        assert "--shares" in capsys.readouterr().err


def test_shared_texts_are_warned_of_and_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    utterances = [Utterance(f"{s}{i}", tmp_path / "a.wav", 1.0, f"text {i}", s) for s in "abcdef" for i in range(3)]
    own = [Utterance(f"{s}-own", tmp_path / "a.wav", 1.0, f"only {s}", s) for s in "abcdef"]
    write_manifest(tmp_path / "m.jsonl", utterances + own)
    words = ["data", "split", str(tmp_path / "m.jsonl"), "--out", str(tmp_path / "s"), "--shares", "train=2,test=1"]
    assert main(words) == 0
    assert "warning: texts occur in several splits: train and test share 3" in capsys.readouterr().err
    assert main([*words, "--drop-shared-texts"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert {u.text[:4] for u in read_manifest(tmp_path / "s" / "train.jsonl")} == {"only"}
    assert len(read_manifest(tmp_path / "s" / "test.jsonl")) == 8


def test_help_has_examples_and_nothing_heavy_is_imported(capsys: pytest.CaptureFixture[str]) -> None:
    script = (
        "import sys; from secateur.cli import main; main(['data']); main(['data', 'download']);"
        "print(sorted({'torch', 'matplotlib', 'rich', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for name in ("prepare", "check", "stats", "split", "download"):
        assert f"\n  {name} " in done.stdout
        with pytest.raises(SystemExit):
            main(["data", name, "--help"])
        assert f"example:\n  secateur data {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "0.300000 2.687000 turn on the light 3.287000 5.690200 turn off the heating",
        "00:00:01,000 --> 00:00:03,000 turn on the light", "[00:12] turn on the light", "[0.00 - 2.50] turn it on",
    ],
)  # fmt: skip
def test_times_inside_of_texts_are_problems(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = read_manifest(TRAIN)
    write_manifest(tmp_path / "m.jsonl", [replace(clips[0], text=text), *clips[1:]])
    assert main(["data", "check", str(tmp_path / "m.jsonl"), "--audio", "no", "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert ("ada-00", "times") in {(p["id"], p["problem"]) for p in problems}


def test_casing_and_missing_speakers_are_remarked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shouted = [replace(u, text=u.text.upper()) for u in read_manifest(TRAIN)]
    shouted[::2] = [replace(u, speaker="") for u in shouted[::2]]
    write_manifest(tmp_path / "m.jsonl", shouted)
    assert main(["data", "check", str(tmp_path / "m.jsonl"), "--audio", "no"]) == 0
    out = capsys.readouterr().out
    assert "texts are in upper case only" in out
    assert "15 clips name no speaker" in out
    assert main(["data", "check", TRAIN, "--audio", "no"]) == 0
    assert "remark" not in capsys.readouterr().out
