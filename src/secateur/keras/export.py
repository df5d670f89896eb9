"""A Keras model as ONNX, LiteRT or SavedModel, run in the format's own runtime and compared before it is kept.

Keras' own `model.export` writes the files. What the model's backend cannot write, a second process with TensorFlow as
backend writes from the saved model:

| format | file | runtime | tensorflow | torch |
|---|---|---|---|---|
| onnx | `.onnx` | onnxruntime | tf2onnx | torch.onnx |
| litert | `.tflite` | ai-edge-litert | TensorFlow's converter | through TensorFlow |
| saved_model | folder | tensorflow | `tf.saved_model` | through TensorFlow |
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError, nearest
from ..base.extras import require
from .causes import cause

KERAS_NAMES = {"onnx": "onnx", "litert": "litert", "saved_model": "tf_saved_model"}
_NATIVE = {"tensorflow": frozenset(KERAS_NAMES), "torch": frozenset({"onnx"})}
_SUFFIX = {"onnx": ".onnx", "litert": ".tflite", "saved_model": ""}
_MARK = "saved_model.pb"  # what a SavedModel folder has

Arrays = NDArray[Any]


@dataclass(frozen=True)
class Exported:
    """A file that was written, run and compared."""

    path: Path
    format: str
    bytes: int  # on disk
    max_difference: float  # of any output value, against Keras


def export(
    model: Any,
    path: str | Path,
    format: str = "onnx",  # noqa: A002 (Keras' own name)
    *,
    samples: Arrays | None = None,
    tolerance: float = 1e-4,
) -> Exported:
    """Write `model` (built, one input, one output) to `path` as "onnx", "litert" or "saved_model".

    The file is run in its own runtime on `samples` (batch, ...), random numbers unless given, as one batch and its
    first row alone; it becomes `path` only if no output value differs from Keras' by more than `tolerance`, absolute
    for values up to 1 and relative above. Batches of any size can be run.

    Raises:
        SecateurError: an unknown format, a model that is not built or has several inputs or outputs, a package that is
            not installed, a layer that the format has no operation for, outputs that differ, or a `path` that holds
            something else.
    """
    if format not in KERAS_NAMES:
        raise SecateurError(f"format '{format}' is not known{nearest(format, KERAS_NAMES)} (known: {_known()})")
    target = Path(path)
    _check(model, target, format)
    samples = random_samples(model) if samples is None else np.asarray(samples)
    if len(samples) == 0:
        raise SecateurError("no samples: an exported model is compared on at least one")
    expected = np.asarray(model.predict(samples, verbose=0))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        written = Path(folder) / f"model{_SUFFIX[format]}"
        _write(model, written, format)
        worst = 0.0
        try:
            run = RUNTIMES[format](written)
            pairs = [(run(samples), expected), (run(samples[:1]), expected[:1])]
        except SecateurError:
            raise
        except Exception as problem:  # each runtime has its own kind of error
            raise SecateurError(f"{target}: {format} was written but does not run: {cause(problem)}") from problem
        for found, wanted in pairs:
            worst = max(worst, difference(found, wanted))
        if not worst <= tolerance:  # also when it is nan
            raise SecateurError(
                f"{target}: outputs of the {format} file differ from Keras' by {worst:.2g}, more than {tolerance:.2g}; "
                "it was not kept: look for layers that act otherwise in training, or raise the tolerance"
            )
        size = sum(p.stat().st_size for p in ([written] if written.is_file() else written.rglob("*")) if p.is_file())
        _replace(written, target)
    return Exported(target, format, size, worst)


def random_samples(model: Any, batch: int = 3, unknown: int = 16) -> Arrays:
    """Standard normal inputs of the model (batch, ...), a dimension without fixed size being `unknown`; integers 0."""
    tensor = model.inputs[0]
    shape = (batch, *(unknown if size is None else int(size) for size in tensor.shape[1:]))
    if "int" in str(tensor.dtype) or "bool" in str(tensor.dtype):
        return np.zeros(shape, str(tensor.dtype))
    return np.random.default_rng(0).standard_normal(shape).astype(str(tensor.dtype))


def difference(found: Arrays, wanted: Arrays) -> float:
    """Largest difference of two arrays, absolute for values up to 1 and relative above; infinite if shapes differ."""
    if found.shape != wanted.shape:
        return float("inf")
    return float(np.max(np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted)), initial=0.0))


def run_onnx(path: str | Path) -> Callable[[Arrays], Arrays]:
    """The ONNX file as a function of its input (batch, ...), on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: np.asarray(session.run(None, {name: x})[0])


