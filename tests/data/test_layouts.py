"""Each layout is recognised and read: ids, texts, speakers, splits, files that exist."""

from __future__ import annotations

from pathlib import Path

import layout_trees as trees
import pytest

from secateur.base.errors import SecateurError
from secateur.data.layouts import LAYOUTS, read_set, recognise
from secateur.data.recording import Recording


def read(path: Path, expected: str) -> dict[str, Recording]:
    assert recognise(path) == expected
    recordings = {r.id: r for r in LAYOUTS[expected](path)}
    assert all(r.audio.is_file() for r in recordings.values())
    return recordings


def test_librispeech(tmp_path: Path) -> None:
    found = read(trees.librispeech(tmp_path, "dev-clean", 2), "librispeech")
    assert sorted(found) == ["0-7-0000", "0-7-0001", "1-7-0000", "1-7-0001"]
    one = found["1-7-0001"]
    assert (one.text, one.speaker, one.split) == ("it's dev-clean", "1", "dev-clean")


def test_an4(tmp_path: Path) -> None:
    found = read(trees.an4(tmp_path), "an4")
    assert (found["an1-c-b"].text, found["an1-c-b"].speaker, found["an1-c-b"].split) == ("go c", "c", "train")
    assert (found["an1-z-b"].text, found["an1-z-b"].split) == ("go", "test")
    trees.text(tmp_path / "an4" / "etc" / "an4_test.transcription", "GO\n")
    with pytest.raises(SecateurError, match=r"an4_test.transcription, line 1: expected TEXT \(utterance-speaker"):
        read(tmp_path, "an4")


def test_speech_commands(tmp_path: Path) -> None:
    found = read(trees.speech_commands(tmp_path), "speech-commands")
    assert len(found) == 6
    assert {(r.speaker, r.split) for r in found.values()} == {("aa11", "train"), ("bb22", "dev"), ("cc33", "test")}
    assert found["no-cc33_nohash_0"].text == "no"


def test_aishell(tmp_path: Path) -> None:
    found = read(trees.aishell(tmp_path), "aishell")
    assert {(r.speaker, r.split, r.text, r.language) for r in found.values()} == {
        ("S0002", "train", "甚至出现交易", "zh"),
        ("S0724", "dev", "甚至出现交易", "zh"),
        ("S0764", "test", "甚至出现交易", "zh"),
    }


def test_kaldi(tmp_path: Path) -> None:
    trees.sound(tmp_path / "wav" / "a.wav")
    far = trees.sound(tmp_path / "far" / "b c.wav")
    trees.text(tmp_path / "k" / "wav.scp", f"u1 ../wav/a.wav\nu2 {far}\n")
    trees.text(tmp_path / "k" / "text", "u1 hello  there\nu2\n")
    trees.text(tmp_path / "k" / "utt2spk", "u1 s1\n")
    found = read(tmp_path / "k", "kaldi")
    assert (found["u1"].text, found["u1"].speaker) == ("hello  there", "s1")
    assert (found["u2"].text, found["u2"].speaker) == ("", "")
    marker = tmp_path / "ran"
    trees.text(tmp_path / "k" / "wav.scp", f"u1 touch {marker} |\n")
    with pytest.raises(SecateurError, match=r"wav.scp, line 1: a command, not a file"):
        read(tmp_path / "k", "kaldi")
    assert not marker.exists()


def test_texts_beside_the_audio(tmp_path: Path) -> None:
    trees.sound(tmp_path / "anna" / "1.wav")
    trees.sound(tmp_path / "anna" / "2.flac")
    trees.sound(tmp_path / "without.wav")
    trees.text(tmp_path / "anna" / "1.txt", "\ufeffhello\nthere\n")
    trees.text(tmp_path / "anna" / "2.lab", "again")
    found = read(tmp_path, "paired")
    assert {(r.id, r.text, r.speaker) for r in found.values()} == {
        ("anna-1", "hello there", "anna"),
        ("anna-2", "again", "anna"),
    }


