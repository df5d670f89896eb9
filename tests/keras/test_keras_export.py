"""Exported Keras models say what Keras says, from both backends; each runs in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_runs import needs, ran

needs("keras", "tensorflow", "torch")
FORMATS = {"tensorflow": ("onnx", "litert", "saved_model"), "torch": ("onnx", "litert")}


@pytest.fixture(scope="module", params=["tensorflow", "torch"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """What the script found with one backend, and the folder with its files."""
    folder = tmp_path_factory.mktemp(request.param)
    printed = ran("keras_export_small.py", request.param, folder)
    return folder, {**json.loads(printed.strip().splitlines()[-1]), "formats": FORMATS[request.param]}


def test_a_file_gives_the_probabilities_that_keras_gives(run: tuple[Path, dict[str, Any]]) -> None:
    found = run[1]["exported"]
    expected = np.array(found["keras"])
    assert expected.std(0).max() > 1e-3  # the rows do differ: agreement means something
    for kind in run[1]["formats"]:
        one = found[kind]
        outputs = np.array(one["outputs"])
        assert outputs.shape == (7, 5), kind
        np.testing.assert_allclose(outputs.sum(1), 1, atol=1e-5)
        np.testing.assert_allclose(outputs, expected, atol=1e-5)
        assert 0 <= one["difference"] < 1e-5, kind


def test_files_are_where_they_were_asked_for_and_nothing_else_is(run: tuple[Path, dict[str, Any]]) -> None:
    folder, found = run
    assert (folder / "model.onnx").stat().st_size == found["exported"]["onnx"]["bytes"] > 5000
    assert (folder / "model.tflite").stat().st_size == found["exported"]["litert"]["bytes"]
    saved = {"saved"} if "saved_model" in found["formats"] else set()
    assert {p.name for p in folder.iterdir()} == {"model.onnx", "model.tflite", "full"} | saved


def test_the_onnx_file_needs_neither_keras_nor_tensorflow(run: tuple[Path, dict[str, Any]]) -> None:
    code = (
        "import sys, numpy, onnxruntime; s = onnxruntime.InferenceSession(sys.argv[1]); "
        "y = s.run(None, {s.get_inputs()[0].name: numpy.ones((2, 20, 6), 'f4')})[0]; "
        "print(y.shape, [m for m in ('keras', 'tensorflow', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run[0] / "model.onnx")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(2, 5) []"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("missing", "'age' is missing: the model has 'mel', 'age'"),
        ("extra", "no input 'ago' (did you mean 'age'?)"),
        ("typo", "no input 'aeg' (did you mean 'age'?)"),
        ("listed", "give a dictionary with 'mel', 'age'"),
        ("one", "takes 2 inputs, found one"),
        ("swapped", "input 'mel' takes the shape (batch, 5), found (4, 3)"),
        ("fewer", "input 'age' has 2 examples, and the first input 4"),
        ("model", "a Keras model is needed, found str"),
        ("format", "did you mean 'onnx'?"),
        ("ending", "a name for litert, but the format is onnx"),
        ("unnamed", "name a file .onnx or .tflite"),
        ("unbuilt", "not built"),
        ("two", "no error"),
        ("subclassed", "no error"),
        ("bits", "stored in float32"),
        ("precision", "did you mean 'int8'?"),
        ("folder", "a folder; name a file"),
        ("foreign", "not a SavedModel"),
        ("unsteady", "differ from Keras'"),
        ("tolerance", "it was not kept"),
        ("nan", "1 of 5 examples of input 'features' have values that are not finite (NaN or infinite)"),
        ("nan int8", "the first is number 3"),
        ("infinite", "4 of 4 examples of input 'age'"),
        ("none", "has no examples"),
        ("empty", "takes the shape (batch, 20, 6)"),
        ("text", "the model takes 2 inputs, found 1"),
        ("letters", "takes int32, found <U1"),
        ("fractions", "takes int32, found fractions"),
        ("targets", "give the inputs alone"),
        ("batches", "not batches of them"),
        ("lengths", "different shapes, such as (3,) and (4,)"),
        ("shape", "takes the shape (batch, 20, 6), found (5, 7, 6)"),
        ("tokens", "does not run on samples"),
    ],
)
def test_what_cannot_be_exported_is_one_clear_line(run: tuple[Path, dict[str, Any]], case: str, words: str) -> None:
    message = run[1]["errors"][case]
    assert words in message
    assert "\n" not in message
    assert (run[0] / "full" / "thesis.txt").read_text() == "years of work"


def test_recurrent_models_of_several_inputs_are_stored_in_fewer_bits(run: tuple[Path, dict[str, Any]]) -> None:
    """Each was run by its own runtime; that int8 differs shows that it is none of the others."""
    bits = run[1]["bits"]
    assert bits["onnx float32"] < 1e-5 < bits["onnx float16"] < 1e-2
    assert bits["onnx float16"] < bits["onnx int8"] < 0.1
    if len(bits) > 3:  # TensorFlow, which writes LiteRT itself
        assert bits["litert float32"] < 1e-5 < bits["litert float16"] < 1e-2
        assert bits["litert int8"] < 0.1  # of its weights alone: ranges are not found in loops


@pytest.mark.parametrize("run", ["torch"], indirect=True)
def test_inputs_and_outputs_are_matched_by_name(run: tuple[Path, dict[str, Any]]) -> None:
    """Swapped, the ranges of int8 would cut what comes in."""
    found = run[1]["named"]
    assert found["names"] == ["z_class", "age"] and found["difference"] < 0.05
    assert found["keys"] == ["from_0", "from_1", "to"]
    assert found["nested"] == ["wide", "bias"]


def test_spectrograms_exact_gelu_and_states_are_in_the_file(run: tuple[Path, dict[str, Any]]) -> None:
    found = run[1]["graphs"]
    assert len(found) >= 4 and max(found.values()) < 1e-4


def test_the_graph_of_a_failed_attempt_is_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    from secateur.keras.writers import _graph_unprinted

    before = torch._C._jit_is_onnx_log_enabled()
    torch._C._jit_set_onnx_log_enabled(True)  # as torch's exporter leaves it
    try:
        with _graph_unprinted():
            torch._C._jit_onnx_log("Torch IR graph at exception: ", "graph(...)")
        assert capfd.readouterr().out == ""
        torch._C._jit_onnx_log("printed again")
        assert "printed again" in capfd.readouterr().out
    finally:
        torch._C._jit_set_onnx_log_enabled(before)