def run_litert(path: str | Path) -> Callable[[Arrays], Arrays]:
    """The LiteRT file as a function of its input (batch, ...), on one thread."""
    interpreter = require("ai_edge_litert.interpreter", "keras").Interpreter(str(path), num_threads=1)
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(x: Arrays) -> Arrays:
        interpreter.resize_tensor_input(source, x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, x)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(result))

    return run


def run_saved_model(path: str | Path) -> Callable[[Arrays], Arrays]:
    """The SavedModel folder as a function of its input (batch, ...)."""
    loaded = require("tensorflow", "keras").saved_model.load(str(path))
    return lambda x: np.asarray(loaded.serve(x))


RUNTIMES: dict[str, Callable[[str | Path], Callable[[Arrays], Arrays]]] = {
    "onnx": run_onnx,
    "litert": run_litert,
    "saved_model": run_saved_model,
}


def _known() -> str:
    return ", ".join(KERAS_NAMES)


def _check(model: Any, target: Path, kind: str) -> None:
    """What can be said before any work."""
    if not getattr(model, "built", False) or not getattr(model, "inputs", None):
        raise SecateurError("the model is not built: give it an Input, or call it on a batch, before exporting")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise SecateurError(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs: only one of each is exported"
        )
    if kind == "saved_model":
        if target.is_file() or (target.is_dir() and any(target.iterdir()) and not (target / _MARK).exists()):
            raise SecateurError(f"{target}: holds something that is not a SavedModel; export to a new folder")
    elif target.is_dir():
        raise SecateurError(f"{target}: a folder; name a file such as {target / ('model' + _SUFFIX[kind])}")


def _write(model: Any, written: Path, kind: str) -> None:
    """The file by `model.export`, in this process or in one with TensorFlow."""
    backend = str(require("keras", "keras").backend.backend())
    if kind not in _NATIVE.get(backend, frozenset()):
        _write_elsewhere(model, written, kind)
        return
    if kind == "onnx" and backend == "tensorflow":
        require("tf2onnx", "keras")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.export(written, format=KERAS_NAMES[kind], verbose=False)
    except Exception as problem:  # converters have their own kinds of error
        raise SecateurError(f"Keras on {backend} cannot write this model as {kind}: {cause(problem)}") from problem


def _write_elsewhere(model: Any, written: Path, kind: str) -> None:
    """The file by a second process, whose backend is TensorFlow: a backend cannot change once Keras is imported."""
    require("tensorflow", "keras")
    saved = written.with_name("model.keras")
    model.save(saved)
    code = (
        "import sys, warnings; warnings.simplefilter('ignore'); import keras; "
        "keras.models.load_model(sys.argv[1], compile=False).export(sys.argv[2], format=sys.argv[3], verbose=False)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(saved), str(written), KERAS_NAMES[kind]],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"}, capture_output=True, text=True,
    )  # fmt: skip
    saved.unlink()
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SecateurError(f"Keras on tensorflow cannot write this model as {kind}: {last[:300]}")


def _replace(written: Path, target: Path) -> None:
    """Put the finished file or folder in its place; an earlier export there goes."""
    if target.is_dir():
        old = written.with_name("old")
        target.rename(old)
        written.rename(target)
        shutil.rmtree(old)
    else:
        if written.is_file():
            written.chmod(0o644)
        written.replace(target)
