"""Wav2Vec2, HuBERT, WavLM and Wav2Vec2 Conformer: read as `transformers` writes them, cut, written again; masked equals
shrunk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from same_network import check_masked_shrunk_reloaded, frames_of  # noqa: E402
from small_hf import KINDS, hf_folder  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.families.transformers_ctc.cost import count_parameters  # noqa: E402
from secateur.families.transformers_ctc.folder import parse_hf_ctc, write_hf_ctc  # noqa: E402
from secateur.families.transformers_ctc.model import CLASSES, HfCtc  # noqa: E402
from secateur.families.transformers_ctc.widths import BlockWidths, LayerWidths  # noqa: E402
from secateur.prune.shrink import shrink  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402

FRAMES = (9000, 5003, 200)  # the last is too short for one frame of the output


def batch() -> tuple[Any, Any]:
    """Samples (3, 9000, 1) of which rows have `FRAMES`; what follows is noise that nobody may hear."""
    return torch.randn(3, 9000, 1, generator=torch.Generator().manual_seed(1)), torch.tensor(FRAMES)


def outputs(model: HfCtc) -> Any:
    """All real frames of the batch's answers."""
    return frames_of(model, batch())


@pytest.fixture(scope="module", params=list(KINDS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, HfCtc, Any]:
    """The `transformers` module, ours from its folder, and the vocabulary."""
    folder = tmp_path_factory.mktemp("hf")
    theirs = hf_folder(request.param, folder)
    model, text = read_foreign(folder)
    return theirs, model, text


def test_it_says_what_the_original_says(pair: tuple[Any, HfCtc, Any]) -> None:
    theirs, model, text = pair
    samples, frames = batch()
    with torch.no_grad():
        wanted = theirs(samples[:1, :, 0]).logits[0].log_softmax(-1)
        alone = model(samples[1:2, : FRAMES[1]])[0][0]
    got = outputs(model)
    assert torch.allclose(got[: len(wanted)], wanted, atol=1e-5)
    assert torch.allclose(got[len(wanted) :], alone, atol=1e-5) and len(alone) == model.config.shorter(FRAMES[1])
    assert model.config.shorter(FRAMES[2]) == 0 and model.config.shorter(model.config.least) == 1
    assert text.decode(text.encode("Don't stop, Ann!")) == "don't stop ann"
    # Only those learnt to be told where padding is; and a Conformer's convolutions hear it in `transformers`.
    if not model.config.group_norm and not model.config.conformer:
        mask_of = (torch.arange(9000) < frames[:2, None]).long()
        with torch.no_grad():
            padded = theirs(samples[:2, :, 0], attention_mask=mask_of).logits[1].log_softmax(-1)
        assert torch.allclose(padded[: len(alone)], alone, atol=1e-5)


def test_parameters_are_counted_exactly(pair: tuple[Any, HfCtc, Any]) -> None:
    model = pair[1]
    assert count_parameters(model.config) == sum(value.numel() for value in model.state_dict().values())


@pytest.mark.parametrize("kinds", [("head",), ("ffn",), ("layer",), ("conv",), ("head", "ffn", "layer", "conv")])
def test_masked_equals_shrunk_and_reloaded(
    pair: tuple[Any, HfCtc, Any], kinds: tuple[str, ...], tmp_path: Path
) -> None:
    _, model, text = pair
    groups = [g for g in model.groups() if g.kind in kinds]
    if not model.config.group_norm:  # a norm over all channels of a frame joins them
        assert not any("feature_extractor" in g.name for g in groups)
    if not groups:
        assert kinds == ("conv",)
        return
    check_masked_shrunk_reloaded(model, text, groups, batch(), count_parameters, tmp_path)


def test_what_stays_uniform_loads_in_transformers(pair: tuple[Any, HfCtc, Any], tmp_path: Path) -> None:
    theirs, model, text = pair
    plan = {}
    for group in model.groups():
        if group.kind == "ffn":
            plan[group.name] = list(range(0, group.units, 2))
        elif group.kind in ("layer", "conv") and not group.name.endswith(("conv_module", "pos_conv_embed")):
            plan[group.name] = list(range(1, group.units))
    small = shrink(model, plan)
    write_hf_ctc(tmp_path / "plain", small, text)
    loaded, report = type(theirs).from_pretrained(tmp_path / "plain", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    with torch.no_grad():
        wanted = loaded.eval()(batch()[0][:1, :, 0]).logits[0].log_softmax(-1)
    got = outputs(small)[: len(wanted)]
    assert torch.allclose(got, wanted, atol=1e-5)
    processor = transformers.Wav2Vec2Processor.from_pretrained(tmp_path / "plain")
    said = processor.decode(wanted.argmax(-1))
    for special in text.special:
        said = said.replace(special, "")
    assert said.lower().split() == _greedy(text, got).split()
    again, units = read_foreign(tmp_path / "plain")
    assert torch.allclose(outputs(again), outputs(small), atol=1e-5) and units.tokens == text.tokens
    parts = [g.name for g in small.groups() if g.kind == "head"][:1]
    parts += [g.name for g in small.groups() if g.name.endswith("pos_conv_embed")]
    for part in parts:
        with pytest.raises(SecateurError, match="all alike, with all their heads"):
            write_hf_ctc(tmp_path / "no", shrink(small, {part: [0]}), text)


def _greedy(text: Any, log_probs: Any) -> str:
    best = log_probs.argmax(-1).tolist()
    said: str = text.decode([b for b, a in zip(best, [0, *best], strict=False) if b and b != a])
    return said


def test_layers_of_different_widths_are_recorded(pair: tuple[Any, HfCtc, Any]) -> None:
    model = pair[1]
    where = f"net.{model.config.body}.encoder.layers"
    if model.config.conformer:
        parts = {"1.self_attn": [0, 3], "1.conv_module": [1, 2, 30, 31, 5], "2.ffn1": [5], "2.ffn2": [7, 8]}
        small = shrink(model, {**{f"{where}.{part}": units for part, units in parts.items()}, where: [1, 2]})
        assert small.config.layers == (BlockWidths(48, 2, 5, 48), BlockWidths(1, 4, 32, 2))
        return
    small = shrink(model, {f"{where}.1.attention": [0, 3], f"{where}.2.feed_forward": [5], where: [1, 2]})
    kept = (0, 3) if model.config.kind == "wavlm" else ()  # each of its heads has a slice of its own to read
    assert small.config.layers == (LayerWidths(2, 48, kept), LayerWidths(4, 1))
    places = f"net.{model.config.body}.encoder.pos_conv_embed"
    assert shrink(shrink(small, {places: [0, 2, 3]}), {places: [1, 2]}).config.positions == (2, 3)
    again = shrink(small, {f"{where}.0.attention": [1]})
    assert again.config.layers[0] == LayerWidths(1, 48, kept[1:])


def test_onnx_says_the_same_in_padded_batches(pair: tuple[Any, HfCtc, Any], tmp_path: Path) -> None:
    import onnxruntime

    _, model, text = pair
    plan = {}
    for i, group in enumerate(model.groups()):
        plan[group.name] = list(range(i % 2, group.units, 2)) if group.kind != "layer" else [0, 2]
    small = shrink(model, plan)
    export_onnx(small, text, tmp_path / "onnx", "fp32")
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "network.onnx")
    samples, frames = batch()
    log_probs, counts = session.run(None, {"features": samples.numpy(), "frames": frames.numpy()})
    got = torch.cat([torch.from_numpy(row[:count]) for row, count in zip(log_probs, counts, strict=True)])
    assert torch.allclose(got, outputs(small), atol=1e-4)


def test_a_blank_elsewhere_becomes_output_0(tmp_path: Path) -> None:
    tokens = ["|", *"abc", "<unk>", "<pad>"]
    theirs = hf_folder("wav2vec2", tmp_path, tokens, vocab_size=6, pad_token_id=5)
    model, text = read_foreign(tmp_path)
    with torch.no_grad():
        wanted = theirs(batch()[0][:1, :, 0]).logits[0].log_softmax(-1)
    assert torch.allclose(outputs(model)[: len(wanted)], wanted[:, [5, 0, 1, 2, 3, 4]], atol=1e-5)
    assert text.encode("a cab") == [2, 1, 4, 2, 3] and text.outputs == 6


def test_added_tokens_have_a_row_or_not(tmp_path: Path) -> None:
    hf_folder("hubert", tmp_path, ["|", *"abc", "[UNK]", "[PAD]"], vocab_size=7, pad_token_id=5)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<s>": 6, "</s>": 7}))
    model, text = read_foreign(tmp_path)
    assert model.config.units == 7 and text.tokens == ("|", "a", "b", "c", "[UNK]", "<s>")
    assert text.decode([2, 6, 1, 5, 3]) == "a b"
    (tmp_path / "added_tokens.json").unlink()
    with pytest.raises(SecateurError, match=r"7 outputs, but vocab.json has 6 tokens"):
        read_foreign(tmp_path)


PUBLISHED = {  # as in the config.json of facebook/wav2vec2-base-960h, and what the larger ones change
    "activation_dropout": 0.1, "apply_spec_augment": True, "architectures": ["Wav2Vec2ForCTC"],
    "attention_dropout": 0.1, "bos_token_id": 1, "conv_bias": False, "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2], "ctc_loss_reduction": "sum",
    "ctc_zero_infinity": False, "do_stable_layer_norm": False, "eos_token_id": 2, "feat_extract_activation": "gelu",
    "feat_extract_dropout": 0.0, "feat_extract_norm": "group", "feat_proj_dropout": 0.1, "final_dropout": 0.1,
    "gradient_checkpointing": False, "hidden_act": "gelu", "hidden_dropout": 0.1, "hidden_dropout_prob": 0.1,
    "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-05,
    "layerdrop": 0.1, "mask_feature_length": 10, "mask_feature_prob": 0.0, "mask_time_length": 10,
    "mask_time_prob": 0.05, "model_type": "wav2vec2", "num_attention_heads": 12, "num_conv_pos_embedding_groups": 16,
    "num_conv_pos_embeddings": 128, "num_feat_extract_layers": 7, "num_hidden_layers": 12, "pad_token_id": 0,
    "transformers_version": "4.7.0.dev0", "vocab_size": 32,
}  # fmt: skip
LARGE = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24,
    "do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "millions"),
    [
        ({}, 94.4),
        (LARGE, 315.5),
        (LARGE | {"model_type": "hubert"}, 315.5),
        ({"model_type": "wavlm"}, 94.4),
        (LARGE | {"model_type": "wav2vec2-conformer", "hidden_act": "swish"}, 618.6),
        (LARGE | {"model_type": "wav2vec2-conformer", "position_embeddings_type": "rotary"}, 593.4),
    ],
)
def test_published_sizes(changes: dict[str, Any], millions: float) -> None:
    values = PUBLISHED | changes
    config = parse_hf_ctc(values, "config.json", "published", 32)
    assert count_parameters(config) / 1e6 == pytest.approx(millions, abs=0.1)
    assert (config.subsampled, config.least) == (320, 400) and config.uniform
    with torch.device("meta"):
        network, settings = (getattr(transformers, name) for name in CLASSES[values["model_type"]])
        theirs = network(settings(**values))
    gates, norm = len(config.layers), 0 if config.conformer else config.position_taps[0]  # which is multiplied out
    stored = sum(v.numel() for n, v in theirs.state_dict().items() if not n.endswith("num_batches_tracked"))
    assert count_parameters(config) - gates + norm == stored


def test_files_with_older_names_are_read(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    hf_folder("wav2vec2", tmp_path)
    wanted = outputs(read_foreign(tmp_path)[0])
    state = load_file(tmp_path / "model.safetensors")
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for new, name in old.items():
        state = {k.replace(new, name): v for k, v in state.items()}
    assert any(k.endswith("weight_g") for k in state)
    save_file(state, tmp_path / "model.safetensors")
    assert torch.equal(outputs(read_foreign(tmp_path)[0]), wanted)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", {"adapter_attn_dim": 16}, "adapter_attn_dim 16 is not known here"),
        ("config.json", {"model_type": "mctct"}, "type 'mctct' is not known here .known: whisper, wav2vec2"),
        ("vocab.json", {"eng": {"a": 1}}, "not a table of tokens and numbers"),
        ("vocab.json", {"Z": 99}, "its numbers are not 0 to"),
    ],
)
def test_what_is_not_known_is_one_line(file: str, change: dict[str, Any], message: str, tmp_path: Path) -> None:
    hf_folder("wav2vec2", tmp_path)
    values = json.loads((tmp_path / file).read_text()) | change
    (tmp_path / file).write_text(json.dumps(values))
    with pytest.raises(SecateurError, match=message):
        read_foreign(tmp_path)
