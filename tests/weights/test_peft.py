"""LoRA adapters in PEFT's folders, merged on reading; and which files of a repository are fetched."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from small_hf import hf_folder  # noqa: E402
from small_moonshine import moonshine_folder  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.train.lora import LowRankLinear, low_rank  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402
from secateur.weights.fetch import fetch, load_model, read_foreign  # noqa: E402
from secateur.weights.hub import needed_files  # noqa: E402

pytestmark = pytest.mark.usefixtures("own_cache")
LAYER = "wav2vec2.encoder.layers.1.attention.q_proj"


def adapter(folder: Path, base: Path | str, tensors: dict[str, Any], **settings: Any) -> Path:
    folder.mkdir()
    values = {"peft_type": "LORA", "base_model_name_or_path": str(base), "r": 3, "lora_alpha": 6, **settings}
    (folder / "adapter_config.json").write_text(json.dumps(values))
    save_file(
        {f"base_model.model.{name}": value for name, value in tensors.items()}, folder / "adapter_model.safetensors"
    )
    return folder


def hf_place(folder: Path) -> Path:
    """A folder with a small wav2vec2, as transformers writes it."""
    hf_folder("wav2vec2", folder)
    return folder


def update(width: int, rank: int = 3, seed: int = 0) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rank, width, generator=generator), torch.randn(width, rank, generator=generator)


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({}, 2.0), ({"use_rslora": True}, 6 / math.sqrt(3)), ({"lora_alpha": 1.5}, 0.5),
        ({"alpha_pattern": {"attention.q_proj": 9}}, 3.0), ({"alpha_pattern": {"k_proj": 9}}, 2.0),
    ],
)  # fmt: skip
def test_the_product_is_added_to_its_weight_alone(tmp_path: Path, settings: dict[str, Any], scale: float) -> None:
    base = hf_folder("wav2vec2 large", tmp_path / "base").state_dict()
    a, b = update(32)
    folder = adapter(
        tmp_path / "tuned", tmp_path / "base", {f"{LAYER}.lora_A.weight": a, f"{LAYER}.lora_B.weight": b}, **settings
    )
    before, after = (load_model(path)[0].state_dict() for path in (tmp_path / "base", folder))
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == [f"net.{LAYER}.weight"]
    assert torch.allclose(after[changed[0]], base[f"{LAYER}.weight"] + scale * b @ a, atol=1e-5)
    assert load_checkpoint(fetch(folder))[0].config.name == "tuned"


def test_dora_gives_every_row_its_length(tmp_path: Path) -> None:
    base = hf_folder("wav2vec2 large", tmp_path / "base").state_dict()[f"{LAYER}.weight"]
    (a, b), lengths = update(32, seed=3), torch.rand(32) + 0.5
    tensors = {
        f"{LAYER}.lora_A.weight": a, f"{LAYER}.lora_B.weight": b, f"{LAYER}.lora_magnitude_vector": lengths,
    }  # fmt: skip
    folder = adapter(tmp_path / "dora", "../base", tensors, use_dora=True)  # seen from the adapter's own folder
    merged = read_foreign(folder)[0].state_dict()[f"net.{LAYER}.weight"]
    assert torch.allclose(merged.norm(dim=1), lengths, atol=1e-5)
    straight = base + 2 * b @ a
    assert torch.allclose(merged, lengths[:, None] * straight / straight.norm(dim=1, keepdim=True), atol=1e-5)


def test_layers_that_were_trained_whole_take_the_place_of_the_base(tmp_path: Path) -> None:
    hf_folder("wav2vec2 large", tmp_path / "base")
    head = torch.randn(32, 32)
    folder = adapter(tmp_path / "tuned", tmp_path / "base", {"lm_head.weight": head})
    merged = read_foreign(folder)[0].state_dict()
    assert torch.equal(merged["net.lm_head.weight"], head)  # its blank is row 0 already


def test_another_family_and_its_token_table(tmp_path: Path) -> None:
    base = moonshine_folder(tmp_path / "base")
    table = base.state_dict()["model.decoder.embed_tokens.weight"]
    a, b = torch.randn(2, len(table)), torch.randn(table.shape[1], 2)
    name = "model.decoder.embed_tokens"
    state = load_file(tmp_path / "base" / "model.safetensors")
    state.pop("proj_out.weight", None)
    save_file(state, tmp_path / "base" / "model.safetensors")
    folder = adapter(
        tmp_path / "tuned",
        tmp_path / "base",
        {f"{name}.lora_embedding_A": a, f"{name}.lora_embedding_B": b},
        lora_alpha=2,
    )
    before, after = (read_foreign(path)[0] for path in (tmp_path / "base", folder))
    difference = after.decoder.token_embedding.weight - before.decoder.token_embedding.weight
    assert torch.allclose(difference.norm(), (b @ a).norm(), rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "tensors", "words"),
    [
        ({"peft_type": "IA3"}, {}, "peft_type 'IA3' is not known here"),
        ({"fan_in_fan_out": True}, {}, "fan_in_fan_out True is not known here"),
        ({"base_model_name_or_path": None}, {}, "base_model_name_or_path is missing"),
        ({"base_model_name_or_path": "./gone"}, {}, "base model ./gone is not here"),
        ({}, {"other.layer.lora_A.weight": (3, 4)}, "changes nothing that its base model has"),
        ({}, {f"{LAYER}.lora_A.weight": (3, 32)}, "half of the update"),
        ({}, {f"{LAYER}.lora_A.weight": (3, 8), f"{LAYER}.lora_B.weight": (32, 3)}, "an update of shape"),
    ],
)
def test_what_is_not_known_is_one_line(
    tmp_path: Path, settings: dict[str, Any], tensors: dict[str, tuple[int, ...]], words: str
) -> None:
    hf_folder("wav2vec2 large", tmp_path / "base")
    values = {name: torch.zeros(shape) for name, shape in tensors.items()} or {"x": torch.zeros(1)}
    folder = adapter(tmp_path / "tuned", tmp_path / "base", values, **settings)
    with pytest.raises(SecateurError, match=words):
        read_foreign(folder)


def test_one_variant_of_the_weights_is_fetched() -> None:
    pieces = ["model.fp32-00001-of-00002.safetensors", "model.fp32-00002-of-00002.safetensors"]
    index, small = "model.safetensors.index.fp32.json", "model.fp16.safetensors"
    assert needed_files(["config.json", "model.safetensors", *pieces, index, small]) == [
        "config.json",
        "model.safetensors",
    ]
    assert needed_files([*pieces, index, small]) == [*pieces, index]
    assert needed_files([small, "pytorch_model.fp16.bin"]) == [small]
    whole = ["model-00001-of-00001.safetensors", "model.safetensors.index.json"]
    assert needed_files([*whole, *pieces, index]) == whole
    assert needed_files(["adapter_config.json", "adapter_model.safetensors"]) == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip


def test_what_low_rank_tuning_changed_is_written_as_an_adapter_and_read_again(tmp_path: Path) -> None:
    base, text = read_foreign(hf_place(tmp_path / "base"))
    tuned = copy.deepcopy(base)
    random = torch.Generator().manual_seed(0)
    with low_rank(tuned, replace(TrainSettings(), lora_rank=2)):
        for layer in tuned.modules():
            if isinstance(layer, LowRankLinear):
                layer.up.data = 0.02 * torch.randn(layer.up.shape, generator=random)
    save_checkpoint(tmp_path / "tuned", tuned, text, half=True)
    words = ["export", str(tmp_path / "tuned"), "--format", "peft", "--out", str(tmp_path / "adapter")]
    assert main([*words, "--base", str(tmp_path / "base")]) == 0
    settings = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (settings["peft_type"], settings["r"], settings["lora_alpha"]) == ("LORA", 2, 2)
    assert len(settings["target_modules"]) == sum(type(m) is torch.nn.Linear for m in base.modules())
    again = load_model(tmp_path / "adapter")[0].state_dict()
    for name, value in tuned.state_dict().items():
        assert torch.allclose(again[name], value, rtol=2e-3, atol=1e-4), name
    sizes = [sum(f.stat().st_size for f in (tmp_path / name).iterdir()) for name in ("adapter", "tuned")]
    assert sizes[0] < sizes[1]


def test_an_adapter_that_cannot_hold_the_changes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, text = read_foreign(hf_place(tmp_path / "base"))
    words = ["export", str(tmp_path / "tuned"), "--format", "peft", "--out", str(tmp_path / "adapter")]
    with_base = [*words, "--base", str(tmp_path / "base")]

    def refusal(*command: str) -> str:
        assert main([*command]) == 2 and not (tmp_path / "adapter").exists()
        return capsys.readouterr().err

    save_checkpoint(tmp_path / "tuned", base, text)
    assert "nothing differs" in refusal(*with_base)
    assert "give both" in refusal(*words)
    assert "give both" in refusal(*with_base, "--format", "transformers")
    assert "no model or folder 'nonsense'" in refusal(*words, "--base", "nonsense", "--check")
    full = copy.deepcopy(base)
    for layer in full.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight.data += 0.05 * torch.randn(layer.weight.shape)
    save_checkpoint(tmp_path / "tuned", full, text)
    assert "tune with --training.lora-rank" in refusal(*with_base)
    norms = copy.deepcopy(base)
    next(m for m in norms.modules() if isinstance(m, torch.nn.LayerNorm)).weight.data += 0.1
    save_checkpoint(tmp_path / "tuned", norms, text)
    assert "tune with --training.lora-rank" in refusal(*with_base)
