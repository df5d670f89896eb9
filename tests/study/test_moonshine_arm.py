"""A small Moonshine learns real digits, is pruned while it learns, and every command reads what comes out."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("kaldialign")
from small_models import small_whisper  # noqa: E402
from small_moonshine import moonshine_folder  # noqa: E402

import secateur  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.families.seq2seq.probe import TokenProbe  # noqa: E402
from secateur.families.seq2seq.task import Seq2SeqTask  # noqa: E402
from secateur.models.checkpoint import load_checkpoint  # noqa: E402
from secateur.prune.initial_model import InitialModel  # noqa: E402
from secateur.prune.shrink import mask  # noqa: E402
from secateur.sensitivity.probe import ProbeSpec  # noqa: E402
from secateur.sensitivity.variants import BASELINE, Variant  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402

DEV = Path(secateur.__file__).parent / "data" / "bundled" / "dev.jsonl"
RUN = """
same_speakers = true
[training]
steps = 90
mix = "none"
batch_seconds = 8.0
learning_rate = 4e-3
ema = 0.9
spec_augment = "none"
augment = "none"
dropout = 0.0
validate_every = 40.0
[prune]
remove = 0.35
kinds = ["head", "ffn", "conv"]
every = 10
begin = 0.5
end = 0.7
frequent = 40
"""
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
from secateur.decode.options import DecodingOptions
from secateur.runtime.recogniser import Recogniser
found = Recogniser.load(sys.argv[1]).transcribe(sys.argv[2], DecodingOptions(word_times=True))
print(found.text, *(f"{w.start:.3f}-{w.end:.3f}" for s in found.segments for w in s.words))
"""


def test_variants_side_by_side_equal_masked_weights(tmp_path: Path) -> None:
    """Channels before the norm as well, whose absence changes what the norm gives to all others."""
    moonshine_folder(tmp_path)
    model, text = read_foreign(tmp_path)
    utterances = read_manifest(DEV)[:3]
    spec = ProbeSpec("", (), screen=0, device="cpu", precision="fp32", style="as-is", batch_seconds=20.0)

    def probe(one: Any) -> TokenProbe:
        return TokenProbe(one, text, utterances, spec, torch.device("cpu"))

    groups = [g for g in model.groups() if g.kind != "vocabulary"]
    gone = {g.name: tuple(range(0, g.units, 2)) if g.kind != "layer" else (1,) for g in groups}
    variants = [BASELINE, *(Variant(g.name, g.kind, "", "", 0.5, {g.name: gone[g.name]}) for g in groups)]
    found = probe(model).losses(variants, 0)
    for group, row in zip(groups, found[1:], strict=True):
        twin = copy.deepcopy(model)
        mask(twin, {group.name: sorted(set(range(group.units)) - set(gone[group.name]))})
        assert torch.allclose(probe(twin).losses([BASELINE], 0)[0], row, atol=2e-3), group.name
    assert len({round(float(row.sum()), 3) for row in found}) == len(variants)


def test_a_teacher_of_other_tokens_is_refused(tmp_path: Path) -> None:
    moonshine_folder(tmp_path)
    model, text = read_foreign(tmp_path)
    settings = TrainSettings(distillation=0.5)
    with pytest.raises(SecateurError, match="this one writes others"):
        Seq2SeqTask().objective(
            InitialModel(model, text, None), read_manifest(DEV)[:1], settings, small_whisper()[0], torch.device("cpu")
        )


def said(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_prune_evaluate_transcribe_export(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if u.duration > 0.2]
    clips = [u for u in clips if u.speaker == clips[0].speaker]
    # Few enough to be learnt by heart within seconds, from random weights.
    write_manifest(tmp_path / "learn.jsonl", clips[::16])
    write_manifest(tmp_path / "dev.jsonl", clips[::32])
    # Other texts than it learns, as the command wants them of a test.
    write_manifest(tmp_path / "test.jsonl", read_manifest(speech / "speechocean762" / "test.jsonl")[:2])
    moonshine_folder(tmp_path / "hf", hidden_size=64, intermediate_size=96)
    examined = said(capsys, "doctor", tmp_path / "hf")
    assert examined["family"] == "moonshine" and examined["problem"] == ""
    assert {one["kind"] for one in examined["prunable"]} == {"head", "ffn", "conv", "layer", "vocabulary"}
    assert all("residual stream" in one["why"] for one in examined["whole"])
    (tmp_path / "run.toml").write_text(RUN)
    said(
        capsys, "prune", "--config", tmp_path / "run.toml", "--model", tmp_path / "hf", "--train",
        tmp_path / "learn.jsonl", "--dev", tmp_path / "dev.jsonl", "--test", tmp_path / "test.jsonl",
        "--out", tmp_path / "arm", "--device", "cpu",
    )  # fmt: skip
    before, after = read_foreign(tmp_path / "hf")[0], load_checkpoint(tmp_path / "arm")[0]
    full, left = (sum(p.numel() for p in m.parameters()) for m in (before, after))
    assert left < 0.67 * full and after.config.vocabulary < before.config.vocabulary
    shown = said(capsys, "models", "show", tmp_path / "arm")
    assert shown["parameters"]["total"] == left and shown["config"]["family"] == "moonshine"
    assert main(["models", "show", str(tmp_path / "arm")]) == 0 and "heads" in capsys.readouterr().out
    rate = said(capsys, "evaluate", tmp_path / "arm", tmp_path / "dev.jsonl", "--device", "cpu")["rate"]
    assert rate < 0.4  # one of ten at chance is 0.9
    first, onnx = read_manifest(tmp_path / "dev.jsonl")[0], tmp_path / "onnx"
    made = said(capsys, "export", tmp_path / "arm", "--out", onnx, "--precision", "fp32", "--clips", first.audio,
                "--dev", tmp_path / "dev.jsonl")  # fmt: skip
    assert made["parity"]["steps_equal"] == made["parity"]["steps"] and made["parity"]["max_difference"] < 1e-4
    assert said(capsys, "evaluate", onnx, tmp_path / "dev.jsonl")["rate"] == pytest.approx(rate, abs=1e-9)
    said(
        capsys, "sensitivity", tmp_path / "arm", "--data", tmp_path / "dev.jsonl", "--out", tmp_path / "map",
        "--device", "cpu", "--sites", "head,layer,conv",
    )  # fmt: skip
    sites = json.loads((tmp_path / "map" / "map.json").read_text())["sites"]
    assert {site["kind"] for site in sites} == {"head", "layer", "conv"}
    heard = [said(capsys, "transcribe", first.audio, "--model", m)["files"] for m in (tmp_path / "arm", onnx)]
    assert heard[0][0]["text"] == heard[1][0]["text"] != ""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(onnx), str(first.audio)], capture_output=True, text=True, check=True
    )
    text, times = done.stdout.split(maxsplit=1)
    assert text == heard[0][0]["text"] and 0 <= float(times.split("-")[0]) < float(times.split("-")[1])
    assert float(times.split("-")[1]) <= first.duration + 0.05
