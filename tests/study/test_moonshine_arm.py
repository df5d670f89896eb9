"""A small Moonshine learns real digits, is pruned while it learns, and every command reads what comes out."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("kaldialign")
from small_arm import Arm, answer, one_speakers_digits, values  # noqa: E402
from small_models import small_whisper  # noqa: E402
from small_moonshine import moonshine_folder  # noqa: E402

import secateur  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.manifest import read_manifest  # noqa: E402
from secateur.families.seq2seq.probe import TokenProbe  # noqa: E402
from secateur.families.seq2seq.task import Seq2SeqTask  # noqa: E402
from secateur.models.family import TeacherModel  # noqa: E402
from secateur.prune.initial_model import InitialModel  # noqa: E402
from secateur.prune.shrink import mask  # noqa: E402
from secateur.sensitivity.probe import ProbeSpec  # noqa: E402
from secateur.sensitivity.variants import BASELINE, Variant  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402

DEV = Path(secateur.__file__).parent / "data" / "bundled" / "dev.jsonl"
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
            InitialModel(model, text, None),
            read_manifest(DEV)[:1],
            settings,
            TeacherModel(*small_whisper()),
            torch.device("cpu"),
        )


def test_prune_evaluate_transcribe_export(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    one_speakers_digits(speech, tmp_path, every=16)
    moonshine_folder(tmp_path / "hf", hidden_size=64, intermediate_size=96)
    examined = answer(capsys, "doctor", tmp_path / "hf")
    assert examined["family"] == "moonshine" and examined["problem"] == ""
    assert {one["kind"] for one in examined["prunable"]} == {"head", "ffn", "conv", "layer", "vocabulary"}
    assert all("residual stream" in one["why"] for one in examined["whole"])
    arm = Arm(tmp_path, capsys)
    after = arm.run(
        tmp_path / "hf", steps=90, remove=0.35, training='mix = "none"\ndropout = 0.0', prune="frequent = 40"
    )
    before = read_foreign(tmp_path / "hf")[0]
    assert values(after) < 0.67 * values(before) and after.config.vocabulary < before.config.vocabulary
    shown = answer(capsys, "models", "show", arm.checkpoint)
    assert shown["parameters"]["total"] == values(after) and shown["config"]["family"] == "moonshine"
    assert main(["models", "show", str(arm.checkpoint)]) == 0 and "heads" in capsys.readouterr().out
    rate = arm.rate(arm.checkpoint, "--device", "cpu")
    assert rate < 0.4
    arm.exported("steps")
    assert arm.rate(arm.onnx) == pytest.approx(rate, abs=1e-9)
    assert set(arm.sites("head", "layer", "conv")) == {"head", "layer", "conv"}
    said = arm.text()
    words = [str(arm.onnx), str(arm.first.audio)]
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *words], capture_output=True, text=True, check=True)
    text, times = done.stdout.split(maxsplit=1)
    assert text == said != "" and 0 <= float(times.split("-")[0]) < float(times.split("-")[1])
    assert float(times.split("-")[1]) <= arm.first.duration + 0.05
