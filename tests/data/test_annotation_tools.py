"""Exports of Label Studio, Prodigy and doccano, as these programs write them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import foreign
import pytest

from secateur.base.errors import SecateurError
from secateur.data.layouts import read_set

Task = dict[str, Any]


@pytest.fixture(scope="module")
def clips() -> list[foreign.Clip]:
    return foreign.clips(3, start=2)


def result(kind: str, value: Task, name: str, identity: str = "x") -> Task:
    return {
        "original_length": 9.9, "value": value, "id": identity, "from_name": name, "to_name": "audio", "type": kind,
        "origin": "manual",
    }  # fmt: skip


def task(number: int, audio: str, results: Sequence[Task], **more: Any) -> Task:
    annotation = {"id": number, "completed_by": 1, "result": list(results), "was_cancelled": False, **more}
    return {
        "id": number, "annotations": [annotation], "file_upload": audio.rsplit("/", 1)[-1], "drafts": [],
        "predictions": [], "data": {"audio": audio, "speaker": "ann"}, "meta": {}, "project": 1, "comment_count": 0,
    }  # fmt: skip


def whole(text: str, name: str = "transcription") -> Task:
    return result("textarea", {"text": [text]}, name)


def regions(clips: list[foreign.Clip], channel: int = 0) -> list[Task]:
    """Each clip as a labelled region with its transcript, the last without; the order is that of clicking."""
    made = []
    for i, clip in enumerate(reversed(clips)):
        span = {"start": clip.start, "end": clip.end, "channel": channel}
        made.append(result("labels", span | {"labels": ["Speech"]}, "label", f"r{i}"))
        made += [result("textarea", span | {"text": [clip.text]}, "transcription", f"r{i}")] if i else []
    return made


def written(path: Path, value: Any) -> Path:
    return foreign.write(path, json.dumps(value))


@pytest.mark.parametrize(
    "where", ["/data/upload/7/0a1b2c3{}-{}.wav", "http://host:8080/data/upload/7/0a1b2c3{}-{}.wav"]
)
def test_label_studio_names_its_uploads_anew(tmp_path: Path, clips: list[foreign.Clip], where: str) -> None:
    foreign.separate(tmp_path, clips)
    export = [task(i, where.format(i, c.name), [whole(c.text)]) for i, c in enumerate(clips)]
    prepared = foreign.prepared(written(tmp_path / "project-1-at-2026.json", export), tmp_path / "out.jsonl")
    foreign.assert_same_sounds(prepared, clips)
    assert {u.speaker for u in prepared} == {"ann"}


@pytest.mark.parametrize("as_folder", [True, False])
def test_label_studio_regions_cut_a_recording(tmp_path: Path, clips: list[foreign.Clip], as_folder: bool) -> None:
    foreign.joined(tmp_path / "in" / "calls" / "a b.wav", clips)
    export = [task(1, "/data/local-files/?d=calls%2Fa%20b.wav", regions(clips))]
    path = written(tmp_path / "in" / "export.json", export)
    listed = read_set(path.parent if as_folder else path)
    assert [(r.text, r.offset, r.channel) for r in listed.recordings] == [(c.text, c.start, None) for c in clips[:2]]
    assert all(r.audio == tmp_path / "in" / "calls" / "a b.wav" for r in listed.recordings)
    assert [r.extras["label"] for r in listed.recordings] == [["Speech"], ["Speech"]]
    assert [o.reason for o in listed.left_out] == ["a region without transcript"]


def test_label_studio_keeps_channels_that_were_chosen(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.joined(tmp_path / "a.wav", clips)
    results = regions(clips[:2], channel=1) + regions(clips[1:], channel=0)
    path = written(
        tmp_path / "export.json", [task(1, "a.wav", [r | {"id": f"{i // 3}{r['id']}"} for i, r in enumerate(results)])]
    )
    assert [r.channel for r in read_set(path).recordings] == [1, 0]


def test_label_studio_takes_what_is_done_and_the_ground_truth(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.separate(tmp_path, clips)
    several = task(1, f"{clips[0].name}.wav", [whole("wrong")])
    several["annotations"].insert(0, {"result": [whole(clips[0].text)], "ground_truth": True})
    skipped = task(2, f"{clips[1].name}.wav", [whole("wrong")], was_cancelled=True)
    path = written(tmp_path / "export.json", [several, skipped])
    listed = read_set(path)
    assert [r.text for r in listed.recordings] == [clips[0].text]
    assert [o.reason for o in listed.left_out] == ["not annotated in Label Studio"]
    assert any("ground truth" in note for note in listed.notes)


def test_label_studio_texts_of_the_project_s_own_name(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.separate(tmp_path, clips)
    both = [whole(clips[0].text, "original"), whole("ein anderer Satz", "german")]
    path = written(tmp_path / "export.json", [task(1, f"{clips[0].name}.wav", both)])
    with pytest.raises(SecateurError, match=r"several columns may be the text \(original, german\).*--columns text="):
        read_set(path)
    [one] = foreign.prepared(path, tmp_path / "out.jsonl", "--columns", "text=original")
    assert one.text == clips[0].text


def test_label_studio_without_its_recordings_names_one(tmp_path: Path) -> None:
    written(tmp_path / "export.json", [task(1, "/data/upload/1/0a1b2c3d-talk.wav", [whole("hello there")])])
    with pytest.raises(SecateurError, match=r"export.json names is there, such as 0a1b2c3d-talk.wav"):
        read_set(tmp_path)


def test_label_studio_of_pictures_is_refused(tmp_path: Path) -> None:
    picture = task(1, "x", []) | {"data": {"image": "/data/upload/1/0a1b2c3d-cat.jpg"}}
    with pytest.raises(SecateurError, match="no recording in this task: image"):
        read_set(written(tmp_path / "export.json", [picture]))


@pytest.mark.parametrize("ending", ["json", "csv"])
def test_label_studio_short_forms(tmp_path: Path, clips: list[foreign.Clip], ending: str) -> None:
    foreign.joined(tmp_path / "talk.wav", clips)
    spans = [{"start": c.start, "end": c.end, "channel": 0, "labels": ["Speech"]} for c in clips]
    row = {
        "audio": "/data/upload/1/0a1b2c3d-talk.wav", "id": 4, "label": spans, "transcription": [c.text for c in clips],
        "annotator": 1, "annotation_id": 9, "lead_time": 3.2,
    }  # fmt: skip
    cut_off = row | {"id": 5, "transcription": clips[0].text}
    path = tmp_path / f"project.{ending}"
    if ending == "json":
        written(path, [row, cut_off])
    else:
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(row))
            table.writeheader()
            table.writerows(
                {k: json.dumps(v) if isinstance(v, list) else v for k, v in r.items()} for r in (row, cut_off)
            )
    listed = read_set(path)
    assert [(r.text, r.offset) for r in listed.recordings] == [(c.text, c.start) for c in clips]
    assert [o.reason for o in listed.left_out] == ["regions and transcripts do not match"]


def test_prodigy_writes_the_file_s_name_as_text(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.separate(tmp_path, clips)
    rows = [
        {
            "audio": "data:audio/wav;base64,UklGRg==" if i else f"{c.name}.wav", "text": c.name,
            "meta": {"file": f"{c.name}.wav"}, "path": f"/home/ann/{c.name}.wav", "_input_hash": i, "_task_hash": i,
            "field_id": "transcript", "audio_spans": [], "transcript": c.text, "answer": answer, "_timestamp": 1,
        }
        for i, (c, answer) in enumerate(zip(clips, ("accept", "accept", "reject"), strict=True))
    ]  # fmt: skip
    path = foreign.write(tmp_path / "out.jsonl", foreign.lines(rows))
    listed = read_set(path)
    assert [(r.text, r.audio.name) for r in listed.recordings] == [(c.text, f"{c.name}.wav") for c in clips[:2]]
    assert [o.reason for o in listed.left_out] == ["answered 'reject' in Prodigy"]


def test_doccano_lists_what_every_annotator_wrote(tmp_path: Path, clips: list[foreign.Clip]) -> None:
    foreign.separate(tmp_path, clips)
    labels = (["yes"], ["on", "off"], [])
    rows = [
        {"id": i, "filename": f"{c.name}.wav", "label": label}
        for i, (c, label) in enumerate(zip(clips, labels, strict=True))
    ]
    listed = read_set(foreign.write(tmp_path / "all.jsonl", foreign.lines(rows)))
    assert [r.text for r in listed.recordings] == ["yes"]
    assert [o.reason for o in listed.left_out] == ["several different transcripts", "not annotated in doccano"]
