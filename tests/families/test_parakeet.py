"""Parakeet: read as `transformers` writes it, cut, written again; masked equals shrunk, padded rows lone clips."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from same_network import check_masked_shrunk_reloaded, frames_of  # noqa: E402
from small_parakeet import KINDS, parakeet_folder  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.data.manifest import read_manifest  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.families.ctc.task import recogniser_of  # noqa: E402
from secateur.families.parakeet.cost import count_parameters, macs_by_part  # noqa: E402
from secateur.families.parakeet.folder import parse_parakeet, write_parakeet  # noqa: E402
from secateur.families.parakeet.model import Parakeet  # noqa: E402
from secateur.families.transformers_ctc.widths import BlockWidths  # noqa: E402
from secateur.prune.evidence import ActivationCollector  # noqa: E402
from secateur.prune.shrink import shrink  # noqa: E402
from secateur.prune.weights.inputs import gram, squares  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402

FRAMES = (101, 57, 0)  # the last is too short for a frame
BLOCK = "net.encoder.layers"


def batch(model: Parakeet) -> tuple[Any, Any]:
    """Features (3, 101, bins) of which rows have `FRAMES`; what follows is noise that nobody may hear."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 101, model.config.front_end.bins, generator=generator), torch.tensor(FRAMES)


def outputs(model: Parakeet) -> Any:
    """All real frames of the batch's answers."""
    return frames_of(model, batch(model))


@pytest.fixture(scope="module", params=list(KINDS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Parakeet, Any]:
    """The `transformers` module, ours from its folder, and the tokenizer."""
    folder = tmp_path_factory.mktemp("parakeet")
    theirs = parakeet_folder(request.param, folder)
    model, text = read_foreign(folder)
    return theirs, model, text


def reordered(log_probs: Any, text: Any) -> Any:
    """Their outputs in our order: the blank first."""
    return log_probs[:, [text.blank, *(i for i in range(text.rows) if i != text.blank)]]


def test_it_says_what_the_original_says(pair: tuple[Any, Parakeet, Any]) -> None:
    theirs, model, text = pair
    features, frames = batch(model)
    mask_of = torch.arange(101) < frames[:2, None]
    with torch.no_grad():
        wanted = theirs(features[:2] * mask_of[..., None], attention_mask=mask_of).logits.log_softmax(-1)
        alone = model(features[1:2, : FRAMES[1]])[0][0]
    got, first = outputs(model), model.config.shorter(FRAMES[0])
    assert torch.allclose(got[:first], reordered(wanted[0], text), atol=1e-5)
    assert torch.allclose(got[first:], alone, atol=1e-5) and len(alone) == model.config.shorter(FRAMES[1])
    assert torch.allclose(got[first:], reordered(wanted[1][: len(alone)], text), atol=1e-5)
    assert model.config.shorter(0) == 0 and model.config.shorter(1) == 1


def test_texts_come_back(pair: tuple[Any, Parakeet, Any]) -> None:
    _, _, text = pair
    assert text.decode(text.encode("Seven, eight: THREE!")) == "seven eight three"
    assert 0 not in text.encode("the cat") and max(text.encode("zero")) < text.outputs == text.rows
    begins = text.begins()
    assert sum(begins[i] for i in text.encode("the cat sat")) == 3
    assert text.spellings("mat") == [tuple(text.encode("mat"))] and not text.spellings("zażółć")


def test_parameters_are_counted_exactly(pair: tuple[Any, Parakeet, Any]) -> None:
    model = pair[1]
    assert count_parameters(model.config) == sum(value.numel() for value in model.state_dict().values())


@pytest.mark.parametrize("kinds", [("head",), ("ffn",), ("layer",), ("conv",), ("head", "ffn", "layer", "conv")])
def test_masked_equals_shrunk_and_reloaded(
    pair: tuple[Any, Parakeet, Any], kinds: tuple[str, ...], tmp_path: Path
) -> None:
    _, model, text = pair
    check_masked_shrunk_reloaded(
        model, text, [g for g in model.groups() if g.kind in kinds], batch(model), count_parameters, tmp_path
    )


def test_evidence_of_the_output_layer_is_by_channel_whatever_the_lengths(pair: tuple[Any, Parakeet, Any]) -> None:
    _, model, _ = pair
    head = model.net.ctc_head  # a convolution that reads (batch, frames, channels)
    read: list[Any] = []
    handle = head.register_forward_hook(lambda module, arguments, output: read.append(arguments[0]))
    features, frames = batch(model)
    with ActivationCollector(model) as collector, torch.no_grad():
        model(features, frames)
        model(features[:, :-16], frames.clamp(max=features.shape[1] - 16))
    handle.remove()
    assert read[0].shape[1] != read[1].shape[1]
    rows = torch.cat([x.flatten(0, 1) for x in read])
    inputs, outputs = collector.norms()
    torch.testing.assert_close(inputs["net.ctc_head.weight"], rows.norm(dim=0))
    assert len(outputs["net.ctc_head.weight"]) == model.config.units
    torch.testing.assert_close(squares(head, read[0]), read[0].flatten(0, 1).square().mean(0))
    first = read[0].flatten(0, 1)
    torch.testing.assert_close(gram(head, read[0]), first.T @ first / len(first))


def test_what_stays_uniform_loads_in_transformers(pair: tuple[Any, Parakeet, Any], tmp_path: Path) -> None:
    theirs, model, text = pair
    plan = {}
    for group in model.groups():
        if group.kind in ("ffn", "head") or ".subsampling." in group.name:  # fewer heads too
            plan[group.name] = list(range(0, group.units, 2))
        elif group.kind == "layer":
            plan[group.name] = list(range(1, group.units))
    small = shrink(model, plan)
    write_parakeet(tmp_path / "plain", small, text)
    loaded, report = type(theirs).from_pretrained(tmp_path / "plain", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    with torch.no_grad():
        wanted = loaded.eval()(batch(model)[0][:1]).logits[0].log_softmax(-1)
    assert torch.allclose(outputs(small)[: len(wanted)], reordered(wanted, text), atol=1e-5)
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "plain")
    said = processor.batch_decode(wanted.argmax(-1)[None])[0]
    best = outputs(small)[: len(wanted)].argmax(-1).tolist()
    ours = text.decode([b for b, a in zip(best, [0, *best], strict=False) if b and b != a])
    assert said.replace("<unk>", "").split() == ours.split() and ours
    again, units = read_foreign(tmp_path / "plain")
    assert torch.allclose(outputs(again), outputs(small), atol=1e-5) and units == text
    with pytest.raises(SecateurError, match="all alike, their convolution as wide as the stream"):
        write_parakeet(tmp_path / "no", shrink(small, {f"{BLOCK}.0.conv": list(range(8))}), text)


def test_blocks_of_different_widths_are_recorded(pair: tuple[Any, Parakeet, Any]) -> None:
    model = pair[1]
    parts = {"1.self_attn": [0, 3], "1.conv": [1, 2, 30, 31, 5], "2.feed_forward1": [5], "2.feed_forward2": [7, 8]}
    small = shrink(model, {**{f"{BLOCK}.{part}": units for part, units in parts.items()}, BLOCK: [1, 2]})
    assert small.config.layers == (BlockWidths(48, 2, 5, 48), BlockWidths(1, 4, 32, 2))
    assert sum(macs_by_part(small.config, 3.0).values()) < sum(macs_by_part(model.config, 3.0).values())


def test_onnx_says_the_same_in_padded_batches(pair: tuple[Any, Parakeet, Any], tmp_path: Path) -> None:
    import onnxruntime

    _, model, text = pair
    plan = {}
    for i, group in enumerate(model.groups()):
        plan[group.name] = list(range(i % 2, group.units, 2)) if group.kind != "layer" else [0, 2]
    small = shrink(model, plan)
    export_onnx(small, text, tmp_path / "onnx", "fp32")
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "network.onnx")
    features, frames = batch(model)
    log_probs, counts = session.run(None, {"features": features.numpy(), "frames": frames.numpy()})
    got = torch.cat([torch.from_numpy(row[:count]) for row, count in zip(log_probs, counts, strict=True)])
    assert torch.allclose(got, outputs(small), atol=1e-4)


