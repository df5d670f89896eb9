"""Columns that name channels, whatever they call them; tables that look like texts, rows inside of a quotation."""

from __future__ import annotations

import json
from pathlib import Path

import foreign
import numpy as np
import pytest

from secateur.base.errors import SecateurError
from secateur.data.annotations.timed_lines import read_ctm, read_stm
from secateur.data.layouts import read_set
from secateur.data.times import ChannelNames


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calls with two channels, and recordings with one."""
    folder = tmp_path_factory.mktemp("calls")
    noise = np.random.default_rng(0).normal(0, 0.1, (1600, 2))
    for name in ("x", "y"):
        foreign.wav(folder / f"{name}.wav", noise)
        foreign.wav(folder / f"{name}-mono.wav", noise[:, 0])
    return folder


def channels(folder: Path, *names: object, audio: str = "x.wav", head: str = "file,channel,text") -> list[int | None]:
    rows = [f'{audio},"{name}",words number {i}' for i, name in enumerate(names)]
    table = foreign.write(folder / "table.csv", "\n".join([head, *rows]))
    return [r.channel for r in read_set(table).recordings]


@pytest.mark.parametrize("first", ["1", "left", "L", "A", "ch1", "Channel 1", "links", "01", "1.0", "左声道"])
def test_the_first_of_two_is_the_left_one(folder: Path, first: str) -> None:
    second = {"1": "2", "left": "Right", "L": "R", "A": "B", "ch1": "ch2", "Channel 1": "channel 2"}
    other = second.get(first) or {"links": "rechts", "01": "02", "1.0": "2.0"}.get(first, "右声道")
    assert channels(folder, other, first, other) == [1, 0, 1]
    assert channels(folder, other, "both", "", "1,2", head="file,Kanal,text") == [1, None, None, None]


def test_numbers_with_a_zero_count_from_it(folder: Path) -> None:
    assert channels(folder, 1, 0) == [1, 0]
    assert channels(folder, "ch_1", "ch_0", head="file,channel_tag,text") == [1, 0]
    assert channels(folder, 2) == [1]


def test_a_one_alone_is_either(folder: Path) -> None:
    assert channels(folder, 1, audio="x-mono.wav") == [None]
    with pytest.raises(SecateurError, match="either the left or the right channel: '1': write left or right"):
        channels(folder, 1, 1)
    ours = {"id": "a", "audio": "x.wav", "duration": 0.1, "channel": 1, "text": "yes"}
    path = foreign.write(folder / "ours.jsonl", json.dumps(ours))
    assert [r.channel for r in read_set(path).recordings] == [1]  # the manifests that we write count from 0


def test_names_of_people_are_no_channels(folder: Path) -> None:
    with pytest.raises(SecateurError, match="no name of a channel: 'agent'"):
        channels(folder, "agent", "customer")
    listed = read_set(foreign.write(folder / "t.csv", "file,channel,text\nx.wav,phone,hello you\ny.wav,web,good day\n"))
    assert [(r.channel, r.extras) for r in listed.recordings] == [
        (None, {"extra_channel": "phone"}), (None, {"extra_channel": "web"}),
    ]  # fmt: skip
    assert any("'phone' is no channel, all of them are mixed" in note for note in listed.notes)


def test_the_files_of_nist_count_from_one_unless_they_have_a_zero() -> None:
    for names, expected in ((("0", "1"), [0, 1]), (("1", "2"), [0, 1]), (("1", "1"), [0, 0]), (("a", "B"), [0, 1])):
        stm = "\n".join(f"call {name} s {i} {i + 1} <o> hello" for i, name in enumerate(names))
        ctm = "\n".join(f"call {name} {i} 0.5 hello" for i, name in enumerate(names))
        assert [s.channel for s in read_stm(stm)[0]] == [s.channel for s in read_ctm(ctm)[0]] == expected
    assert ChannelNames(["3", "4"]).counted_from == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_table_called_a_text_may_have_any_header(folder: Path, encoding: str) -> None:
    rows = ["Plik\tStart\tEnd\tTekst", "x.wav\t0,00\t0,05\tdobry dzień panu", "x.wav\t0,05\t0,10\tjak się masz"]
    path = foreign.write(folder / "spis.txt", "\r\n".join(rows) + "\r\n", encoding)
    assert [(r.offset, r.text) for r in read_set(path).recordings] == [(0, "dobry dzień panu"), (0.05, "jak się masz")]
    lines = foreign.write(folder / "lines.txt", "x.wav 0.00 0.05 hello there\ny.wav good day\n")
    listed = read_set(lines)
    assert [(r.text, listed.left_out[0].reason) for r in listed.recordings] == [("good day", "times inside the text")]


def test_times_and_channels_without_a_header(folder: Path) -> None:
    rows = ["x.wav\t2\t0.0\t0.04\tone or two", "x.wav\t1\t0.04\t0.1\tthree of them", "y.wav\t1\t0.0\t0.1\tno more"]
    listed = read_set(foreign.write(folder / "parts.tsv", "\n".join(rows)))
    assert [(r.offset, r.channel) for r in listed.recordings] == [(0.0, 1), (0.04, 0), (0.0, 0)]
    assert any("offset in column 3, end in column 4" in note for note in listed.notes)
    numbers = ["x.wav\t7\t9\tone or two", "y.wav\t3\t4\tthree of them"]  # each recording once: these are no times
    listed = read_set(foreign.write(folder / "parts.tsv", "\n".join(numbers)))
    assert [r.offset for r in listed.recordings] == [None, None]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('file,text\nx.wav,"hello\ny.wav,you" all\n', 2),
        ('file;text\nx.wav;fine\ny.wav;"hello\nx.wav;so\n', 3),
        ('start,end,text\n0,0.05,"hello\n0.05,0.1,you\n', 2),
    ],
)
def test_an_open_quotation_mark_is_named(folder: Path, text: str, line: int) -> None:
    path = foreign.write(folder / "x.csv", text)
    with pytest.raises(SecateurError, match=rf"x.csv, line {line}: a quotation mark that is not closed"):
        read_set(path)
    fine = foreign.write(folder / "fine.csv", 'file,text\nx.wav,"one\nand two"\ny.wav,"he said ""so"", twice"\n')
    assert [r.text for r in read_set(fine).recordings] == ["one\nand two", 'he said "so", twice']


@pytest.mark.parametrize("indent", [None, 2])
def test_objects_around_rows(folder: Path, indent: int | None) -> None:
    texts = {"x.wav": "hello there", "y.wav": "good day"}
    speechbrain = {name[0]: {"wav": name, "wrd": text, "spk_id": "s"} for name, text in texts.items()}
    rows = [{"path": name, "sentence": text} for name, text in texts.items()]
    columns = {"audio": dict(enumerate(texts)), "text": dict(enumerate(texts.values()))}
    lists = {"audio": list(texts), "text": list(texts.values())}
    for value in (speechbrain, {"version": 2, "utterances": rows}, columns, lists):
        path = foreign.write(folder / "set.json", json.dumps(value, indent=indent))
        assert {r.audio.name: r.text for r in read_set(path).recordings} == texts
    path = foreign.write(folder / "set.json", json.dumps(speechbrain))
    assert [(r.id, r.speaker) for r in read_set(path).recordings] == [("x", "s"), ("y", "s")]


@pytest.mark.parametrize(
    "written, words",
    [
        ("<o,f0,male> it 's {UH} good(2) and we don 't", "it's {UH} good and we don't"),
        ("they 'LL read(12)", "they'LL read"),
        ("<o> the boys ' room (2) f(x) 'em 's", "the boys ' room (2) f(x) 'em's"),
        ("l' homme 'so", "l' homme 'so"),
    ],
)
def test_words_of_an_stm_are_whole_and_without_their_pronunciation(written: str, words: str) -> None:
    assert [s.text for s in read_stm(f"talk 1 anna 0.0 2.0 {written}")[0]] == [words]
