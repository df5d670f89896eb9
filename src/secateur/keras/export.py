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

import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError, check_known, nearest
from ..base.extras import require
from .causes import cause
from .inputs import check_model, check_shapes, nested, packed
from .plain import plain_model
from .runtimes import RUNTIMES
from .specs import call_of, symbolic
from .writers import KERAS_NAMES, PRECISIONS, output_names, write

if TYPE_CHECKING:
    from keras import Model

_SUFFIX = {"onnx": ".onnx", "litert": ".tflite", "saved_model": ""}
_MARK = "saved_model.pb"  # what a SavedModel folder has
TOLERANCES = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2, "int8": 0.1}  # of what is stored or computed in it

Arrays = NDArray[Any]


@dataclass(frozen=True)
class Exported:
    """A file that was written, run and compared."""

    path: Path
    format: str
    bytes: int  # on disk
    max_difference: float  # of any output value, against Keras


def export(
    model: Model,
    path: str | Path,
    format: str | None = None,  # noqa: A002 (Keras' own name)
    *,
    precision: str = "float32",
    samples: object = None,
    tolerance: float | None = None,
) -> Exported:
    """Write a built `model` to `path` as "onnx", "litert" or "saved_model"; left out, as the path's ending says.

    The file is run in its own runtime on `samples`, as one batch and its first row alone; it becomes `path` only if no
    output value differs from Keras' by more than `tolerance`, absolute for values up to 1 and relative above. Batches
    of any size can be run, but for LiteRT files of models that need TensorFlow's operations for that, such as LSTM:
    those take one example of the samples' size. States of stateful recurrent layers are further inputs and outputs of
    the file, zeros at first.

    Args:
        precision: "float32"; "float16", of onnx and litert; "int8", of the same, by the ranges that `samples` have,
            or in LiteRT files of recurrent layers of the weights alone.
        samples: inputs (batch, ...), an array, or several as the model takes them, in a list or by name; random numbers
            unless given. For int8 they should be real ones, a hundred or so.
        tolerance: unless given, 1e-4; 0.01 with float16 (stored, or the model's), 0.1 with int8.

    Raises:
        SecateurError: an unknown format or precision, a path whose ending names another format or none, a model that
            is not built, a package that is not installed, a layer that the format has no operation for (with what the
            converter said), outputs that differ, or a `path` that holds something else.
    """
    format = _format(Path(path), format)  # noqa: A001
    check_known("precision", precision, PRECISIONS)
    if precision != "float32" and format == "saved_model":
        raise SecateurError(f"a SavedModel is stored in float32: choose onnx or litert for {precision}")
    target = Path(path)
    check_model(model)
    model = _with_inputs(model, samples)
    _check(model, target, format)
    keras = require("keras", "keras")
    tree = keras.tree
    arrays = _arrays(model, _unasked(model, precision) if samples is None else samples)
    plain, states = plain_model(model)
    fixed = model.inputs[0].shape[0]  # a batch of a fixed size
    if fixed is not None:
        if len(arrays[0]) < fixed:
            raise SecateurError(f"samples: the model takes batches of {fixed}, found {len(arrays[0])} examples")
        arrays = [one[:fixed] for one in arrays]
    arrays += [np.zeros(tuple(one.shape), np.float32) for one in plain.inputs[len(arrays) :]]  # states
    judge = plain if states else model  # a stateful model does not compute the same twice
    try:
        outputs = judge(packed(judge, arrays), training=False)  # `predict` would compile a graph for one batch
    except Exception as problem:  # of any layer
        what = "random numbers: give samples=inputs" if samples is None else "samples"
        raise SecateurError(f"model '{model.name}' does not run on {what}: {cause(problem)}") from problem
    expected = [np.asarray(keras.ops.convert_to_numpy(one)) for one in tree.flatten(outputs)]
    if tolerance is None:
        kinds = {precision, *(str(layer.compute_dtype) for layer in model.layers)}
        tolerance = max(TOLERANCES.get(kind, TOLERANCES["float32"]) for kind in kinds)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        written = Path(folder) / f"model{_SUFFIX[format]}"
        differences: list[float] = []

        def opens(path: Path) -> None:
            run = RUNTIMES[format](path)
            differences.append(_worst(run, arrays, expected))
            if fixed is None:
                differences.append(_worst(run, *([one[:1] for one in some] for some in (arrays, expected))))

        try:
            write(plain, written, format, precision, arrays, opens, output_names(model, plain))
        except SecateurError as problem:
            raise SecateurError(f"{target}: {problem}{_half(model, format)}") from problem
        worst = max(differences[-1:] if fixed is not None else differences[-2:])
        if not worst <= tolerance:  # also when it is nan
            raise SecateurError(
                f"{target}: outputs of the {format} file differ from Keras' by {worst:.2g}, more than {tolerance:.2g}; "
                "it was not kept: look for layers that act otherwise in training, or raise the tolerance"
            )
        size = sum(p.stat().st_size for p in ([written] if written.is_file() else written.rglob("*")) if p.is_file())
        _replace(written, target)
    return Exported(target, format, size, worst)


