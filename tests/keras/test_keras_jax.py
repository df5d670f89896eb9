"""JAX as Keras' backend prunes and masks in `fit` where it is installed, and says what it cannot export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from keras_runs import needs, ran

needs("keras", "jax")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("jax")
    ran("keras_jax_small.py", "jax", folder)
    return dict(json.loads((folder / "jax.json").read_text()))


def test_shrunk_models_are_masked_ones_on_jax(found: dict[str, Any]) -> None:
    assert len(found["differences"]) == 8 and max(found["differences"].values()) < 1e-5
    assert 0.5 < found["scored"] <= 0.62


def test_jax_prunes_while_fit_runs(found: dict[str, Any]) -> None:
    assert found["kept"] == sorted(found["kept"], reverse=True) and found["kept"][-1] <= 0.52
    assert found["difference"] < 1e-5 and found["again"] == 1
    zeros = found["zeros"]
    assert zeros[1] < zeros[4] < zeros[-1] == pytest.approx(0.47, abs=0.01) and found["back"] == 0
    assert found["groups"] == pytest.approx(zeros[-1])


def test_jax_says_what_it_cannot_export(found: dict[str, Any]) -> None:
    assert found["onnx"] == "no error" or "Keras on jax writes no onnx" in found["onnx"]
