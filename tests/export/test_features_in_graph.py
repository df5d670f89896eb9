"""Features inside an exported graph are those that `extract` computes, for every kind that has a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from secateur.base.errors import SecateurError
from secateur.export.graph import OnnxGraph
from secateur.features.front_end import KINDS, FrontEnd, extract, front_end

INSIDE = {
    "fbank": front_end("fbank"), "fbank at 8 kHz": front_end("fbank", 8000, bins=40, normalise="mean"),
    "mfcc": front_end("mfcc", deltas=2, normalise="mean_variance"), "nemo": front_end("nemo"),
    "nemo, 64 bins at 8 kHz": front_end("nemo", 8000, bins=64),
}  # fmt: skip


def session_of(config: FrontEnd, folder: Path) -> Any:
    g = OnnxGraph("features")
    found = config.definition.graph(g, g.input("samples", np.float32, ("batch", "n")), config)
    g.output(found, "features", np.float32, ("batch", "frames", config.inputs))
    (folder / "features.onnx").write_bytes(g.model({}).SerializeToString())
    return onnxruntime.InferenceSession(folder / "features.onnx", providers=["CPUExecutionProvider"])


def sounds(rate: int) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Noise that swells, and a chirp over faint noise, of lengths that are no whole number of frames.

    In a band without any sound float32, which graphs compute in, has only its rounding to show.
    """
    random, lengths = np.random.default_rng(4), (rate, round(0.377 * rate))
    noise = random.standard_normal(lengths[0]) * np.linspace(0.001, 0.3, lengths[0])
    chirp = 0.4 * np.sin(2 * np.pi * np.cumsum(np.linspace(100, 0.45 * rate, lengths[1])) / rate)
    chirp += 0.003 * random.standard_normal(lengths[1])
    return [noise.astype(np.float32), chirp.astype(np.float32)]


@pytest.mark.parametrize("name", INSIDE)
def test_the_graph_computes_what_extract_does(name: str, tmp_path: Path) -> None:
    config = INSIDE[name]
    session = session_of(config, tmp_path)
    for samples in sounds(config.sample_rate):
        right = extract(samples, config)
        (found,) = session.run(None, {"samples": samples[None]})
        assert found.shape == (1, *right.shape)
        np.testing.assert_allclose(found[0], right, atol=5e-3, rtol=1e-3)


def test_every_kind_has_a_graph_or_says_that_it_has_none(tmp_path: Path) -> None:
    inside = {config.kind for config in INSIDE.values()}
    for kind in set(KINDS) - inside:
        with pytest.raises(SecateurError, match="not written inside a graph"):
            session_of(front_end(kind), tmp_path)
