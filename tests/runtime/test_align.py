"""`secateur data align` on joined clips: texts, times, and what is left out, with the bundled model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from secateur.audio.read import read_audio
from secateur.cli import main
from secateur.data.manifest import Utterance, read_manifest

RATE = 16000
Talk = tuple[Path, list[Utterance], list[tuple[float, float]]]


@pytest.fixture(scope="module")
def talk(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Talk:
    """Six clips of one reader in a row, with half a second between them; and where each is."""
    clips = [u for u in read_manifest(speech / "librispeech-mini" / "dev.jsonl") if 4 < u.duration < 12][:6]
    pieces, spans, at = [], [], 0.0
    for u in clips:
        samples = read_audio(u.audio, RATE)
        spans.append((at, at + len(samples) / RATE))
        pieces += [samples, np.random.default_rng(0).normal(0, 2e-4, RATE // 2).astype(np.float32)]
        at += len(samples) / RATE + 0.5
    path = tmp_path_factory.mktemp("talk") / "talk.flac"
    soundfile.write(path, np.concatenate(pieces), RATE)
    return path, clips, spans


def test_a_talk_and_its_text(talk: Talk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, clips, spans = talk
    text = [f"{u.text[:1].upper()}{u.text[1:]}." for u in clips]
    text.insert(3, "Editor's note: the following paragraph was added to the printed edition years later by others.")
    text.insert(1, "[applause in the hall]")
    (tmp_path / "talk.txt").write_bytes("\r\n\r\n".join(text).encode("utf-16"))
    out = tmp_path / "set.jsonl"
    assert main(["data", "align", str(path), str(tmp_path / "talk.txt"), "--out", str(out), "--speaker", "anna"]) == 0
    assert "left out" in capsys.readouterr().out
    found = read_manifest(out)
    assert {u.speaker for u in found} == {"anna"}
    words = " ".join(u.text for u in found).split()
    written = " ".join(text).split()
    assert len(words) > 0.7 * len(" ".join(u.text for u in clips).split())
    assert "printed" not in words
    left_out = (tmp_path / "set.left-out.tsv").read_text()
    assert "printed edition" in left_out
    assert "4\ta mark, not speech\t[applause in the hall]" in left_out
    assert set(words) <= set(written)
    for u in found:
        assert u.offset is not None
        assert 2.0 <= u.duration <= 20.0
        assert 0.5 <= u.extras["score"] <= 1.0
        middle = u.offset + u.duration / 2
        near = [i for i, (a, b) in enumerate(spans) if a - 0.3 <= middle <= b + 0.3]
        assert any(u.text.split()[len(u.text.split()) // 2].strip(".").lower() in clips[i].text.split() for i in near)
    assert main(["data", "check", str(out)]) == 0


def test_another_text_and_texts_with_times(talk: Talk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, _, _ = talk
    samples, _ = soundfile.read(whole, dtype="float32")
    path, out = tmp_path / "talk.flac", tmp_path / "set.jsonl"
    soundfile.write(path, samples[: 9 * RATE], RATE)
    for text, problem in (
        ("Etwas ganz anderes, das niemand je gesagt hat, und noch etwas dazu.", "nothing of the text was recognised"),
        ("[00:00:01] hello there", "has times in it"),
        (" \n", "no words in its text"),
    ):
        (tmp_path / "talk.txt").write_text(text)
        assert main(["data", "align", str(path), str(tmp_path / "talk.txt"), "--out", str(out)]) == 2
        assert problem in capsys.readouterr().err
        assert not out.exists()