def _with_inputs(model: Model, samples: object) -> Model:
    """A subclassed model inside of one with inputs: like the samples, or what it was called on first."""
    if getattr(model, "inputs", None) or not getattr(model, "built", False):
        return model
    spec = call_of(model, samples if hasattr(samples, "shape") else None)
    if not spec:
        return model
    inputs = symbolic(spec)
    try:
        return require("keras", "keras").Model(
            inputs[0] if len(inputs) == 1 else inputs, model(*inputs), name=model.name
        )
    except Exception as problem:  # whatever its call raises
        raise SecateurError(f"model '{model.name}' cannot be called on symbolic tensors: {cause(problem)}") from problem


def _unasked(model: Model, precision: str) -> Any:
    """Random samples; in int8 that is a word worth, since ranges come from them."""
    if precision == "int8":
        warnings.warn("int8 takes its ranges from samples, here random numbers: give samples=inputs", stacklevel=3)
    return random_samples(model, 32 if precision == "int8" else 3)


def _arrays(model: Model, given: Any) -> list[Arrays]:
    """Samples as one array an input (batch, ...), in the order and of the types of `model.inputs`.

    Raises:
        SecateurError: no examples, or what no input takes: other shapes, text, fractions for numbers of tokens, values
            that are not finite, targets.
    """
    tree = require("keras", "keras").tree
    if isinstance(given, tuple) and len(model.inputs) == 1 and len(given) in (2, 3):
        raise SecateurError("samples: found a tuple, as of inputs and targets: give the inputs alone")
    if hasattr(given, "__iter__") and not hasattr(given, "__len__") and not hasattr(given, "shape"):
        raise SecateurError(
            f"samples: {type(given).__name__} is no array: give inputs (batch, ...), not batches of them"
        )
    given = nested(model, given, "samples")
    if len(model.inputs) == 1 and isinstance(given, list | tuple):
        given = packed(model, [_stacked(given)])
    given = tree.map_structure(np.asarray, given)
    check_shapes(model, given, "samples")
    arrays = []
    for one, tensor in zip(tree.flatten(given), model.inputs, strict=True):
        kind = np.dtype(str(tensor.dtype) if "bfloat16" not in str(tensor.dtype) else "float32").kind
        if one.dtype.kind not in "fiub":
            raise SecateurError(f"samples: input '{tensor.name}' takes {tensor.dtype}, found {one.dtype}")
        if not len(one):
            raise SecateurError(f"samples: input '{tensor.name}' has no examples: give at least one")
        bad = np.flatnonzero(~np.isfinite(one.reshape(len(one), -1)).all(1))
        if len(bad):
            raise SecateurError(
                f"samples: {len(bad)} of {len(one)} examples of input '{tensor.name}' have values that are not finite "
                f"(NaN or infinite), the first is number {bad[0]}: leave them out"
            )
        if kind in "iu" and one.dtype.kind == "f" and np.any(one % 1):
            raise SecateurError(f"samples: input '{tensor.name}' takes {tensor.dtype}, found fractions")
        arrays.append(one.astype(str(tensor.dtype)))
    return arrays