def test_common_voice(tmp_path: Path) -> None:
    trees.sound(tmp_path / "clips" / "cv_1.wav")
    header = "client_id\tpath\tsentence\tup_votes\tage\tlocale\n"
    table = trees.text(tmp_path / "train.tsv", header + 'f00\tcv_1.wav\tSo sagte er: "Nein.\t2\t\tde\n')
    found = read(table, "table")
    assert list(found) == ["cv_1"]
    one = found["cv_1"]
    assert (one.text, one.speaker, one.language, one.extras) == ('So sagte er: "Nein.', "f00", "de", {"up_votes": "2"})
    assert list(read(tmp_path, "tables")) == ["cv_1"]
    for name in ("dev", "test", "validated"):
        trees.text(tmp_path / f"{name}.tsv", header + f"f00\tcv_1.wav\t{name}\t2\t\tde\n")
    listed = read_set(tmp_path)
    assert (listed.layout, [(r.id, r.text, r.split) for r in listed.recordings]) == (
        "common-voice",
        [("cv_1", 'So sagte er: "Nein.', "train"), ("cv_1-2", "dev", "dev"), ("cv_1-3", "test", "test")],
    )
    assert any("train.tsv, dev.tsv, test.tsv" in note for note in listed.notes)


@pytest.mark.parametrize("languages", [["en"], ["de", "en", "zh-CN"]])
def test_a_folder_above_the_languages_of_common_voice(tmp_path: Path, languages: list[str]) -> None:
    header = "client_id\tpath\tsentence\tlocale\n"
    corpus = tmp_path / "cv-corpus-17.0-2024-03-15"
    for language in languages:
        trees.sound(corpus / language / "clips" / f"cv_{language}.wav")
        for name in ("train", "dev", "test", "validated"):
            row = f"f00\tcv_{language}.wav\t{name}\t{language}\n"
            trees.text(corpus / language / f"{name}.tsv", header + row)
        trees.text(corpus / language / "clip_durations.tsv", f"clip\tduration[ms]\ncv_{language}.wav\t500\n")
    expected = ", ".join(str(corpus / language) for language in languages)
    for folder in (corpus, tmp_path):
        with pytest.raises(SecateurError) as problem:
            read_set(folder)
        assert str(problem.value) == f"{folder}: a folder above data sets: name one of them: {expected}"
    with pytest.raises(SecateurError, match=rf"\.tsv is in the folder above: name {corpus / languages[-1]}\)"):
        read_set(corpus / languages[-1] / "clips")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("wav,text\na.wav,one,two\n", "line 2: 3 columns, the header has 2"),
        ("name,text\na.wav,one\n", "no column 'audio' in the header (name, text)"),
        ("wav,words\na.wav,one\n", "no column 'text' in the header (wav, words)"),
        ("", "no column 'audio'"),
    ],
)
def test_bad_tables(tmp_path: Path, content: str, expected: str) -> None:
    table = trees.text(tmp_path / "t.csv", content)
    with pytest.raises(SecateurError) as caught:
        list(LAYOUTS["table"](table))
    assert expected in str(caught.value)


def test_csv_with_quotes_and_semicolons(tmp_path: Path) -> None:
    trees.sound(tmp_path / "a.wav")
    table = trees.text(tmp_path / "t.csv", 'id;wav;text;Duration;room\nx;a.wav;"one; two";9;3\n')
    one = read(table, "table")["x"]
    assert (one.text, one.extras) == ("one; two", {"room": "3"})


def test_folders_that_hold_nothing_known(tmp_path: Path) -> None:
    with pytest.raises(SecateurError, match=r"neither \*.trans.txt, wav.scp, nor audio"):
        recognise(tmp_path)
    with pytest.raises(SecateurError, match="expected a folder, or a table"):
        recognise(tmp_path / "none")


def paired(folder: Path, audio: str, texts: str) -> tuple[dict[str, str], dict[str, str]]:
    """Which recording got which text, each text being its own path; and why others are left out."""
    for name in audio.split():
        trees.sound(folder / name, 0.1)
    for name in texts.split():
        times = "1\n00:00:00,000 --> 00:00:00,100\n" if name.endswith(".srt") else ""
        trees.text(folder / name, times + name)
    listed = read_set(folder, "paired")
    return {r.audio.relative_to(folder).as_posix(): r.text for r in listed.recordings}, {
        one.id: one.reason for one in listed.left_out
    }


