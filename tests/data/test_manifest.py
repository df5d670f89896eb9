"""Manifests: what is written is read back, and every mistake in a file is named by line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.base.errors import SecateurError
from secateur.data import manifest
from secateur.data.manifest import (
    Utterance,
    find_speech,
    iter_manifest,
    limit,
    read_manifest,
    write_manifest,
)

GOOD = {"id": "a", "audio": "wav/a.wav", "duration": 1.5, "text": "hello", "speaker": "s1"}


def lines(path: Path, *values: Any) -> Path:
    path.write_text("".join((v if isinstance(v, str) else json.dumps(v)) + "\n" for v in values), encoding="utf-8")
    return path


def message(path: Path) -> str:
    with pytest.raises(SecateurError) as caught:
        read_manifest(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_round_trip(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    first = Utterance("a", folder / "wav" / "a.wav", 1.25, "héllo 世界", "s1", "zh", {"age": 6, "slots": {"x": [1]}})
    second = Utterance("b", tmp_path / "elsewhere" / "b.flac", 2.0)
    write_manifest(folder / "train.jsonl", [first, second])
    assert read_manifest(folder / "train.jsonl") == [first, second]
    written = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert written[0]["audio"] == "wav/a.wav"
    assert written[1] == {"id": "b", "audio": "../elsewhere/b.flac", "duration": 2.0, "language": "en"}
    folder.rename(tmp_path / "moved")
    assert read_manifest(tmp_path / "moved" / "train.jsonl")[0].audio == tmp_path / "moved" / "wav" / "a.wav"


def test_audio_that_shares_only_the_root_stays_absolute(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [Utterance("a", Path("/no-such-place/a.wav"), 1.0)])
    assert json.loads((tmp_path / "m.jsonl").read_text())["audio"] == "/no-such-place/a.wav"


@given(text=st.text(), speaker=st.text(), name=st.text(min_size=1).filter(str.strip))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, text: str, speaker: str, name: str) -> None:
    try:
        (text + speaker + name).encode()
    except UnicodeEncodeError:  # lone surrogates are not text
        return
    folder = tmp_path_factory.getbasetemp()
    utterance = Utterance(name, folder / "a.wav", 1.0, text, speaker)
    write_manifest(folder / "any.jsonl", [utterance])
    assert read_manifest(folder / "any.jsonl") == [utterance]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"duration": "1.5"}, 'duration: expected a number of seconds, found "1.5"'),
        ({"duration": True}, "duration: expected a number of seconds, found true"),
        ({"duration": -1}, "duration: -1 is not a length in seconds"),
        ({"duration": float("nan")}, "duration: nan is not a length in seconds"),
        ({"text": None}, "text: expected text in quotes, found null"),
        ({"speaker": 17}, "speaker: expected text in quotes, found 17"),
        ({"id": " "}, "id: empty"),
    ],
)
def test_wrong_values_name_line_and_field(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    path = lines(tmp_path / "m.jsonl", GOOD, "", GOOD | {"id": "b"} | change)
    assert message(path) == f"{path}, line 3: {expected}"


@pytest.mark.parametrize(
    ("missing", "added", "expected"),
    [
        ("duration", {}, "missing field 'duration'"),
        ("audio", {"audio_filepath": "a.wav"}, "unknown field 'audio_filepath': rename it to 'audio'"),
        ("text", {"txt": "hello"}, "unknown field 'txt': rename it to 'text'"),
        ("speaker", {"Speaker": "x"}, "unknown field 'Speaker': rename it to 'speaker'"),
        ("text", {"sentence": "hello"}, "unknown field 'sentence': rename it to 'text'"),
        ("id", {"name_of_it": "a"}, "missing field 'id'"),
    ],
)
def test_names_of_fields(tmp_path: Path, missing: str, added: dict[str, Any], expected: str) -> None:
    values = {k: v for k, v in GOOD.items() if k != missing} | added
    path = lines(tmp_path / "m.jsonl", values)
    hint = ", or let `secateur data prepare` make a manifest of it"
    assert message(path).removesuffix(hint) == f"{path}, line 1: {expected}"
    assert message(path).endswith(hint) == any(word in expected for word in ("rename", "missing"))


def test_unknown_fields_that_are_no_typo_are_kept(tmp_path: Path) -> None:
    extras = {"age": 6, "gender": "f", "accent": "x", "split": "dev", "texts": ["a"], "intent": None}
    assert read_manifest(lines(tmp_path / "m.jsonl", GOOD | extras))[0].extras == extras


def test_broken_files(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    assert "line 1: not valid JSON (column" in message(lines(path, '{"id": "a",'))
    assert message(lines(path, GOOD, [1, 2])).endswith("found [1, 2]")
    for other in ([GOOD], "audio,text", "<html>"):
        assert "line 1: no JSON object" in message(lines(path, other)) and "`secateur data prepare`" in message(path)
    assert message(lines(path, GOOD, GOOD)) == f"{path}, line 2: id 'a' is already on line 1"
    assert message(lines(path, "")) == f"{path}: no utterances in it"
    path.write_bytes(b'{"id": "\xff"}\n')
    assert "line 1: not UTF-8" in message(path)
    assert message(tmp_path / "n.jsonl") == f"{tmp_path / 'n.jsonl'}: no such file (there are m.jsonl)"
    assert "a folder, not a manifest" in message(tmp_path)


def test_a_byte_order_mark_and_line_separators_in_text(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD | {"text": "a\u2028b"}, ensure_ascii=False).encode() + b"\r\n")
    assert [u.text for u in read_manifest(path)] == ["a\u2028b"]


def test_lines_are_read_when_asked_for(tmp_path: Path) -> None:
    utterances = iter_manifest(lines(tmp_path / "m.jsonl", GOOD, "not JSON"))
    assert next(utterances).id == "a"
    with pytest.raises(SecateurError, match="line 2"):
        next(utterances)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    one = Utterance("a", tmp_path / "a.wav", 1.0)
    write_manifest(tmp_path / "m.jsonl", [one])
    with pytest.raises(SecateurError, match="id 'a' occurs twice"):
        write_manifest(tmp_path / "m.jsonl", [one, one])
    with pytest.raises(SecateurError, match="extra 'text' has the name of a field"):
        write_manifest(tmp_path / "m.jsonl", [Utterance("b", one.audio, 1.0, extras={"text": "x"})])
    assert read_manifest(tmp_path / "m.jsonl") == [one]
    assert [p.name for p in tmp_path.iterdir()] == ["m.jsonl"]


def test_find_and_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    write_manifest(tmp_path / "digits" / "dev.jsonl", [Utterance("a", tmp_path / "a.wav", 1.0)])
    monkeypatch.setenv("SECATEUR_DATA", str(tmp_path))
    folder = find_speech()
    assert folder == tmp_path
    assert [u.id for u in read_manifest(folder / "digits" / "dev.jsonl")] == ["a"]
    with pytest.raises(SecateurError, match=r"test.jsonl: no such file \(there are dev.jsonl\)"):
        read_manifest(folder / "digits" / "test.jsonl")
    monkeypatch.setenv("SECATEUR_DATA", str(tmp_path / "none"))
    with pytest.raises(SecateurError, match="no such folder"):
        find_speech()
    monkeypatch.delenv("SECATEUR_DATA")
    for place in ("here/project", "there/checkout"):
        (tmp_path / place).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "project")
    monkeypatch.setattr(manifest, "CHECKOUT", tmp_path / "there" / "checkout")
    (tmp_path / "there" / "shared" / "data").mkdir(parents=True)
    assert find_speech() is None  # without pyproject.toml it is no checkout
    (tmp_path / "there" / "checkout" / "pyproject.toml").touch()
    assert find_speech() == tmp_path / "there" / "shared" / "data"
    (tmp_path / "here" / "shared" / "data").mkdir(parents=True)
    assert find_speech() == tmp_path / "here" / "shared" / "data"


def test_limit_spreads_over_speakers_and_grows_by_adding() -> None:
    everyone = [Utterance(f"{s}-{i}", Path("/a"), 1.0 + i / 100, speaker=s) for s in "abcde" for i in range(20)]
    ten = limit(everyone, count=10)
    assert [u.speaker for u in ten] == list("aabbccddee")
    hour = limit(everyone, hours=30 / 3600)
    assert 28.5 < sum(u.duration for u in hour) <= 30
    assert {u.id for u in ten} < {u.id for u in hour}
    assert limit(list(reversed(everyone)), count=10) == list(reversed(ten))
    assert limit(everyone, count=10, seed=1) != ten
    assert limit(everyone) == everyone


def test_real_sets_are_read(speech: Path) -> None:
    utterances = read_manifest(speech / "speechocean762" / "dev.jsonl")
    assert len({u.speaker for u in utterances}) == 12
    assert all(u.audio.is_absolute() and u.audio.exists() and u.duration > 0 for u in utterances)
    assert {"age", "gender"} <= set(utterances[0].extras)
