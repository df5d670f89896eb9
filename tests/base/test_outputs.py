"""Where commands write, and what they are given in place of a manifest: refused in one line before any work."""

from __future__ import annotations

import dataclasses
import importlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from secateur.api.job import settings_of
from secateur.api.transcribe import TranscribeSettings
from secateur.base.errors import SecateurError
from secateur.base.option_fields import check_outputs, hints_of, part_of
from secateur.base.options import Settings, option
from secateur.cli import COMMANDS, main
from secateur.data.encoding import read_text
from secateur.data.manifest import read_manifest

WRITING = ("Write", "Also", "Append", "Draw", "Unpack", "Call the archives", "Keep running timers", "Keep finished")
LINE = '{"id": "a", "audio": "a.wav", "duration": 1.0, "text": "hello"}\n'


def commands() -> Iterator[ModuleType]:
    for name in COMMANDS:
        module = importlib.import_module(f"secateur.cli.{name}")
        yield from getattr(module, "COMMANDS", {"": module}).values()


def paths_of(cls: type) -> Iterator[dataclasses.Field[Any]]:
    for one in dataclasses.fields(cls):
        hint = hints_of(cls)[one.name]
        if part := part_of(hint):
            yield from paths_of(part)
        elif hint in (Path, Path | None):
            yield one


def test_every_path_that_is_written_says_what_it_becomes() -> None:
    options = [one for module in commands() for one in paths_of(module.Options)]
    written = [one for one in options if one.metadata["help"].startswith(WRITING) and not one.metadata["positional"]]
    assert len(written) > 20
    assert [f"{one.name}: {one.metadata['help']}" for one in written if not one.metadata["writes"]] == []
    assert [one.name for one in options if one.metadata["writes"] and one not in written] == []


@dataclass(frozen=True)
class Inner(Settings):
    log: Path | None = option(None, "Write this.", writes=".log")


@dataclass(frozen=True)
class Outer(Settings):
    source: Path = option(help="Read this.", positional=True)
    out: Path = option(help="Write here.", writes=lambda s: "folder" if s.source.suffix == ".jsonl" else ".json")
    inner: Inner = option(Inner())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "set.jsonl").write_text(LINE)
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder").mkdir()
    return tmp_path


def test_outputs_of_settings_and_of_their_parts(place: Path) -> None:
    new = place / "new" / "below"
    for good in (
        Outer(place / "set.jsonl", new), Outer(place / "file", new), Outer(place / "set.jsonl", place / "folder"),
        Outer(place / "file", Path("s3://bucket/folder")), Outer(place / "file", place / "set.jsonl"),
        Outer(place / "file", new, Inner(Path("-"))),
    ):  # fmt: skip
        check_outputs(good)
    for bad, message in (
        (Outer(place / "set.jsonl", place / "file"), "file is a file, not a folder; name another --out"),
        (Outer(place / "set.jsonl", place / "file" / "x"), "file is a file, not a folder; name another --out"),
        (Outer(place / "file", place / "file" / "x"), "file is a file, not a folder; name another --out"),
        (Outer(place / "file", place / "folder"), "name a file with --out, such as .*folder/NAME.json"),
        (Outer(place / "file", place / "folder" / ".." / "file"), "is read, and --out would replace it"),
        (Outer(place / "file", new, Inner(place / "folder")), "name a file with --inner.log, such as .*NAME.log"),
    ):
        with pytest.raises(SecateurError, match=message):
            check_outputs(bad)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("data prepare {0}/folder --out {0}/folder", "such as {0}/folder/NAME.jsonl"),
        ("data prepare {0}/set.jsonl --out {0}/set.jsonl", "set.jsonl: is read, and --out would replace it"),
        ("data label {0}/set.jsonl --out {0}/file/x", "{0}/file is a file, not a folder"),
        ("data split {0}/set.jsonl --out {0}/set.jsonl", "set.jsonl is a file, not a folder"),
        ("data split {0}/set.jsonl --out {0} --shares set=0.5,b=0.5 --by id", "set.jsonl: is read, and a split would"),
        ("data export {0}/set.jsonl --to nemo --out {0}/folder", "such as {0}/folder/NAME.jsonl"),
        ("data export {0}/set.jsonl --to kaldi --out {0}/file", "is a file, not a folder"),
        ("data pack {0}/set.jsonl --out {0}/folder", "such as {0}/folder/NAME\n"),
        ("data check {0}/set.jsonl --write {0}/folder", "name a file with --write"),
        ("transcribe {0}/a.wav --out {0}/file", "is a file, not a folder"),
        ("transcribe {0}/a.wav --out {0}/file/a.srt", "is a file, not a folder"),
        ("transcribe {0}/set.jsonl --out {0}/set.jsonl", "is read, and --out would replace it"),
        (
            "transcribe {0}/a.wav --out {0}/one.docx",
            "no transcript is written as .docx; known: .txt .json .srt .vtt",
        ),
        ("transcribe {0}/a.wav --out {0}/new/one.WEBVTT", "as .webvtt (did you mean 'vtt'?)"),
        ("transcribe {0}/set.jsonl --out s3://bucket/one.tsv", "no transcript is written as .tsv"),
        ("export tiny.en --out {0}/file", "is a file, not a folder"),
        ("export tiny.en --format ggml --out {0}/folder", "such as {0}/folder/NAME.bin"),
        ("evaluate tiny.en {0}/set.jsonl --out {0}/set.jsonl", "is read, and --out would replace it"),
        ("text learn {0}/set.jsonl --out {0}/folder", "such as {0}/folder/NAME.json"),
        ("report {0}/folder --markdown {0}/folder", "name a file with --markdown, such as {0}/folder/NAME.md"),
        ("models soup a b --out {0}/file", "is a file, not a folder"),
    ],
)
def test_commands_refuse_before_they_work(
    place: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert main(words.format(place).split()) == 2
    error = capsys.readouterr().err
    assert message.format(place) in error and error.count("\n") == 1
    assert (place / "set.jsonl").read_text() == LINE and (place / "file").read_text() == "a file"


def test_what_a_transcript_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "old.docx").mkdir()
    for name, writes in (
        ("old.docx", "folder"), ("new.docx/", "folder"), ("talk.srt/", "folder"), ("2026.11", "folder"),
        ("v1.2/talk.SRT", ".SRT"), ("all.jsonl", ".jsonl"), (".hidden", "folder"),
    ):  # fmt: skip
        settings = settings_of(TranscribeSettings, "transcribe", ["a.wav"], {"out": f"{tmp_path}/{name}"})
        assert TranscribeSettings.__dataclass_fields__["out"].metadata["writes"](settings) == writes, name
        check_outputs(settings)
    assert [path.name for path in tmp_path.iterdir()] == ["old.docx"]


