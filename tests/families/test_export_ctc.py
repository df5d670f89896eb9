"""The graph of a CTC model says what the network says, for every kind of block, pruned or not."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from small_ctc import CONFIGS, NoText, inputs, small_ctc  # noqa: E402
from small_models import random_units  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.export.parity import frame_parity, source_frames  # noqa: E402
from secateur.families.ctc.graph import ctc_graph  # noqa: E402
from secateur.families.ctc.model import CtcModel  # noqa: E402
from secateur.families.ctc.new_model import PRESETS  # noqa: E402
from secateur.models.family import read_config  # noqa: E402
from secateur.prune.shrink import shrink  # noqa: E402
from secateur.runtime.contents import CTC_FILES, read_contents  # noqa: E402

# The farthest that any logarithm of a probability may be off.
NEAR = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.1}


def session(model: CtcModel, precision: str) -> Any:
    graph = ctc_graph(model.config, {n: v.numpy() for n, v in model.state_dict().items()}, precision)
    onnx.checker.check_model(graph)
    return ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


@torch.no_grad()
def check(model: CtcModel, exported: Any, features: torch.Tensor, frames: torch.Tensor, near: float) -> None:
    expected, counts = model(features, frames)
    found, found_counts = exported.run(None, {"features": features.numpy(), "frames": frames.numpy()})
    assert found_counts.tolist() == counts.tolist()
    assert found.shape == tuple(expected.shape)
    for row, count in enumerate(counts.tolist()):
        np.testing.assert_allclose(found[row, :count], expected[row, :count].numpy(), rtol=0, atol=near)


@pytest.mark.parametrize("precision", list(NEAR))
@pytest.mark.parametrize("kind", CONFIGS)
def test_the_graph_says_what_the_network_says(kind: str, precision: str) -> None:
    model = small_ctc(kind)
    exported = session(model, precision)
    features, frames = inputs(model)
    check(model, exported, features, frames, NEAR[precision])
    check(model, exported, features[1:2, :9], torch.tensor([9]), NEAR[precision])  # another batch, another length
    frames[0] = 0
    check(model, exported, features, frames, NEAR[precision])  # a row without anything


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_shrunk_network_too(kind: str) -> None:
    model = small_ctc(kind)
    plan = {g.name: random_units(g, 0.6, i) for i, g in enumerate(model.groups()) if g.kind != "input"}
    small = shrink(model, plan)
    check(small, session(small, "fp32"), *inputs(small), NEAR["fp32"])


@pytest.mark.parametrize("name", PRESETS)
def test_presets_of_full_size(name: str) -> None:
    torch.manual_seed(0)
    model = CtcModel(PRESETS[name](30)).eval()
    features = torch.randn(2, 120, model.config.front_end.inputs)
    check(model, session(model, "fp32"), features, torch.tensor([120, 77]), 1e-4)


def test_smaller_precisions_are_smaller() -> None:
    model = CtcModel(PRESETS["bigru"](30)).eval()
    weights = {n: v.numpy() for n, v in model.state_dict().items()}
    sizes = [ctc_graph(model.config, weights, precision).ByteSize() for precision in NEAR]
    assert sizes[1] < 0.52 * sizes[0]
    assert sizes[2] < 0.30 * sizes[0]


def test_an_exported_folder_is_whole_and_says_the_same(tmp_path: Path) -> None:
    model = small_ctc("everything")
    random = np.random.default_rng(0)
    clips = [random.standard_normal((count, 19), np.float32) for count in (60, 31, 5)]
    measured = []

    def check(folder: Path) -> dict[str, Any]:
        measured.append(frame_parity(source_frames(model, clips), folder))
        return asdict(measured[0])

    folder = export_onnx(model, NoText(), tmp_path / "out", "fp32", check)
    contents = read_contents(folder)
    assert set(contents.files) == set(CTC_FILES)
    assert contents.parity == asdict(measured[0])
    assert read_config(folder / "config.json") == model.config
    assert (measured[0].clips_equal, measured[0].frames) == (3, 15 + 8 + 2)
    assert measured[0].max_difference < 1e-5
    export_onnx(model, NoText(), folder, "int8")  # an earlier export is replaced
    assert read_contents(folder).precision == "int8"
    (folder / "network.onnx").write_bytes(b"")
    with pytest.raises(SecateurError, match=r"network\.onnx: truncated"):
        read_contents(folder)


def test_parity_notices_another_model(tmp_path: Path) -> None:
    folder = export_onnx(small_ctc("gru"), NoText(), tmp_path / "out")
    clips = [np.random.default_rng(0).standard_normal((50, 19), np.float32)]
    found = frame_parity(source_frames(small_ctc("gru", seed=1), clips), folder)
    assert found.clips_equal == 0
    assert found.agreement < 0.9
    assert found.max_difference > 0.05


def test_what_is_not_finite_is_refused(tmp_path: Path) -> None:
    model = small_ctc("inception")
    with torch.no_grad():
        model.output.bias[2] = torch.nan
    with pytest.raises(SecateurError, match="not finite"):
        export_onnx(model, NoText(), tmp_path / "out")
    assert not list(tmp_path.iterdir())
