"""Long recordings with annotations, pairs of audio and text, Kaldi and lhotse, in real-life variants."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import foreign
import numpy as np
import pytest

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.data.annotations.elan import read_elan
from secateur.data.annotations.subtitles import read_subtitles
from secateur.data.annotations.textgrid import read_textgrid
from secateur.data.annotations.timed_lines import read_labels
from secateur.data.clip import read_clip
from secateur.data.layouts import read_set
from secateur.data.layouts.commands import Piped, file_of
from secateur.data.manifest import iter_manifest, read_manifest


@pytest.fixture(scope="module")
def clips() -> list[foreign.Clip]:
    return foreign.clips(5, start=6)


def clock(seconds: float, mark: str) -> str:
    return f"{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:{seconds % 60:06.3f}".replace(".", mark)


def srt(clips: list[foreign.Clip]) -> str:
    blocks = []
    for n, c in enumerate(clips, 1):
        first, rest = c.text.split(" ", 1)
        blocks.append(f"{n}\n{clock(c.start, ',')} --> {clock(c.end, ',')}\n<i>{first}</i>\n{rest}\n")
    return "\n".join(blocks)


def vtt(clips: list[foreign.Clip]) -> str:
    head = "WEBVTT - made by hand\nKind: captions\n\nNOTE nothing\nto see\n\nSTYLE\n::cue { color: red }\n\n"
    cues = [
        f"{clock(c.start, '.')[3:]} --> {clock(c.end, '.')[3:]} align:start\n<v {c.speaker}>{c.text}\n" for c in clips
    ]
    return head + "\n".join(cues)


def textgrid(clips: list[foreign.Clip], short: bool) -> str:
    end = clips[-1].end + 0.5
    intervals, at = [], 0.0
    for c in clips:
        intervals += [(at, c.start, ""), (c.start, c.end, c.text)]
        at = c.end
    intervals.append((at, end, ""))
    if short:
        rows = [f'{a}\n{b}\n"{t}"' for a, b, t in intervals]
        tier = f'"IntervalTier"\n"anna"\n0\n{end}\n{len(intervals)}\n' + "\n".join(rows)
        points = f'"TextTier"\n"notes"\n0\n{end}\n1\n1.5\n"bell"'
        return f'File type = "ooTextFile"\n"TextGrid"\n\n0\n{end}\n<exists>\n2\n{points}\n{tier}\n'
    rows = [
        f'        intervals [{n}]:\n            xmin = {a} \n            xmax = {b} \n            text = "{t}" '
        for n, (a, b, t) in enumerate(intervals, 1)
    ]
    return (
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0 \nxmax = {end} \ntiers? <exists> \n'
        "size = 1 \\n"
        f'item []: \n    item [1]:\n        class = "IntervalTier" \n        name = "anna" \n        xmin = 0 \n'
        f"        xmax = {end} \n        intervals: size = {len(intervals)} \n" + "\n".join(rows) + "\n"
    )


def elan(clips: list[foreign.Clip]) -> str:
    slots = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="a{i}" TIME_VALUE="{round(1000 * c.start)}"/>'
        f'<TIME_SLOT TIME_SLOT_ID="b{i}" TIME_VALUE="{round(1000 * c.end)}"/>'
        for i, c in enumerate(clips)
    )
    notes = "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="x{i}" TIME_SLOT_REF1="a{i}" TIME_SLOT_REF2="b{i}">'
        f"<ANNOTATION_VALUE>{c.text}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
        for i, c in enumerate(clips)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026" FORMAT="3.0" VERSION="3.0">'
        '<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/talk.wav" '
        f'MIME_TYPE="audio/x-wav" RELATIVE_MEDIA_URL="./talk.wav"/></HEADER><TIME_ORDER>{slots}</TIME_ORDER>'
        f'<TIER LINGUISTIC_TYPE_REF="default-lt" PARTICIPANT="anna" TIER_ID="A">{notes}</TIER>'
        '<TIER LINGUISTIC_TYPE_REF="tr" PARENT_REF="A" TIER_ID="English"><ANNOTATION>'
        '<REF_ANNOTATION ANNOTATION_ID="r1" '
        'ANNOTATION_REF="x0"><ANNOTATION_VALUE>a translation</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION></TIER>'
        "</ANNOTATION_DOCUMENT>"
    )


def labels(clips: list[foreign.Clip]) -> str:
    rows = [f"{c.start:.6f}\t{c.end:.6f}\t{c.text}\n" for c in clips]
    return "".join([rows[0], "\\\t120.0\t3000.0\n", *rows[1:]])


def ctm(clips: list[foreign.Clip]) -> str:
    rows = [";; made by hand"]
    for c in clips:
        words = c.text.split()
        step = (c.end - c.start) / len(words)
        rows += [f"talk 1 {c.start + i * step:.3f} {step:.3f} {w} 0.98" for i, w in enumerate(words)]
    return "\n".join(rows) + "\n"


def stm(clips: list[foreign.Clip]) -> str:
    rows = [';; CATEGORY "0" "" ""', "talk 1 inter_segment_gap 0.0 0.3 <o,,unknown> ignore_time_segment_in_scoring"]
    return "\n".join([*rows, *(f"talk 1 {c.speaker} {c.start} {c.end} <o,f0,female> {c.text}" for c in clips)]) + "\n"


KINDS = {
    "talk.srt": srt, "talk.en.srt": srt, "talk.vtt": vtt, "talk.TextGrid": lambda c: textgrid(c, False),
    "talk.txt": labels, "talk.textgrid": lambda c: textgrid(c, True), "talk.eaf": elan, "all.ctm": ctm,
    "references.stm": stm,
}  # fmt: skip
SPEAKERS = {
    "talk.vtt": "own", "references.stm": "own", "talk.TextGrid": "anna", "talk.textgrid": "anna", "talk.eaf": "anna",
}  # fmt: skip


@pytest.mark.parametrize("variant", ["", "utf-16", "crlf-bom"])
@pytest.mark.parametrize("name", KINDS)
def test_annotations(tmp_path: Path, clips: list[foreign.Clip], name: str, variant: str) -> None:
    foreign.joined(tmp_path / "in" / "talk.wav", clips)
    content = KINDS[name](clips)
    encoding = {"": "utf-8", "utf-16": "utf-16", "crlf-bom": "utf-8-sig"}[variant]
    foreign.write(tmp_path / "in" / name, content.replace("\n", "\r\n") if variant == "crlf-bom" else content, encoding)
    found = foreign.prepared(tmp_path / "in", tmp_path / "all.jsonl")
    foreign.assert_same_sounds(found, clips, slack=0.1)
    assert len({u.id for u in found}) == len(clips)
    speaker = SPEAKERS.get(name, "")
    assert [u.speaker for u in found] == [c.speaker if speaker == "own" else speaker for c in clips]
    assert [u.offset for u in found] == pytest.approx([c.start for c in clips], abs=0.002)
    if name.startswith("talk"):
        for source in (tmp_path / "in" / "talk.wav", tmp_path / "in" / name):
            assert foreign.prepared(source, tmp_path / "one.jsonl") == found
    assert main(["data", "check", str(tmp_path / "all.jsonl")]) == 0


def test_automatic_captions_say_each_line_once() -> None:
    text = (
        "WEBVTT\n\n00:00:00.160 --> 00:00:02.389 align:start position:0%\n \nhello<00:00:00.480><c> and</c>\n\n"
        "00:00:02.389 --> 00:00:02.399 align:start position:0%\nhello and\n \n\n"
        "00:00:02.399 --> 00:00:04.470 align:start position:0%\nhello and\nwelcome<00:00:02.720><c> &amp; more</c>\n"
    )
    assert [s.text for s in read_subtitles(text)] == ["hello and", "welcome & more"]


def test_subtitles_without_blank_lines() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nhello\n2\n00:00:02,500 --> 00:00:03,000\n{\\an8}1984\n"
    assert [(s.start, s.text) for s in read_subtitles(text)] == [(1.0, "hello"), (2.5, "1984")]


@pytest.mark.parametrize(
    "text",
    ["12.5\t14\thello\n14\t15.25\t\n", "0.00 2.50 hello\n2.60 4.00 good day\n", "[00:00.000 --> 00:02.000]  hello\n"],
)
def test_lines_with_times_are_labels(text: str) -> None:
    found = read_labels(text)
    assert found is not None
    assert found[0].text == "hello"


@pytest.mark.parametrize("text", ["1 2 buckle my shoe\n3 4 open the door\n", "2.5 litres of milk", "at 10:30 we met"])
def test_lines_with_numbers_are_no_labels(text: str) -> None:
    assert read_labels(text) is None


def test_words_of_the_forced_aligner_are_joined_at_pauses() -> None:
    words = [(0.0, 0.5, ""), (0.5, 0.8, "good"), (0.8, 1.2, "day"), (1.2, 2.4, ""), (2.4, 2.9, "bye"), (2.9, 3.0, "")]
    rows = "\n".join(f'{a}\n{b}\n"{t}"' for a, b, t in words)
    phones = '"IntervalTier"\n"anna - phones"\n0\n3\n1\n0\n3\n"g"'
    text = (
        'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n3\n<exists>\n2\n'
        f'"IntervalTier"\n"anna - words"\n0\n3\n6\n{rows}\n{phones}\n'
    )
    found = read_textgrid(text, "a.TextGrid")
    assert [(s.start, s.end, s.text, s.speaker) for s in found] == [
        (0.5, 1.2, "good day", "anna"),
        (2.4, 2.9, "bye", "anna"),
    ]


def unaligned(text: str, *slots: str) -> str:
    """Without the times of some slots."""
    for slot in slots:
        text = re.sub(rf'(TIME_SLOT_ID="{slot}") TIME_VALUE="\d+"', r"\1", text)
    return text


def test_annotations_without_times_share_what_is_between_their_neighbours(clips: list[foreign.Clip]) -> None:
    text, named = elan(clips[:3]), [c.text for c in clips[:3]]
    whole, _ = read_elan(text, "a.eaf")
    spans, _ = read_elan(unaligned(text, "a1", "b1"), "a.eaf")
    assert [span.text for span in spans] == named == [span.text for span in whole]
    third = (whole[2].start - whole[0].end) / 3
    assert spans[1].start == pytest.approx(whole[0].end + third)
    assert spans[1].end == pytest.approx(whole[0].end + 2 * third)
    assert (spans[0], spans[2]) == (whole[0], whole[2])
    with pytest.raises(SecateurError, match="in tier 'A' has no time: align it in ELAN"):
        read_elan(unaligned(text, "b2"), "a.eaf")


def test_damaged_annotations_are_one_clear_line(clips: list[foreign.Clip]) -> None:
    with pytest.raises(SecateurError, match="cut off"):
        read_textgrid(textgrid(clips, True)[:-40], "a.TextGrid")
    with pytest.raises(SecateurError, match="not a TextGrid"):
        read_textgrid("hello", "a.TextGrid")
    with pytest.raises(SecateurError, match="not an ELAN file"):
        read_elan(elan(clips)[:-40], "a.eaf")
    with pytest.raises(SecateurError, match="defines entities"):
        read_elan('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><ANNOTATION_DOCUMENT/>', "a.eaf")


@pytest.mark.parametrize(
    "text", ["wavtxt/{}.txt", "txt/{}.txt", "wav/{}.wav.txt", "transcripts/anna/{}.lab", "wav/{}.txt"]
)
def test_texts_in_sister_folders(tmp_path: Path, clips: list[foreign.Clip], text: str) -> None:
    folder = tmp_path / "in"
    nested = "anna" in text
    foreign.separate(folder / "wav" / ("anna" if nested else ""), clips)
    foreign.separate(folder / "wav" / "silent", foreign.clips(1, start=20))
    for c in clips:
        foreign.write(folder / text.format(c.name), f"\ufeff{c.text}\r\n")
    found = foreign.prepared(folder, tmp_path / "all.jsonl")
    foreign.assert_same_sounds(found, sorted(clips, key=lambda c: c.name))
    assert {u.speaker for u in found} == {"anna" if nested else ""}
    assert "no transcript beside it" in (tmp_path / "all.left-out.tsv").read_text()


def test_times_inside_a_text_are_found(
    tmp_path: Path, clips: list[foreign.Clip], capsys: pytest.CaptureFixture[str]
) -> None:
    foreign.separate(tmp_path / "in", clips[:2])
    foreign.write(tmp_path / "in" / f"{clips[0].name}.txt", f"[00:00:01] ANNA: {clips[0].text}\nand so on")
    foreign.write(tmp_path / "in" / f"{clips[1].name}.txt", "it is half past 10:30 already")
    found = foreign.prepared(tmp_path / "in", tmp_path / "all.jsonl")
    assert [u.text for u in found] == ["it is half past 10:30 already"]
    assert "times inside the text" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["{}.wav {}", "{}\t{}", "{}.wav|{}", "{} {}", '( {} "{}" )'])
def test_one_text_for_all(tmp_path: Path, clips: list[foreign.Clip], line: str) -> None:
    foreign.separate(tmp_path / "in" / "wav", clips)
    rows = [line.format(c.name, c.text) for c in clips]
    foreign.write(tmp_path / "in" / "transcripts.txt", "\n".join(rows))
    foreign.assert_same_sounds(foreign.prepared(tmp_path / "in", tmp_path / "all.jsonl"), clips)


def test_kaldi_segments_and_commands(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    recipe = tmp_path / "s5"
    long = foreign.joined(recipe / "corpus" / "long one.wav", clips)
    short = foreign.wav(recipe / "corpus" / "short.flac", clips[0].samples)
    data = recipe / "data" / "train"
    commands = ["sox -t wav 'corpus/long one.wav' -t wav -r 16k - remix 1 |", f"flac -c -d -s {short} |", "wget x |"]
    scp = "".join(f"rec{i} {c}\n" for i, c in enumerate(commands))
    foreign.write(data / "wav.scp", scp)
    ids = [f"{c.speaker}-rec0-{i}" for i, c in enumerate(clips)]
    segments = [f"{i} rec0 {c.start:.3f} {c.end:.3f}" for i, c in zip(ids, clips, strict=True)]
    segments += ["u-whole rec1 0 -1", "u-late rec1 5 4", "u-gone rec2 0 1"]
    foreign.write(data / "segments", "\n".join(segments) + "\n")
    texts = [f"{i} {c.text}" for i, c in zip(ids, clips, strict=True)]
    foreign.write(data / "text", "\n".join([*texts, f"u-whole {clips[0].text}", "u-late x", "u-gone x"]) + "\n")
    foreign.write(data / "utt2spk", "\n".join([*(f"{i} {i.split('-')[0]}" for i in ids), "u-whole u-whole"]) + "\n")
    found = foreign.prepared(data, tmp_path / "all.jsonl")
    foreign.assert_same_sounds(found, [*clips, clips[0]])
    assert [u.speaker for u in found] == [*(c.speaker for c in clips), ""]
    assert (found[0].audio, found[-1].audio, found[-1].offset) == (long, short, None)
    reasons = (tmp_path / "all.left-out.tsv").read_text()
    for reason in ("commands are never run", "what 'wget' does is not known", "times that make no sense", "u-gone"):
        assert reason in reasons


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("sph2pipe -f wav -p -c 1 /d/sw02001.sph |", Piped("/d/sw02001.sph", 0)),
        ("/opt/sph2pipe_v2.5/sph2pipe -f wav -p /d/a.sph | sox -t wav - -r 8000 -t wav - |", Piped("/d/a.sph")),
        ("ffmpeg -loglevel error -i /d/a.m4a -ar 16000 -ac 1 -f wav - |", Piped("/d/a.m4a")),
        ("ffmpeg -i 'a b.mp3' -f wav pipe:1 |", Piped("a b.mp3")),
        ("flac -cds a.flac |", Piped("a.flac")),
        ("cat a.wav |", Piped("a.wav")),
        ("sox a.wav -c 1 -r 16000 -b 16 -t wav - remix 2 |", Piped("a.wav", 1)),
    ],
)
def test_commands_that_only_read(command: str, expected: Piped) -> None:
    assert file_of(command) == expected


@pytest.mark.parametrize(
    "command",
    [
        "sox a.wav -t wav - speed 0.9 |", "sox a.wav -t wav - trim 1 2 |", "ffmpeg -ss 3 -i a.wav -f wav - |",
        "ffmpeg -i a.wav -filter:a atempo=2 -f wav - |", "sph2pipe -t 0:3 a.sph |", "cat a.wav b.wav |", "rm -rf x |",
        "cat a.wav; rm x |", "cat $(pwd)/a.wav |", "gunzip -c a.wav.gz |", "sox a.wav b.wav |", "cat a.wav | tee b |",
        "|", "flac -c -d --skip=100 a.flac |", "sox 'a.wav -t wav - |",
    ],
)  # fmt: skip
def test_commands_that_do_more(command: str) -> None:
    assert isinstance(file_of(command), str)


def test_lhotse(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    long = foreign.joined(tmp_path / "long.wav", clips)
    seconds = clips[-1].end + 0.5
    sources = [{"type": "file", "channels": [0], "source": str(long)}]
    recording = {"id": "long", "sources": sources, "sampling_rate": 16000,
                 "num_samples": round(seconds * 16000), "duration": seconds, "channel_ids": [0]}  # fmt: skip
    supervisions = [
        {"id": f"s{i}", "recording_id": "long", "start": c.start, "duration": c.end - c.start, "channel": 0,
         "text": c.text, "language": "English", "speaker": c.speaker, "gender": "F"} for i, c in enumerate(clips)
    ]  # fmt: skip
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for name, values in (("set_recordings_train", [recording]), ("set_supervisions_train", supervisions)):
        (pairs / f"{name}.jsonl.gz").write_bytes(gzip.compress(foreign.lines(values).encode()))
    cuts = [
        {"id": f"cut{i}", "start": s["start"] - 0.1, "duration": s["duration"] + 0.2, "channel": 0, "type": "MonoCut",
         "recording": recording, "supervisions": [{**s, "start": 0.1}]} for i, s in enumerate(supervisions)
    ]  # fmt: skip
    mixed = {"id": "m", "type": "MixedCut", "tracks": []}
    foreign.write(tmp_path / "cuts" / "cuts.jsonl", foreign.lines([*cuts, mixed]))
    cut_file = tmp_path / "cuts" / "cuts.jsonl"
    for source in (pairs, pairs / "set_supervisions_train.jsonl.gz", cut_file.parent, cut_file):
        found = foreign.prepared(source, tmp_path / "all.jsonl")
        foreign.assert_same_sounds(found, clips)
        assert [(u.id, u.speaker) for u in found] == [(f"s{i}", c.speaker) for i, c in enumerate(clips)]
        assert [u.offset for u in found] == pytest.approx([c.start for c in clips])
        assert found[0].extras["gender"] == "F"


def test_parts_become_files_where_a_format_is_asked_for(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.joined(tmp_path / "in" / "talk.wav", clips)
    foreign.write(tmp_path / "in" / "talk.srt", srt(clips))
    found = foreign.prepared(tmp_path / "in", tmp_path / "all.jsonl", "--format", "flac", "--sample-rate", "8000")
    foreign.assert_same_sounds(found, clips)
    assert [u.offset for u in found] == [None] * len(clips)
    assert len({u.audio for u in found}) == len(clips)


def test_two_annotations_of_one_recording(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.joined(tmp_path / "in" / "talk.wav", clips)
    foreign.write(tmp_path / "in" / "talk.srt", srt(clips))
    foreign.write(tmp_path / "in" / "talk.TextGrid", textgrid(clips[:2], True))
    listed = read_set(tmp_path / "in")
    assert len(listed.recordings) == 2
    assert [one.reason for one in listed.left_out] == ["another annotation of the same recording"]


def test_ids_with_spaces_stay(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.wav(tmp_path / "in" / "ms anna" / "take one.wav", clips[0].samples)
    foreign.write(tmp_path / "in" / "ms anna" / "take one.txt", clips[0].text)
    [one] = foreign.prepared(tmp_path / "in", tmp_path / "all.jsonl")
    assert (one.id, one.speaker) == ("ms anna-take one", "ms anna")
    assert read_manifest(tmp_path / "all.jsonl") == [one]


def test_texts_in_json_beside_the_audio(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.separate(tmp_path / "in", clips)
    for c in clips:
        foreign.write(tmp_path / "in" / f"{c.name}.json", json.dumps({"transcript": c.text, "speaker_id": c.speaker}))
    found = foreign.prepared(tmp_path / "in", tmp_path / "all.jsonl")
    assert [(u.id, u.text, u.speaker) for u in found] == sorted((c.name, c.text, c.speaker) for c in clips)


def test_segments_in_json_and_labels_under_another_name(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    segments = [{"id": i, "start": c.start, "end": c.end, "text": f" {c.text}"} for i, c in enumerate(clips)]
    whisper = json.dumps({"text": "", "segments": segments})
    for name, content in (("talk.json", whisper), ("Label Track.txt", labels(clips))):
        folder = tmp_path / name
        foreign.joined(folder / "talk.wav", clips)
        foreign.write(folder / name, content)
        foreign.assert_same_sounds(foreign.prepared(folder, tmp_path / "all.jsonl"), clips)


@pytest.fixture
def call(tmp_path: Path, clips: list[foreign.Clip]) -> Path:
    """A call: the first clip on the left, the second on the right, at once."""
    length = max(len(c.samples) for c in clips[:2])
    sides = [np.pad(c.samples, (0, length - len(c.samples))) for c in clips[:2]]
    return foreign.wav(tmp_path / "call.wav", np.stack(sides, axis=1))


def assert_sides(found: list[foreign.Utterance], clips: list[foreign.Clip]) -> None:
    assert [u.channel for u in found] == [0, 1]
    for u, c in zip(found, clips, strict=True):
        samples = read_clip(u, foreign.RATE)
        assert np.abs(samples[: len(c.samples)] - c.samples[: len(samples)]).max() < 1e-3


def test_a_speaker_a_side(tmp_path: Path, clips: list[foreign.Clip], call: Path) -> None:
    kaldi = tmp_path / "k"
    foreign.write(kaldi / "wav.scp", f"call-A {call}\ncall-B sox {call} -t wav - remix 2 |\n")
    foreign.write(kaldi / "reco2file_and_channel", "call-A call A\ncall-B call B\n")
    foreign.write(kaldi / "text", f"call-A {clips[0].text}\ncall-B {clips[1].text}\n")
    found = foreign.prepared(kaldi, tmp_path / "kaldi.jsonl")
    assert_sides(found, clips[:2])
    sides = zip("AB", clips[:2], strict=True)
    lines = [f"call {side} s{side} 0 {len(c.samples) / 16000} {c.text}" for side, c in sides]
    foreign.write(tmp_path / "call.stm", "\n".join(lines))
    assert_sides(foreign.prepared(tmp_path / "call.stm", tmp_path / "stm.jsonl"), clips[:2])
    for form in ("nemo", "lhotse", "kaldi", "audiofolder"):
        out = tmp_path / ("m.json" if form == "nemo" else form)
        assert main(["data", "export", str(tmp_path / "kaldi.jsonl"), "--to", form, "--out", str(out)]) == 0
        back = foreign.prepared(out, tmp_path / "back.jsonl")
        assert [(u.id, u.text, u.channel) for u in back] == [(u.id, u.text, None) for u in found]
        for u, c in zip(back, clips, strict=False):
            assert np.abs(read_clip(u)[: len(c.samples)] - c.samples).max() < 1e-3
    assert main(["data", "pack", str(tmp_path / "kaldi.jsonl"), "--out", str(tmp_path / "packed")]) == 0
    packed = list(iter_manifest(tmp_path / "packed-*.tar"))
    assert [u.channel for u in packed] == [None, None]
    assert np.abs(read_clip(packed[1])[: len(clips[1].samples)] - clips[1].samples).max() < 1e-3


def test_turns_in_subtitles_and_those_of_youtube() -> None:
    spans = read_subtitles("1\n00:00:01,000 --> 00:00:02,000\n- Who is there?\n– It's me, 3 - 2 of us.\n")
    assert [s.text for s in spans] == ["Who is there? It's me, 3 - 2 of us."]
    spans = read_subtitles("0:00:00.500,0:00:02.200\nhello there\n\n0:00:02.200,0:01:04.500\nonce more\n")
    assert [(s.start, s.end, s.text) for s in spans] == [(0.5, 2.2, "hello there"), (2.2, 64.5, "once more")]


def cues(*texts: str) -> str:
    times = (f"00:0{i}.000 --> 00:0{i + 1}.000" for i in range(len(texts)))
    return "WEBVTT\n\n" + "\n\n".join(map("\n".join, zip(times, texts, strict=True)))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("<v Eva>yes</v> <v Jo>no</v>", "<v.loud Jo>why <i>not</i>"), [("yes no", ""), ("why not", "Jo")]),
        (("DR. NO: we know", "it (sighs)\nis (coughs), late ♫", "(boo)"), [("we know", "DR. NO"), ("it is, late", "")]),
        (("- EVA: who\n- JO: me", "Note: so it is"), [("who me", ""), ("Note: so it is", "")]),
        (("left: hi", "right: hello", "left: so", "right: yes"),
         [("hi", "left"), ("hello", "right"), ("so", "left"), ("yes", "right")]),
        (("Speaker 2: one", ">> two", "小明：三 (2)"), [("one", "Speaker 2"), ("two", ""), ("小明：三 (2)", "")]),
        (("NOTE: ALL IS LOUD", "SO IT IS"), [("NOTE: ALL IS LOUD", ""), ("SO IT IS", "")]),
    ],
)  # fmt: skip
def test_speakers_and_sounds_in_subtitles(texts: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    assert [(s.text, s.speaker) for s in read_subtitles(cues(*texts))] == expected


def test_what_subtitles_do_not_say_is_noted(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    for name in ("one", "two"):
        foreign.joined(tmp_path / f"{name}.wav", clips[:2])
        foreign.write(tmp_path / f"{name}.vtt", cues("<v Eva>so (coughs)", f"<v Eva>yes <v Jo>{name}"))
    assert read_set(tmp_path / "two.vtt").notes == [
        "two.vtt: 1 sounds are not taken for text: (coughs)",
        "two.vtt: 1 cues in which several speak have no speaker, first Eva, Jo",
    ]
    foreign.write(tmp_path / "one.txt", "0.1\t0.6\tSPEAKER_00: hello\n0.6\t1.0\tSPEAKER_01: so: what\n")
    (tmp_path / "one.vtt").unlink()
    assert [(r.text, r.speaker) for r in read_set(tmp_path / "one.txt").recordings] == [
        ("hello", "SPEAKER_00"), ("so: what", "SPEAKER_01"),
    ]  # fmt: skip


def test_several_microphones_share_a_text(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    for c in clips[:2]:
        for microphone in (1, 2):
            foreign.wav(tmp_path / "wav48_silence_trimmed" / "p225" / f"{c.name}_mic{microphone}.flac", c.samples)
        foreign.write(tmp_path / "txt" / "p225" / f"{c.name}.txt", c.text)
    found = foreign.prepared(tmp_path, tmp_path / "all.jsonl")
    foreign.assert_same_sounds(found, [clips[0], clips[0], clips[1], clips[1]])
    assert {u.speaker for u in found} == {"p225"}


def test_pinyin_below_a_text_is_not_spoken(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.separate(tmp_path, clips[:1])
    foreign.write(tmp_path / f"{clips[0].name}.wav.trn", "绿 是 阳春\nlv4 shi4 yang2 chun1\nl v4 sh ix4 iang2\n")
    found = foreign.prepared(tmp_path, tmp_path / "all.jsonl", "--language", "zh")
    assert [u.text for u in found] == ["绿 是 阳春"]
