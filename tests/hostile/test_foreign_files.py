"""Damaged tables, annotations and manifests of others: read, or refused in one line, never anything else."""

from __future__ import annotations

import gzip
import json
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "data")]

from kinds import judged  # noqa: E402
from test_foreign_recordings import ctm, elan, labels, srt, stm, textgrid, vtt  # noqa: E402

from secateur.data.layouts import read_set  # noqa: E402
from secateur.data.recording import ReadSettings  # noqa: E402

ODD = (b'"', b"\x00", b"[" * 3000, b"-1", b"1e400", b"\n", b"\xff", b"<", b"|", b"9" * 5000, b"\r", b"\t")
TRIES = int(os.environ.get("SECATEUR_FUZZ", "60"))


class _Clip:
    """What the writers of annotations ask of a clip."""

    def __init__(self, number: int) -> None:
        self.text, self.speaker = f"good day number {number}, dear 'friend'", "anna"
        self.start, self.end = 0.5 * number, 0.5 * number + 0.4


SOME = [_Clip(i) for i in range(3)]
RECORDING = {"id": "talk", "sources": [{"type": "file", "channels": [0], "source": "talk.wav"}], "sampling_rate": 16000,
             "num_samples": 32000, "duration": 2.0, "channel_ids": [0]}  # fmt: skip
CUT = {"id": "c", "start": 0.5, "duration": 1.0, "channel": 0, "type": "MonoCut", "recording": RECORDING,
       "supervisions": [{"id": "s", "recording_id": "talk", "start": 0.1, "duration": 0.5, "text": "hi"}]}  # fmt: skip
LINE = json.dumps(CUT) + "\n"
NEMO = {"audio_filepath": "talk.wav", "offset": 0.1, "duration": 0.5}
FILES: dict[str, bytes] = {
    "talk.srt": srt(SOME).encode(), "talk.vtt": vtt(SOME).encode(), "talk.TextGrid": textgrid(SOME, False).encode(),
    "talk.textgrid": textgrid(SOME, True).encode("utf-16"), "talk.eaf": elan(SOME).encode(),
    "talk.txt": labels(SOME).encode(), "talk.ctm": ctm(SOME).encode(), "talk.stm": stm(SOME).encode(),
    "m.json": "".join(json.dumps(NEMO | {"text": c.text}) + "\n" for c in SOME).encode(),
    "cuts.jsonl": LINE.encode(), "cuts.jsonl.gz": gzip.compress(LINE.encode()),
    "t.csv": "".join(["file;start;end;text\n", *(f"talk.wav;{c.start};{c.end};{c.text}\n" for c in SOME)]).encode(),
    "list.txt": b"talk.wav|good day\ntalk.wav good night\n",
    "wav.scp": b"talk sph2pipe -f wav -p -c 1 talk.wav |\nb ffmpeg -i talk.wav -f wav - |\n",
}  # fmt: skip


def spoilt(data: bytes, draw: random.Random) -> bytes:
    """The file with some bytes changed, taken out, or put in twice."""
    found = bytearray(data)
    for _ in range(draw.randrange(1, 5)):
        at = draw.randrange(len(found) or 1)
        size = draw.choice((1, 1, 2, 8, 64))
        kind = draw.randrange(4)
        if kind == 0:
            found[at : at + size] = bytes(draw.randrange(256) for _ in range(size))
        elif kind == 1:
            del found[at : at + size]
        elif kind == 2:
            found[at:at] = found[at : at + size] * draw.choice((1, 2, 50))
        else:
            found[at : at + 1] = draw.choice(ODD)
    return bytes(found)


def test_damaged_parquet(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    soundfile.write(tmp_path / "talk.wav", np.zeros(1600), 16000)
    sound = {"bytes": (tmp_path / "talk.wav").read_bytes(), "path": "talk.wav"}
    rows = [{"audio": sound, "text": c.text} for c in SOME]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    valid, draw = (tmp_path / "a.parquet").read_bytes(), random.Random(0)
    settings = ReadSettings(media=tmp_path / "media")
    assert len(read_set(tmp_path / "a.parquet", None, settings).recordings) == 3
    for _ in range(TRIES):
        (tmp_path / "a.parquet").write_bytes(spoilt(valid, draw))
        assert judged(lambda: read_set(tmp_path / "a.parquet", None, settings)) in ("read", "refused")


@pytest.mark.parametrize("name", FILES)
def test_damaged_files(name: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "talk.wav", np.zeros(32000), 16000)
    if name == "wav.scp":
        (tmp_path / "text").write_text("talk good day\nb good night\n")
        (tmp_path / "segments").write_text("u1 talk 0.5 1.0\nu2 b 0 -1\n")
    target = tmp_path / name
    target.write_bytes(FILES[name])
    settings = ReadSettings(media=tmp_path / "media")
    assert read_set(target, None, settings).recordings
    draw = random.Random(name)
    for _ in range(TRIES):
        target.write_bytes(spoilt(FILES[name], draw))
        outcome = judged(lambda: read_set(target, None, settings))
        assert outcome in ("read", "refused"), target.read_bytes()[:2000]