def _stacked(examples: Any) -> Arrays:
    """A list of examples as an array.

    Raises:
        SecateurError: examples of different shapes.
    """
    shapes = {np.shape(one) for one in examples}
    if len(shapes) > 1:
        raise SecateurError(
            f"samples: examples have different shapes, such as {min(shapes)} and {max(shapes)}: pad them"
        )
    return np.asarray(examples)


def _half(model: Model, kind: str) -> str:
    """A word for models that compute in types that the runtimes have few operations for."""
    few = {"litert": {"float16", "bfloat16"}, "onnx": {"bfloat16"}}.get(kind, set())
    types = sorted({str(layer.compute_dtype) for layer in model._flatten_layers()} & few)
    if not types:
        return ""
    return f"; it computes in {types[0]}: make it with float32 layers and the same weights, with precision='float16'"


def _worst(run: Any, inputs: list[Arrays], expected: list[Arrays]) -> float:
    """The largest difference of any output."""
    outputs = run(inputs if len(inputs) > 1 else inputs[0])
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return max(difference(one, other) for one, other in zip(outputs, expected, strict=True))


def random_samples(model: Model, batch: int = 3, unknown: int = 16) -> Any:
    """Standard normal inputs of the model (batch, ...), a dimension without fixed size being `unknown`; integers 0;
    nested as it takes them."""
    random, outputs = np.random.default_rng(0), []
    for tensor in model.inputs:
        shape = (batch, *(unknown if size is None else int(size) for size in tensor.shape[1:]))
        if "int" in str(tensor.dtype) or "bool" in str(tensor.dtype):
            outputs.append(np.zeros(shape, str(tensor.dtype)))
        else:
            outputs.append(random.standard_normal(shape).astype(str(tensor.dtype)))
    return packed(model, outputs)


def difference(outputs: Arrays, wanted: Arrays) -> float:
    """Largest difference of two arrays, absolute for values up to 1 and relative above; infinite if shapes differ."""
    if outputs.shape != wanted.shape:
        return float("inf")
    return float(np.max(np.abs(outputs - wanted) / np.maximum(1.0, np.abs(wanted)), initial=0.0))


def _format(path: Path, asked: str | None) -> str:
    """The format that was asked for, or that of the path's ending."""
    if asked is not None and asked not in KERAS_NAMES:
        raise SecateurError(f"format '{asked}' is not known{nearest(asked, KERAS_NAMES)} (known: {_known()})")
    named = next((name for name, end in _SUFFIX.items() if end and path.suffix.lower() == end), None)
    if asked is None and named is None:
        raise SecateurError(f"{path}: name a file .onnx or .tflite, or say format='saved_model' for a folder")
    if asked is not None and named not in (None, asked):
        raise SecateurError(f"{path}: a name for {named}, but the format is {asked}: give one of the two another")
    return asked or str(named)


def _known() -> str:
    return ", ".join(KERAS_NAMES)


def _check(model: Model, target: Path, kind: str) -> None:
    """What can be said before any work."""
    if not getattr(model, "built", False) or not getattr(model, "inputs", None):
        raise SecateurError("the model is not built: give it an Input, or call it on a batch, before exporting")
    if kind == "saved_model":
        if target.is_file() or (target.is_dir() and any(target.iterdir()) and not (target / _MARK).exists()):
            raise SecateurError(f"{target}: holds something that is not a SavedModel; export to a new folder")
    elif target.is_dir():
        raise SecateurError(f"{target}: a folder; name a file such as {target / ('model' + _SUFFIX[kind])}")


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
