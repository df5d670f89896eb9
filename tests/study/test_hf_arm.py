"""Small models of `transformers` learn real digits, are pruned while they do, and the commands read what comes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("kaldialign")
from small_arm import Arm, one_speakers_digits, values  # noqa: E402
from small_hf import hf_folder  # noqa: E402
from small_parakeet import parakeet_folder  # noqa: E402

from secateur.cli import main  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402

QUIET = {"attention_dropout": 0.0, "activation_dropout": 0.0, "intermediate_size": 128, "hidden_size": 64}
FRONT_END = {"hidden_dropout": 0.0, "feat_proj_dropout": 0.0, "final_dropout": 0.0, "conv_dim": [32, 48, 64]}


def wav2vec2(folder: Path) -> None:
    hf_folder("wav2vec2", folder, num_hidden_layers=2, do_stable_layer_norm=True, **QUIET, **FRONT_END)


def parakeet(folder: Path) -> None:
    parakeet_folder("parakeet", folder, num_hidden_layers=2, dropout=0.0, subsampling_factor=4, **QUIET)


@pytest.mark.parametrize(("make", "steps", "branches"), [(wav2vec2, 180, 4), (parakeet, 120, 8)])
def test_prune_evaluate_transcribe_export(
    make: Callable[[Path], None], steps: int, branches: int, speech: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    one_speakers_digits(speech, tmp_path, every=16)
    make(tmp_path / "hf")
    arm = Arm(tmp_path, capsys)
    after = arm.run(
        tmp_path / "hf", steps=steps, remove=0.25, batch_seconds=6.0, training='mix = "none"\nl2_sp = 0.0',
        prune='method = "gradual"',
    )  # fmt: skip
    assert values(after) < 0.77 * values(read_foreign(tmp_path / "hf")[0]) and not after.config.uniform
    rate = arm.rate(arm.checkpoint)
    assert rate < 0.4
    arm.exported("frames")
    assert arm.rate(arm.onnx) == pytest.approx(rate, abs=0.01)
    plain = ["export", str(arm.checkpoint), "--format", "transformers", "--out", str(tmp_path / "plain")]
    assert main(plain) == 2 and "all alike" in capsys.readouterr().err
    kinds = arm.sites("head", "layer", "branch")
    assert {"head", "branch"} <= set(kinds) <= {"head", "layer", "branch"} and kinds.count("branch") == branches
    arm.text()