def office(member: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(member, "hello")
    return data.getvalue()


def sound(form: str) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, np.zeros(4000), 16000, format=form)
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("talk.wav", sound("WAV"), "not a manifest but a recording: `secateur data prepare FOLDER"),
        ("talk.flac", sound("FLAC"), "a recording"),
        ("talk.mp3", b"ID3\x04" + bytes(40) + sound("MP3"), "a recording"),
        ("set.jsonl", sound("OGG"), "a recording"),
        ("set.zip", office("set.jsonl"), "not a manifest but an archive: unpack it first"),
        ("set.jsonl.gz", b"\x1f\x8b\x08" + bytes(30), "an archive"),
        ("set.xlsx", office("xl/workbook.xml"), "a spreadsheet: save it as CSV"),
        ("set.docx", office("word/document.xml"), "a document: save it as plain text"),
        ("set.pdf", b"%PDF-1.7\n%\xe2\xe3", "a document"),
        ("set.parquet", b"PAR1\x15\x04", "a table: `secateur data prepare .*set.parquet --out SET.jsonl` makes"),
        ("set.jsonl", b"\n<!DOCTYPE html><title>404</title>", "no JSON object, so this is no manifest"),
        ("set.csv", b"path,sentence\na.wav,hello\n", "no JSON object, so this is no manifest: `secateur data prepare`"),
        ("set.json", b'[{"audio": "a.wav"}]', "no JSON object, so this is no manifest: `secateur data prepare`"),
    ],
)  # fmt: skip
def test_what_is_given_for_a_manifest(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SecateurError, match=message):
        read_manifest(tmp_path / name)


@pytest.mark.parametrize(("name", "what"), [("a.docx", "a document"), ("a.wav", "a recording")])
def test_what_is_given_for_a_text(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).write_bytes(sound("WAV") if name == "a.wav" else office("word/document.xml"))
    with pytest.raises(SecateurError, match=f"{name}: {what}"):
        read_text(tmp_path / name)


def test_what_is_given_for_a_recording(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "page.wav").write_bytes(b"<html><body>404</body></html>")
    for name in ("notes.wav", "notes.aac"):
        (place / name).write_text("a text of Zürich" * 50)
    (place / "sheet.mp3").write_bytes(office("xl/workbook.xml"))
    for name in ("set.jsonl", "file"):
        (place / name).unlink()
    assert main(["transcribe", str(place)]) == 2
    errors = capsys.readouterr().err.splitlines()
    for name, what in (
        ("page.wav", "a web page"),
        ("notes.wav", "text"),
        ("notes.aac", "text"),
        ("sheet.mp3", "an archive"),
    ):
        assert any(line.endswith(f"{name}: not audio but {what}") for line in errors), errors


def test_an_empty_name_is_a_variable_that_was_never_set(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["transcribe", ""], ["data", "stats", " "], ["data", "prepare", "", "--out", "x.jsonl"]):
        assert main(words) == 2
        assert "empty: give a value" in capsys.readouterr().err