PUBLISHED = {  # as in the config.json of nvidia/parakeet-ctc-1.1b
    "model_type": "parakeet_ctc", "vocab_size": 1025, "pad_token_id": 1024,
    "encoder_config": {
        "model_type": "parakeet_encoder", "hidden_size": 1024, "num_hidden_layers": 42, "num_attention_heads": 8,
        "intermediate_size": 4096, "conv_kernel_size": 9, "subsampling_factor": 8, "subsampling_conv_channels": 256,
        "num_mel_bins": 80, "attention_bias": True, "convolution_bias": True, "scale_input": True,
    },
}  # fmt: skip


@pytest.mark.parametrize(("layers", "millions"), [(42, 1062.6), (24, 608.8)])
def test_published_sizes(layers: int, millions: float) -> None:
    values = {**PUBLISHED, "encoder_config": {**PUBLISHED["encoder_config"], "num_hidden_layers": layers}}  # type: ignore[dict-item]
    config = parse_parakeet(values, "config.json", "published", 1025)
    assert config.uniform and (config.subsampled, config.head_size) == (8, 128)
    assert count_parameters(config) / 1e6 == pytest.approx(millions, abs=0.1)
    with torch.device("meta"):
        theirs = transformers.ParakeetForCTC(transformers.ParakeetCTCConfig(**values))
    stored = sum(v.numel() for n, v in theirs.state_dict().items() if not n.endswith("num_batches_tracked"))
    assert count_parameters(config) - len(config.layers) == stored


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "relu"}, "hidden_act 'relu' is not known here"),
        ({"subsampling_conv_stride": 4}, "subsampling_conv_stride 4 is not known here"),
        ({"num_mel_bins": 20}, "a transform of 512 and 20 bins were expected"),
    ],
)
def test_what_is_not_known_is_one_line(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    parakeet_folder("parakeet", tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    values["encoder_config"] |= change
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(SecateurError, match=message):
        read_foreign(tmp_path)


def test_the_runtime_needs_neither_torch_nor_transformers(
    pair: tuple[Any, Parakeet, Any], speech: Path, tmp_path: Path
) -> None:
    _, model, text = pair
    export_onnx(model, text, tmp_path / "onnx", "fp32")
    clip = str(read_manifest(speech / "free-spoken-digits" / "test.jsonl")[0].audio)
    code = "import sys\nfor name in ('torch', 'transformers', 'onnx'):\n    sys.modules[name] = None\n"
    code += "from secateur.cli import main\nsys.exit(main(sys.argv[1:]))"
    words = ["transcribe", clip, "--model", str(tmp_path / "onnx"), "--json"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)["files"][0]["text"]
    assert said == recogniser_of(model, text).transcribe(clip).text != ""
