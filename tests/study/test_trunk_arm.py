"""The encoder of a Whisper under a CTC output: made, trained, pruned, exported and heard by the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")
from small_models import small_whisper  # noqa: E402

from secateur.cli import main  # noqa: E402
from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.decode.ctc.greedy import greedy  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402

RUN = """
same_speakers = true
[training]
steps = 300
batch_seconds = 8.0
learning_rate = 4e-3
ema = 0.9
spec_augment = "none"
augment = "none"
dropout = 0.0
validate_every = 100.0
[prune]
remove = 0.25
kinds = ["head", "ffn", "conv"]
every = 10
begin = 0.5
end = 0.7
"""


def said(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_new_prune_export_transcribe(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if 0.25 < u.duration < 1.0]
    clips = [u for u in clips if u.speaker == clips[0].speaker]
    write_manifest(tmp_path / "learn.jsonl", clips[::16])
    write_manifest(tmp_path / "dev.jsonl", clips[::32])
    # Other texts than it learns, as the command wants them of a test.
    short = [u for u in read_manifest(speech / "speechocean762" / "test.jsonl") if u.duration < 3]
    write_manifest(tmp_path / "test.jsonl", short[:2])
    whisper, tokenizer = small_whisper()
    save_checkpoint(tmp_path / "whisper", whisper, tokenizer)
    made = said(capsys, "models", "new", "whisper", "--trunk", tmp_path / "whisper", "--train",
                tmp_path / "learn.jsonl", "--out", tmp_path / "start")  # fmt: skip
    start, text = load_checkpoint(tmp_path / "start")
    assert made["parameters"] == sum(v.numel() for v in start.state_dict().values())
    # The trunk hears what the encoder hears.
    mel = torch.randn(2, 60, 80)
    with torch.no_grad():
        memory, counts = start.trunk(mel, torch.tensor([60, 31]), start.dropout)
        wanted, valid = whisper.encoder(mel, torch.tensor([60, 31]), whisper.dropout)
    assert torch.equal(memory, wanted) and counts.tolist() == valid.sum(1).tolist() == [30, 16]
    # What lies beyond the positions is not heard.
    assert start(torch.randn(1, 200, 80))[1].tolist() == [whisper.config.audio_context]
    assert start.config.max_seconds == pytest.approx(1.2)
    assert main(["models", "new", "whisper", "--train", str(tmp_path / "learn.jsonl"), "--out", "x"]) == 2
    assert "new.trunk names a Whisper" in capsys.readouterr().err
    (tmp_path / "run.toml").write_text(RUN)
    said(
        capsys, "prune", "--config", tmp_path / "run.toml", "--model", tmp_path / "start", "--train",
        tmp_path / "learn.jsonl", "--dev", tmp_path / "dev.jsonl", "--test", tmp_path / "test.jsonl",
        "--out", tmp_path / "arm", "--device", "cpu",
    )  # fmt: skip
    after = load_checkpoint(tmp_path / "arm")[0]
    full, left = (sum(p.numel() for p in m.parameters()) for m in (start, after))
    assert left < 0.77 * full
    rate = said(capsys, "evaluate", tmp_path / "arm", tmp_path / "dev.jsonl")["rate"]
    assert rate < 0.6  # one of ten at chance is 0.9
    first, onnx = read_manifest(tmp_path / "dev.jsonl")[0], tmp_path / "onnx"
    found = said(capsys, "export", tmp_path / "arm", "--out", onnx, "--precision", "fp32", "--clips", first.audio,
                 "--dev", tmp_path / "dev.jsonl")  # fmt: skip
    assert found["parity"]["frames_equal"] == found["parity"]["frames"] and found["parity"]["max_difference"] < 1e-4
    heard = [said(capsys, "transcribe", first.audio, "--model", m)["files"] for m in (tmp_path / "arm", onnx)]
    assert heard[0][0]["text"] == heard[1][0]["text"]
    with torch.no_grad():
        assert text.decode(greedy(after(mel)[0][0].numpy())) != heard[0][0]["text"]  # noise says something else
