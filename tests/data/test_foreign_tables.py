"""Tables and manifests of others: names of columns, separators, encodings, headers, what is left out and said."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign
import numpy as np
import pytest

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.data.layouts import read_set
from secateur.data.manifest import read_manifest
from secateur.data.recording import ReadSettings


@pytest.fixture
def clips(tmp_path: Path) -> list[foreign.Clip]:
    some = foreign.clips(4)
    foreign.separate(tmp_path / "wavs", some)
    return some


def test_ljspeech(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    rows = [f'{c.name}|{c.text.upper()} "1,5"|{c.text}' for c in clips]
    foreign.write(tmp_path / "metadata.csv", "\n".join(rows))
    found = foreign.prepared(tmp_path, tmp_path / "all.jsonl")
    foreign.assert_same_sounds(found, clips)
    assert [u.id for u in found] == [c.name for c in clips]


def test_a_list_of_files_with_speakers_and_without_header(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    rows = [f"wavs/{c.name}.wav|{i % 2}|{c.text}" for i, c in enumerate(clips)]
    table = foreign.write(tmp_path / "filelist.csv", "\n".join(rows) + "\n")
    found = foreign.prepared(table, tmp_path / "all.jsonl")
    foreign.assert_same_sounds(found, clips)
    assert [u.speaker for u in found] == ["0", "1", "0", "1"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("encoding", "end"),
    [("utf-8-sig", "\r\n"), ("utf-16", "\r\n"), ("utf-16-le", "\n"), ("cp1252", "\r\n"), ("utf-8", "\n")],
)
def test_separators_and_encodings(
    tmp_path: Path, clips: list[foreign.Clip], separator: str, encoding: str, end: str
) -> None:
    texts = ["Übermäßig schöne Grüße", "déjà vu, sagte er", "ganz gewöhnlich; wirklich", "señor Müller"]
    if separator in "\t|":
        rows = [separator.join((f"{c.name}.wav", t, "Zoë")) for c, t in zip(clips, texts, strict=True)]
    else:
        rows = [separator.join((f"{c.name}.wav", f'"{t}"', "Zoë")) for c, t in zip(clips, texts, strict=True)]
    content = end.join([separator.join(("Datei", "Transcription", "speaker_id")), *rows[:2], "", *rows[2:], ""])
    table = foreign.write(tmp_path / "daten.csv", content, encoding)
    found = foreign.prepared(table, tmp_path / "all.jsonl", "--language", "de")
    assert [u.text for u in found] == texts
    assert {(u.speaker, u.language) for u in found} == {("Zoë", "de")}
    assert main(["data", "check", str(tmp_path / "all.jsonl"), "--audio", "no"]) == 0


@pytest.mark.parametrize("header", ["file,text\n", ""])
def test_commas_that_nobody_quoted(
    tmp_path: Path, clips: list[foreign.Clip], header: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["yes, i think so", "no, never, not once", "all right then", 'he said "yes", and left']
    written = [*texts[:3], '"he said ""yes"", and left"']
    rows = [f"{c.name}.wav,{t}\n" for c, t in zip(clips, written, strict=True)]
    table = foreign.write(tmp_path / "t.csv", header + "".join(rows))
    assert [u.text for u in foreign.prepared(table, tmp_path / "all.jsonl")] == texts
    assert "', ' in 2 texts without quotation marks" in capsys.readouterr().out


def test_a_space_after_every_comma_is_no_punctuation(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    rows = [f"{c.name}.wav, {c.text}, {i % 2}\n" for i, c in enumerate(clips)]
    found = foreign.prepared(foreign.write(tmp_path / "t.csv", "".join(rows)), tmp_path / "all.jsonl")
    assert [(u.text, u.speaker) for u in found] == [(c.text, str(i % 2)) for i, c in enumerate(clips)]


def test_a_value_too_many_is_left_out(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    rows = [f"{c.name}.wav,{c.text}{',ann' * (not i)}\n" for i, c in enumerate(clips)]
    found = foreign.prepared(foreign.write(tmp_path / "t.csv", "audio,text\n" + "".join(rows)), tmp_path / "a.jsonl")
    assert [u.text for u in found] == [c.text for c in clips[1:]]
    assert "3 columns, the header has 2" in (tmp_path / "a.left-out.tsv").read_text()


def test_other_code_pages(tmp_path: Path, clips: list[foreign.Clip], capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["включи свет на кухне", "сколько сейчас времени", "закрой дверь", "какая завтра погода"]
    content = "wav,text\n" + "".join(f"{c.name}.wav,{t}\n" for c, t in zip(clips, texts, strict=True))
    table = foreign.write(tmp_path / "t.csv", content, "cp1251")
    words = ["data", "prepare", str(table), "--out", str(tmp_path / "all.jsonl")]
    assert main(words) == 2
    assert "name its encoding with --encoding" in capsys.readouterr().err
    assert [u.text for u in foreign.prepared(table, tmp_path / "a.jsonl", "--language", "ru")] == texts
    assert [u.text for u in foreign.prepared(table, tmp_path / "b.jsonl", "--encoding", "cp1251")] == texts
    assert main([*words, "--encoding", "cp12510"]) == 2
    assert "no encoding 'cp12510'" in capsys.readouterr().err


def test_names_of_columns_that_nobody_knows(
    tmp_path: Path, clips: list[foreign.Clip], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{i},{c.name}.wav,{c.text},{c.text[::-1]} x,{c.speaker}" for i, c in enumerate(clips)]
    table = foreign.write(tmp_path / "t.csv", "\n".join(["Nr,Aufnahme,Gesagt,Rückwärts,Wer", *rows]))
    words = ["data", "prepare", str(table), "--out", str(tmp_path / "all.jsonl")]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "several columns may be the text (Gesagt, Rückwärts)" in told
    assert "--columns text=NAME" in told
    assert main([*words, "--columns", "text=Gesagtes"]) == 2
    assert "no column 'Gesagtes' (did you mean 'Gesagt'?)" in capsys.readouterr().err
    assert main([*words, "--columns", "words=Gesagt"]) == 2
    assert "'words' is no field" in capsys.readouterr().err
    found = foreign.prepared(table, tmp_path / "all.jsonl", "--columns", "text=Gesagt,speaker=Wer")
    foreign.assert_same_sounds(found, clips)
    assert [u.speaker for u in found] == [c.speaker for c in clips]
    assert [u.extras for u in found][1] == {"Nr": "1", "Rückwärts": clips[1].text[::-1] + " x"}
    assert "the audio is in the column 'Aufnahme'" in capsys.readouterr().out


def test_extras_that_look_like_fields_are_accepted_by_our_reader(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    rows = [{"audio_filepath": f"wavs/{c.name}.wav", "text": c.text, "spk": None, "offsett": "x",
             "langage": "y", "sentence": c.text.upper(), "channel": "phone"} for c in clips]  # fmt: skip
    table = foreign.write(tmp_path / "m.json", foreign.lines(rows))
    foreign.assert_same_sounds(foreign.prepared(table, tmp_path / "all.jsonl"), clips)


def test_rows_that_cannot_be_used_are_listed(
    tmp_path: Path, clips: list[foreign.Clip], capsys: pytest.CaptureFixture[str]
) -> None:
    good = [f"{c.name}.wav,{c.text},{c.speaker},," for c in clips]
    bad = ["gone.wav,hello there,ann,,", ",no file,ann,,", "a.wav,one,two,three,four,five,six"]
    bad.append(f"{clips[0].name}.wav,,x,,")
    head = "# exported by a tool\nfile,transcript,speaker_id,age,\n"
    foreign.write(tmp_path / "t.csv", head + "\n".join(good[:2] + bad + [""] + good[2:] + [good[0]]) + "\n")
    found = foreign.prepared(tmp_path / "t.csv", tmp_path / "all.jsonl")
    assert [u.text for u in found] == [c.text for c in clips]
    out = capsys.readouterr().out
    assert "left out: 5, listed in" in out
    listed = [row.split("\t") for row in (tmp_path / "all.left-out.tsv").read_text().splitlines()[1:]]
    assert sorted(row[1] for row in listed) == [
        "7 columns, the header has 5", "an empty text", "listed twice", "no name of an audio file",
        "no such audio file",
    ]  # fmt: skip
    foreign.write(tmp_path / "t.csv", head + "\n".join(good))
    foreign.prepared(tmp_path / "t.csv", tmp_path / "all.jsonl")
    assert not (tmp_path / "all.left-out.tsv").exists()


def test_nemo(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    long = foreign.joined(tmp_path / "audio" / "long.flac", clips)
    parts = [
        {"audio_filepath": "audio/long.flac", "offset": c.start, "duration": c.end - c.start, "text": c.text}
        for c in clips
    ]
    manifest = foreign.write(tmp_path / "train_manifest.json", foreign.lines(parts))
    found = foreign.prepared(manifest, tmp_path / "all.jsonl")
    foreign.assert_same_sounds(found, clips)
    assert [u.offset for u in found] == [c.start for c in clips]
    assert len({u.id for u in found}) == len(clips)
    beginning = {"audio_filepath": str(long), "duration": clips[0].end, "text": "the first seconds"}
    foreign.write(manifest, foreign.lines([beginning, {**parts[1], "offset": 1e4}]))
    [one] = foreign.prepared(manifest, tmp_path / "b.jsonl")
    assert (one.offset, one.duration) == (0.0, clips[0].end)
    assert "times after the recording's end" in (tmp_path / "b.left-out.tsv").read_text()


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("file,start,end,text", "{name},{start},{end},{text}"),
        ("file;begin;duration;text", "{name};{start:.3f};{length};{text}"),
        ("audio\tstart_ms\tend_ms\tsentence", "{name}\t{ms}\t{ms_end}\t{text}"),
        ("file|start_time|end_time|text", "{name}|00:00:{start:06.3f}|00:00:{end:06.3f}|{text}"),
    ],
)
def test_tables_with_times(tmp_path: Path, clips: list[foreign.Clip], head: str, row: str) -> None:
    foreign.joined(tmp_path / "long.wav", clips)
    rows = [
        row.format(name="long.wav", start=c.start, end=c.end, text=c.text, length=round(c.end - c.start, 3),
                   ms=round(1000 * c.start), ms_end=round(1000 * c.end)) for c in clips
    ]  # fmt: skip
    table = foreign.write(tmp_path / "t.csv", "\n".join([head, *rows]))
    foreign.assert_same_sounds(foreign.prepared(table, tmp_path / "all.jsonl"), clips)


def test_a_table_beside_its_recording(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.joined(tmp_path / "call.wav", clips)
    rows = [f"{c.start},{c.end},{c.text},{c.speaker}" for c in clips]
    table = foreign.write(tmp_path / "call.csv", "\n".join(["start,end,text,speaker", *rows]))
    found = foreign.prepared(table, tmp_path / "all.jsonl")
    foreign.assert_same_sounds(found, clips)
    assert [u.speaker for u in found] == [c.speaker for c in clips]


def test_hugging_face_folders(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    for split, some in (("train", clips[:3]), ("validation", clips[3:])):
        foreign.separate(tmp_path / "set" / split / "data", some)
        if split == "train":
            rows = ["file_name,transcription,speaker", *(f"data/{c.name}.wav,{c.text},{c.speaker}" for c in some)]
            foreign.write(tmp_path / "set" / split / "metadata.csv", "\n".join(rows))
        else:
            values = [{"file_name": f"data/{c.name}.wav", "transcription": c.text, "speaker": c.speaker} for c in some]
            foreign.write(tmp_path / "set" / split / "metadata.jsonl", foreign.lines(values))
    found = foreign.prepared(tmp_path / "set", tmp_path / "all.jsonl")
    foreign.assert_same_sounds(found, clips)
    assert [u.extras["split"] for u in found] == ["train"] * 3 + ["dev"]


@pytest.mark.parametrize("kind", ["bytes", "path", "array", "arrow"])
def test_parquet(tmp_path: Path, clips: list[foreign.Clip], kind: str) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    files = [tmp_path / "wavs" / f"{c.name}.wav" for c in clips]
    audio = {
        "bytes": [{"bytes": f.read_bytes(), "path": f.name} for f in files],
        "arrow": [{"bytes": f.read_bytes(), "path": None} for f in files],
        "path": [{"bytes": None, "path": f"../wavs/{f.name}"} for f in files],
        "array": [{"array": c.samples.tolist(), "sampling_rate": foreign.RATE} for c in clips],
    }[kind]
    rows = [
        {"audio": a, "sentence": c.text, "client_id": c.speaker, "age": np.nan}
        for a, c in zip(audio, clips, strict=True)
    ]
    table = arrow.Table.from_pylist(rows)
    (tmp_path / "set").mkdir()
    if kind == "arrow":
        with (
            arrow.OSFile(str(tmp_path / "set" / "data-00000-of-00001.arrow"), "wb") as file,
            arrow.ipc.new_stream(file, table.schema) as out,
        ):
            out.write_table(table)
    else:
        parquet.write_table(table, tmp_path / "set" / "train-00000-of-00001.parquet")
    found = foreign.prepared(tmp_path / "set", tmp_path / "out" / "all.jsonl")
    foreign.assert_same_sounds(found, clips)
    assert [u.speaker for u in found] == [c.speaker for c in clips]
    if kind in ("bytes", "arrow"):
        assert [u.audio.read_bytes() for u in found] == [f.read_bytes() for f in files]


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    broken = foreign.write(tmp_path / "train.parquet", b"PAR1" + bytes(100) + b"PAR1")
    with pytest.raises(SecateurError, match="cannot be read as parquet"):
        read_set(broken, None, ReadSettings(media=tmp_path))


def test_speakers_from_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = foreign.clips(4)
    for clip in some:
        foreign.wav(tmp_path / "set" / "x" / f"{clip.speaker}_{clip.name}.wav", clip.samples)
        foreign.write(tmp_path / "set" / "x" / f"{clip.speaker}_{clip.name}.txt", clip.text)
    source, out = tmp_path / "set", tmp_path / "all.jsonl"
    for pattern in ("{speaker}_*.wav", "{speaker}_{take}", r"/([a-z]+)_[^/]*$", r"(?P<speaker>[a-z]+)_"):
        found = foreign.prepared(source, out, "--speaker-from", pattern)
        assert [u.speaker for u in found] == [c.speaker for c in sorted(some, key=lambda c: f"{c.speaker}_{c.name}")]
    capsys.readouterr()
    for pattern, problem in (("[", "no regular expression"), ("abc", "no group"), ("{speaker}/y/*", "fits no path")):
        assert main(["data", "prepare", str(source), "--out", str(out), "--speaker-from", pattern]) == 2
        assert problem in capsys.readouterr().err


def test_what_is_said_of_a_set(tmp_path: Path, clips: list[foreign.Clip], capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{c.name}.wav,{c.text.upper()}" for c in clips]
    table = foreign.write(tmp_path / "t.csv", "\n".join(["wav,text", *rows]))
    found = foreign.prepared(table, tmp_path / "all.jsonl")
    out = capsys.readouterr().out
    assert "4 utterances, 0.00 h; no speakers named; language en; texts in upper case only" in out
    assert "--lower" in out
    assert "--speaker-from" in out
    assert [u.text for u in found] == [c.text.upper() for c in clips]
    lowered = foreign.prepared(table, tmp_path / "lower.jsonl", "--lower")
    assert [u.text for u in lowered] == [c.text for c in clips]
    assert "upper case only" not in capsys.readouterr().out


def test_empty_texts_are_kept_on_request(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    values = [{"audio": f"wavs/{c.name}.wav", "text": "" if i else c.text} for i, c in enumerate(clips)]
    table = foreign.write(tmp_path / "m.jsonl", foreign.lines([*values, {"audio": f"wavs/{clips[0].name}.wav"}]))
    assert len(foreign.prepared(table, tmp_path / "a.jsonl")) == 1
    kept = foreign.prepared(table, tmp_path / "b.jsonl", "--keep-empty")
    assert [u.no_speech for u in kept] == [False, True, True, True]
    assert read_manifest(tmp_path / "b.jsonl")[1].labelled


def test_annotations_beside_what_a_table_does_not_name_are_pointed_at(
    tmp_path: Path, clips: list[foreign.Clip], capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["turn it on", "close the door"]
    rows = [f"{c.name}.wav,{t}" for c, t in zip(clips[:2], texts, strict=True)]
    foreign.write(tmp_path / "t.csv", "\n".join(["file,text", *rows]))
    foreign.write(tmp_path / "wavs" / f"{clips[3].name}.srt", "1\n00:00:00,000 --> 00:00:01,000\nwhat time is it\n")
    assert [u.text for u in foreign.prepared(tmp_path, tmp_path / "out" / "a.jsonl")] == texts
    assert f"wavs/{clips[3].name}.srt lies beside one of them" in capsys.readouterr().out
    found = foreign.prepared(tmp_path, tmp_path / "out" / "b.jsonl", "--layout", "annotated")
    assert [u.text for u in found] == ["what time is it"]


def test_what_a_table_does_not_name_is_said(
    tmp_path: Path, clips: list[foreign.Clip], capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["включи свет", "закрой дверь", "какая погода"]
    rows = [f"{c.name}.wav,{t}" for c, t in zip(clips[:3], texts, strict=True)]
    foreign.write(tmp_path / "t.csv", "\n".join(["file,text", *rows]))
    foreign.prepared(tmp_path, tmp_path / "out" / "a.jsonl")
    out = capsys.readouterr().out
    assert f"1 audio files in it have no transcript there, first wavs/{clips[3].name}.wav" in out
    assert "name --language" in out and "annotated" not in out
    foreign.prepared(tmp_path / "t.csv", tmp_path / "out" / "a.jsonl", "--language", "ru")
    assert "name --language" not in capsys.readouterr().out


def test_tables_called_txt(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    unicode_text = "".join(f'"{c.name}.wav"\t"{c.text}"\t{i}\r\n' for i, c in enumerate(clips))
    foreign.write(tmp_path / "clips.txt", "Filename\tTranscript\tSpeaker\r\n" + unicode_text, "utf-16")
    found = foreign.prepared(tmp_path, tmp_path / "all.jsonl")
    foreign.assert_same_sounds(found, clips)
    assert [u.speaker for u in found] == ["0", "1", "2", "3"]
    (tmp_path / "clips.txt").unlink()
    css10 = [f"wavs/{c.name}.wav|{c.text} 1|{c.text}|{c.end - c.start:.2f}\n" for c in clips]
    table = foreign.write(tmp_path / "transcript.txt", "".join(css10))
    for source in (tmp_path, table):
        foreign.assert_same_sounds(foreign.prepared(source, tmp_path / "all.jsonl"), clips)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.json", lambda some: [{"file": f"{c.name}.wav", "sentence": c.text} for c in some]),
        ("texts.json", lambda some: {f"{c.name}.wav": c.text for c in some}),
        ("data.list", lambda some: [{"key": c.name, "wav": f"{c.name}.wav", "txt": c.text} for c in some]),
        ("train.jsonl", lambda some: [{"source": f"{c.name}.wav", "target": c.text} for c in some]),
    ],
)
def test_json_of_others_is_recognised_in_its_folder(
    tmp_path: Path, clips: list[foreign.Clip], name: str, content: Callable[[list[foreign.Clip]], Any]
) -> None:
    value = content(clips)
    foreign.write(tmp_path / name, json.dumps(value) if name.endswith(".json") else foreign.lines(value))
    foreign.assert_same_sounds(foreign.prepared(tmp_path, tmp_path / "out" / "all.jsonl"), clips)


def test_a_recording_in_several_rows(
    tmp_path: Path, clips: list[foreign.Clip], capsys: pytest.CaptureFixture[str]
) -> None:
    talk = foreign.joined(tmp_path / "talk" / "talk.wav", clips)
    rows = [f"talk.wav;{c.start};{c.end};{c.text}".replace(".", ",").replace("talk,", "talk.") for c in clips]
    foreign.write(talk.with_name("a.csv"), "\n".join(["Datei;Beginn;Ende;Satz", *rows]))
    foreign.assert_same_sounds(foreign.prepared(talk.parent, tmp_path / "all.jsonl"), clips)
    assert "taken whole" not in capsys.readouterr().err
    foreign.write(talk.with_name("a.csv"), "\n".join(["Datei;Los;Halt;Satz", *rows]))
    foreign.prepared(talk.parent, tmp_path / "all.jsonl")
    said = capsys.readouterr()
    assert "taken whole for several texts" in said.out + said.err
    parts = foreign.prepared(talk.parent, tmp_path / "all.jsonl", "--columns", "offset=Los,end=Halt")
    foreign.assert_same_sounds(parts, clips)


def test_full_paths_are_not_said_to_be_unused(
    tmp_path: Path, clips: list[foreign.Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{tmp_path}/wavs/{c.name}.wav,{c.text}\n" for c in clips]
    foreign.write(tmp_path / "a.csv", "path,text\n" + "".join(rows))
    monkeypatch.chdir(tmp_path.parent)
    assert not [note for note in read_set(Path(tmp_path.name)).notes if "no transcript" in note]


@pytest.mark.parametrize(
    ("name", "advice"),
    [("list.xlsx", "save it as CSV"), ("all.zip", "unpack it"), ("talk.trs", "as SRT"), ("a.docx", "plain text")],
)
def test_what_is_not_read_is_named_with_what_to_do(
    tmp_path: Path, clips: list[foreign.Clip], name: str, advice: str
) -> None:
    foreign.write(tmp_path / name, b"PK\x03\x04")
    for source in (tmp_path, tmp_path / name):
        with pytest.raises(SecateurError, match=f"{name}: .*{advice}"):
            read_set(source)


@pytest.mark.parametrize("name", ["data.json", "a.csv"])
def test_a_set_is_prepared_into_its_own_folder_again(tmp_path: Path, clips: list[foreign.Clip], name: str) -> None:
    values = [{"path": f"{c.name}.wav", "text": c.text} for c in clips[:2]]
    rows = "path,text\n" + "".join(f"{v['path']},{v['text']}\n" for v in values) + "gone.wav,not there\n"
    foreign.write(tmp_path / name, rows if name == "a.csv" else json.dumps([*values, {"path": "no.wav", "text": "a"}]))
    for _ in range(2):
        foreign.assert_same_sounds(foreign.prepared(tmp_path, tmp_path / "all.jsonl"), clips[:2])
        assert (tmp_path / "all.left-out.tsv").is_file()


def test_times_that_cannot_be_read_are_the_reason(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.joined(tmp_path / "talk" / "talk.wav", clips)
    foreign.write(tmp_path / "talk" / "talk.csv", "Start,End,Text\n00:00:00:12,00:00:02:05,hello there\n")
    with pytest.raises(SecateurError, match="times that make no sense: offset '00:00:00:12'"):
        read_set(tmp_path / "talk")


def test_a_path_in_the_folder_of_another_speaker_is_refused(tmp_path: Path) -> None:
    """`ann/2.wav` is not `Bob/2.wav`, though there is no other folder; `clips` is nobody."""
    some = foreign.clips(3)
    foreign.separate(tmp_path / "Bob", some)
    rows = [f"{folder}/{c.name}.wav,{c.text}" for folder, c in zip(("ann", "Bob", "clips"), some, strict=True)]
    foreign.write(tmp_path / "meta.csv", "\n".join(["path,text", *rows]))
    found = foreign.prepared(tmp_path / "meta.csv", tmp_path / "all.jsonl")
    assert [u.text for u in found] == [c.text for c in some[1:]]
    assert "no such audio file" in (tmp_path / "all.left-out.tsv").read_text()


@pytest.mark.parametrize("on_disk, written", [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
@pytest.mark.parametrize("name", ["é1", "Müller/Ångström", "が 1"])
def test_accents_on_disk_may_be_spelled_otherwise_than_in_the_table(
    tmp_path: Path, name: str, on_disk: Any, written: Any
) -> None:
    [clip] = foreign.clips(1)
    path = tmp_path / "set" / unicodedata.normalize(on_disk, f"{name}.wav")
    path.parent.mkdir(parents=True)
    foreign.separate(path.parent, [clip])
    (path.parent / f"{clip.name}.wav").rename(path)
    text = unicodedata.normalize(written, f"path\tsentence\n{name}.wav\thello there\n")
    foreign.write(tmp_path / "set/list.tsv", text)
    [found] = foreign.prepared(tmp_path / "set", tmp_path / "table.jsonl")
    assert (found.text, Path(found.audio).resolve()) == ("hello there", path.resolve())
    (tmp_path / "set/list.tsv").unlink()
    beside = tmp_path / "set" / unicodedata.normalize(on_disk, str(Path(name).parent)) / Path(name).name
    foreign.write(beside.with_name(unicodedata.normalize(written, f"{beside.name}.txt")), "good bye")
    [found] = foreign.prepared(tmp_path / "set", tmp_path / "paired.jsonl")
    assert (found.text, Path(found.audio).resolve()) == ("good bye", path.resolve())