@pytest.mark.parametrize(
    ("audio", "texts", "expected"),
    [
        ("ann/1.wav ann/2.wav Bob/1.wav Bob/2.wav", "ann/1.txt ann/2.txt Bob/1.txt", "ann/1 ann/2 Bob/1"),
        ("ann/c1.wav Bob/c3.wav", "ann/c1.txt ann/c3.txt", "ann/c1"),
        ("wav/ann/c1.wav wav/ann/c3.wav wav/Bob/c3.wav", "txt/ann/c1.txt txt/ann/c3.txt", "wav/ann/c1 wav/ann/c3"),
        ("wav/ann/c1.wav wav/Bob/c3.wav", "txt/ann/c1.txt txt/ann/c3.txt", "wav/ann/c1"),
        ("ann/c1.wav ann/c3.wav Bob/c3.wav", "txt/ann/c1.txt txt/ann/c3.txt", "ann/c1 ann/c3"),
        ("ann/wav/1.wav Bob/wav/1.wav Bob/wav/2.wav", "ann/txt/1.txt Bob/txt/2.txt", "ann/wav/1 Bob/wav/2"),
        ("ann_wav/1.wav bob_wav/1.wav bob_wav/2.wav", "ann_txt/1.txt bob_txt/2.txt", "ann_wav/1 bob_wav/2"),
        ("Ton/ann/1.wav Ton/Bob/1.wav Ton/Bob/2.wav", "Texte/ann/1.txt Texte/Bob/2.txt", "Ton/ann/1 Ton/Bob/2"),
        ("ann/1.wav Bob/1.wav Bob/2.wav", "txt/1.txt txt/2.txt", "Bob/2"),
        ("train/wav/1.wav test/wav/1.wav test/wav/2.wav", "train/txt/1.txt test/txt/2.txt", "train/wav/1 test/wav/2"),
        ("train/ann/1.wav test/Bob/1.wav test/Bob/2.wav", "train/ann/1.lab train/ann/2.lab", "train/ann/1"),
        ("ann/1.wav Bob/1.wav Bob/2.wav", "ann/1.srt ann/2.srt Bob/1.srt", "ann/1 Bob/1"),
        ("wav/ann/1.wav wav/Bob/1.wav", "subs/ann/1.srt subs/Bob/1.srt", "wav/ann/1 wav/Bob/1"),
        ("corpus/ann/1.wav corpus/Bob/1.wav", "aligned/ann/1.srt aligned/carl/1.srt", "corpus/ann/1"),
        ("wav/a.wav mp3/a.flac", "txt/a.txt", "wav/a mp3/a"),
        ("rec/1.wav rec/2.wav intro.wav ann/3.wav", "1.txt 2.txt 3.txt", "rec/1 rec/2"),
    ],
)
def test_no_recording_gets_the_text_of_another_speaker(tmp_path: Path, audio: str, texts: str, expected: str) -> None:
    found, left_out = paired(tmp_path, audio, texts)
    assert sorted(name.rpartition(".")[0] for name in found) == sorted(expected.split())
    for name, text in found.items():
        ours, theirs = Path(name), Path(text)
        assert theirs.stem == ours.stem
        assert theirs.parent.name in ("txt", "", ours.parent.name) or theirs.parent.name[:3] == ours.parent.name[:3]
    assert {name for name in audio.split() if name not in found} <= set(left_out)


def test_what_is_unclear_is_said(tmp_path: Path) -> None:
    texts = "ann/1.txt ann/orphan.txt ann/readme.txt txt/2.txt txt/3.txt trans/3.txt"
    found, left_out = paired(tmp_path, "ann/1.wav ann/2.wav Bob/2.wav Bob/3.wav", texts)
    assert found == {"ann/1.wav": "ann/1.txt"}
    assert left_out == {
        "ann/2.wav": "its text may be another recording's",
        "Bob/2.wav": "its text may be another recording's",
        "Bob/3.wav": "several texts may be its transcript",
        "ann/orphan.txt": "no recording of its name",
    }
    assert "2 texts belong to no recording, first ann/orphan.txt" in read_set(tmp_path, "paired").notes


