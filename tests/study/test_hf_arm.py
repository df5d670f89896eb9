"""Small models of `transformers` learn real digits, are pruned while they do, and the commands read what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("kaldialign")
from small_hf import hf_folder  # noqa: E402
from small_parakeet import parakeet_folder  # noqa: E402

from secateur.cli import main  # noqa: E402
from secateur.data.manifest import Utterance, read_manifest, write_manifest  # noqa: E402
from secateur.models.checkpoint import load_checkpoint  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402

RUN = """
same_speakers = true
[training]
steps = {steps}
mix = "none"
batch_seconds = 6.0
learning_rate = 4e-3
ema = 0.9
l2_sp = 0.0
spec_augment = "none"
augment = "none"
validate_every = 60.0
[prune]
method = "gradual"
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


def speakers_digits(speech: Path) -> list[Utterance]:
    """One speaker's clips, without the shortest."""
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if u.duration > 0.2]
    speaker = sorted({u.speaker for u in clips})[0]
    return [u for u in clips if u.speaker == speaker]


QUIET = {"attention_dropout": 0.0, "activation_dropout": 0.0, "intermediate_size": 128, "hidden_size": 64}
FRONT_END = {"hidden_dropout": 0.0, "feat_proj_dropout": 0.0, "final_dropout": 0.0, "conv_dim": [32, 48, 64]}


def wav2vec2(folder: Path) -> None:
    hf_folder("wav2vec2", folder, num_hidden_layers=2, do_stable_layer_norm=True, **QUIET, **FRONT_END)


def parakeet(folder: Path) -> None:
    parakeet_folder("parakeet", folder, num_hidden_layers=2, dropout=0.0, subsampling_factor=4, **QUIET)


@pytest.mark.parametrize(("make", "steps", "branches"), [(wav2vec2, 240, 4), (parakeet, 160, 8)])
def test_prune_evaluate_transcribe_export(
    make: Callable[[Path], None], steps: int, branches: int, speech: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    clips = speakers_digits(speech)
    # Few enough to be learnt by heart within seconds, from random weights.
    write_manifest(tmp_path / "learn.jsonl", clips[::8])
    write_manifest(tmp_path / "dev.jsonl", clips[::16])
    # Other texts than it learns, as the command wants them of a test.
    write_manifest(tmp_path / "test.jsonl", read_manifest(speech / "speechocean762" / "test.jsonl")[:4])
    make(tmp_path / "hf")
    (tmp_path / "run.toml").write_text(RUN.format(steps=steps))
    said(
        capsys, "prune", "--config", tmp_path / "run.toml", "--model", tmp_path / "hf", "--train",
        tmp_path / "learn.jsonl", "--dev", tmp_path / "dev.jsonl", "--test", tmp_path / "test.jsonl",
        "--out", tmp_path / "arm", "--device", "cpu",
    )  # fmt: skip
    before, after = read_foreign(tmp_path / "hf")[0], load_checkpoint(tmp_path / "arm")[0]
    full, left = (sum(p.numel() for p in m.parameters()) for m in (before, after))
    assert left < 0.77 * full and not after.config.uniform
    rate = said(capsys, "evaluate", tmp_path / "arm", tmp_path / "dev.jsonl")["rate"]
    assert rate < 0.4  # one of ten at chance is 0.9
    first = read_manifest(tmp_path / "dev.jsonl")[0]
    onnx = tmp_path / "onnx"
    made = said(capsys, "export", tmp_path / "arm", "--out", onnx, "--precision", "fp32", "--clips", first.audio,
                "--dev", tmp_path / "dev.jsonl")  # fmt: skip
    assert made["parity"]["frames_equal"] == made["parity"]["frames"] and made["parity"]["max_difference"] < 1e-4
    assert said(capsys, "evaluate", onnx, tmp_path / "dev.jsonl")["rate"] == pytest.approx(rate, abs=0.01)
    plain = ["export", str(tmp_path / "arm"), "--format", "transformers", "--out", str(tmp_path / "plain")]
    assert main(plain) == 2 and "all alike" in capsys.readouterr().err
    said(
        capsys, "sensitivity", tmp_path / "arm", "--data", tmp_path / "dev.jsonl", "--out", tmp_path / "map",
        "--device", "cpu", "--sites", "head,layer,branch",
    )  # fmt: skip
    sites = json.loads((tmp_path / "map" / "map.json").read_text())["sites"]
    kinds = [site["kind"] for site in sites]
    assert {"head", "branch"} <= set(kinds) <= {"head", "layer", "branch"} and kinds.count("branch") == branches
    heard = [said(capsys, "transcribe", first.audio, "--model", m)["files"] for m in (tmp_path / "arm", onnx)]
    assert heard[0][0]["text"] == heard[1][0]["text"]
