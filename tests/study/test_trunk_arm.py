"""The encoder of a Whisper under a CTC output: made, trained, pruned, exported and heard by the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")
from small_arm import Arm, answer, one_speakers_digits, values  # noqa: E402
from small_models import small_whisper  # noqa: E402

from secateur.cli import main  # noqa: E402
from secateur.decode.ctc.words import greedy  # noqa: E402
from secateur.families.ctc.frames import MergedPass  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402


def test_new_prune_export_transcribe(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    one_speakers_digits(speech, tmp_path, every=16, shortest=0.25, longest=1.0)
    whisper, tokenizer = small_whisper()
    save_checkpoint(tmp_path / "whisper", whisper, tokenizer)
    made = answer(capsys, "models", "new", "whisper", "--trunk", tmp_path / "whisper", "--train",
                tmp_path / "learn.jsonl", "--out", tmp_path / "start")  # fmt: skip
    start, text = load_checkpoint(tmp_path / "start")
    assert made["parameters"] == sum(v.numel() for v in start.state_dict().values())
    # The trunk hears what the encoder hears.
    mel = torch.randn(2, 60, 80)
    with torch.no_grad():
        memory, counts = start.trunk(mel, torch.tensor([60, 31]), start.dropout, MergedPass(()))
        wanted, valid = whisper.encoder(mel, torch.tensor([60, 31]), whisper.dropout)
    assert torch.equal(memory, wanted) and counts.tolist() == valid.sum(1).tolist() == [30, 16]
    # What lies beyond the positions is not heard.
    assert start(torch.randn(1, 200, 80))[1].tolist() == [whisper.config.audio_context]
    assert start.config.max_seconds == pytest.approx(1.2)
    assert main(["models", "new", "whisper", "--train", str(tmp_path / "learn.jsonl"), "--out", "x"]) == 2
    assert "new.trunk names a Whisper" in capsys.readouterr().err
    arm = Arm(tmp_path, capsys)
    after = arm.run(tmp_path / "start", steps=300, remove=0.25, training="dropout = 0.0")
    assert values(after) < 0.77 * values(start)
    assert arm.rate(arm.checkpoint) < 0.6
    arm.exported("frames")
    with torch.no_grad():
        assert text.decode(greedy(after(mel)[0][0].numpy())) != arm.text()  # noise says something else