@pytest.mark.parametrize("table", ["rows.csv", "ann/rows.csv"])
def test_a_row_without_recording_gets_no_other_speakers(tmp_path: Path, table: str) -> None:
    for name in ("ann/1.wav", "Bob/1.wav", "Bob/2.wav"):
        trees.sound(tmp_path / name, 0.1)
    folder = "" if "/" in table else "ann/"
    trees.text(tmp_path / table, f"audio,text\n{folder}1.wav,one\n{folder}2.wav,two\n")
    listed = read_set(tmp_path)
    assert [(r.audio.relative_to(tmp_path).as_posix(), r.audio.is_file()) for r in listed.recordings] == [
        ("ann/1.wav", True),
        ("ann/2.wav", False),
    ]


@pytest.mark.parametrize("folder", ["clips", "wavs", "audio", ""])
def test_a_missing_clip_is_named_where_it_should_be(tmp_path: Path, folder: str) -> None:
    trees.sound(tmp_path / folder / "a.wav", 0.1)
    trees.text(tmp_path / "train.tsv", "path\tsentence\na.wav\thello\nzz.mp3\tthere\n")
    assert [r.audio for r in read_set(tmp_path).recordings] == [tmp_path / folder / n for n in ("a.wav", "zz.mp3")]


def test_no_line_of_kaldi_is_dropped_in_silence(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        trees.sound(tmp_path / f"{name}.wav", 0.1)
    scp = trees.text(tmp_path / "wav.scp", "a a.wav\nb b.wav\na c.wav\n")
    texts = trees.text(tmp_path / "text", "a one\nb two\nnone three\nb four\n")
    listed = read_set(tmp_path)
    assert [(r.id, r.audio.name, r.text) for r in listed.recordings] == [("a", "a.wav", "one"), ("b", "b.wav", "two")]
    assert {one.id: one.reason for one in listed.left_out} == {
        f"{scp}, line 3": "the same id as a line before",
        f"{texts}, line 4": "the same id as a line before",
        "none": "a text whose recording is not in wav.scp",
    }
    segments = trees.text(tmp_path / "segments", "u1 a 0 0.05\nu2 a 3\nu1 a 0.05 0.1\n")
    trees.text(tmp_path / "text", "u1 one\nu2 two\nu3 three\n")
    listed = read_set(tmp_path)
    assert [(r.id, r.offset, r.text) for r in listed.recordings] == [("u1", 0, "one")]
    assert {one.id: one.reason for one in listed.left_out} == {
        f"{scp}, line 3": "the same id as a line before",
        f"{segments}, line 2": "no segment",
        f"{segments}, line 3": "the same id as a line before",
        "u3": "a text without segment",
        "b": "a recording without segment",
    }


def test_texts_and_recordings_alone_are_said(tmp_path: Path) -> None:
    trees.aishell(tmp_path / "aishell")
    trees.text(tmp_path / "aishell" / "data_aishell" / "transcript" / "aishell_transcript_b.txt", "gone 你 好\n")
    listed = read_set(tmp_path / "aishell")
    assert [(one.id, one.reason) for one in listed.left_out] == [("gone", "no recording of its name")]
    assert any("1 audio files in it have no transcript" in note for note in listed.notes)
    trees.sound(tmp_path / "labels" / "a.wav", 1)
    lines = [f"{i / 20:.2f}\t{i / 20 + 0.04:.2f}\tword {i}" for i in range(19)]
    trees.text(tmp_path / "labels" / "a.txt", "\n".join([*lines, "0.98 the last"]))
    listed = read_set(tmp_path / "labels")
    assert (len(listed.recordings), [(one.id, one.reason) for one in listed.left_out]) == (
        19,
        [("a.txt, line 20", "no line of labels")],
    )
