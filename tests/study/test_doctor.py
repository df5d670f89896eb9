"""What the doctor says is what surgery does, and a stranger is named rather than guessed at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from small_ctc import NoText, small_ctc  # noqa: E402
from small_hf import hf_folder  # noqa: E402
from small_models import small_whisper  # noqa: E402
from small_parakeet import parakeet_folder  # noqa: E402

from secateur.cli import main  # noqa: E402
from secateur.models.checkpoint import save_checkpoint  # noqa: E402
from secateur.prune.shrink import shrink  # noqa: E402
from secateur.study.doctor import examine, findings  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wav2vec2 large", "wavlm"])
def test_every_parameter_is_prunable_or_whole_with_a_reason(kind: str, tmp_path: Path) -> None:
    hf_folder(kind, tmp_path)
    found = examine(str(tmp_path))
    model = read_foreign(tmp_path)[0]
    assert found.problem == "" and found.parameters == sum(v.numel() for v in model.state_dict().values())
    assert {one.kind for one in found.prunable} == {g.kind for g in model.groups()}
    assert all(one.why != "no layer declares units in it" for one in found.whole)
    heads = next(one for one in found.prunable if one.kind == "head")
    assert (heads.groups, heads.units) == (3, 12)
    # What it says lives in the feed-forward's units is what goes with all but one of them, and that one.
    ffn = next(one for one in found.prunable if one.kind == "ffn")
    small = shrink(model, {g.name: [0] for g in model.groups() if g.kind == "ffn"})
    gone = found.parameters - sum(v.numel() for v in small.state_dict().values())
    assert gone * 48 == ffn.parameters * 47
    whole = {one.name for one in found.whole}
    assert not any("pos_conv_embed" in name for name in whole)
    assert any("feature_extractor" in name for name in whole) == (kind == "wav2vec2 large")


@pytest.mark.parametrize("kind", ["conformer", "conformer rotary", "parakeet", "parakeet without biases"])
def test_conformers_are_understood_whole(kind: str, tmp_path: Path) -> None:
    (parakeet_folder if kind.startswith("parakeet") else hf_folder)(kind, tmp_path)
    found = examine(str(tmp_path))
    model = read_foreign(tmp_path)[0]
    assert found.problem == "" and found.parameters == sum(v.numel() for v in model.state_dict().values())
    assert {one.kind for one in found.prunable} == {"head", "ffn", "conv", "layer"}
    assert all(one.why != "no layer declares units in it" for one in found.whole)
    # What it says lives in heads, positions and their biases included, is what goes with three of four.
    heads = next(one for one in found.prunable if one.kind == "head")
    small = shrink(model, {g.name: [1] for g in model.groups() if g.kind == "head"})
    gone = found.parameters - sum(v.numel() for v in small.state_dict().values())
    assert (heads.groups, heads.units, gone * 4) == (3, 12, heads.parameters * 3)


def test_our_own_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small_ctc("conformer")
    save_checkpoint(tmp_path, model, NoText())
    (tmp_path / "units.json").write_text(json.dumps({"characters": list("abcdef"), "spelling": "spoken"}))
    assert main(["doctor", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "family ctc" in said and "conformer.layers.*.attention" in said and "(layer)" in said


def test_a_whisper() -> None:
    found = findings("small", small_whisper()[0])
    whole = {one.name: one.why for one in found.whole}
    assert whole["encoder.layers.*.ffn.down.bias"] == "the residual stream, which every layer adds to, has its width"
    assert not any("token_embedding" in name for name in whole)  # its rows are units
    assert {"vocabulary", "head", "ffn", "layer", "mel"} <= {one.kind for one in found.prunable}


def test_a_stranger_is_named_not_guessed_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import transformers

    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, vocab_size=30
    )
    model = transformers.BertModel(config)
    model.save_pretrained(tmp_path)
    assert main(["doctor", str(tmp_path), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["family"] == "bert" and found["prunable"] == []
    assert "a model of type 'bert' is not known here (known: whisper, " in found["problem"]
    assert found["parameters"] == sum(p.numel() for p in model.parameters())
    assert {"encoder.layer.*.attention.self.query.weight"} <= {one["name"] for one in found["whole"]}


def test_known_families_variants_are_refused_by_name(tmp_path: Path) -> None:
    hf_folder("wav2vec2", tmp_path)
    values = json.loads((tmp_path / "config.json").read_text()) | {"add_adapter": True}
    (tmp_path / "config.json").write_text(json.dumps(values))
    found = examine(str(tmp_path))
    assert not found.prunable and "add_adapter True is not known here" in found.problem


def test_nothing_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(tmp_path / "none")]) == 2
    assert main(["doctor", str(tmp_path)]) == 2
    assert "no model here (no config.json)" in capsys.readouterr().err
