"""How each format is written, in this process or in one with another backend, and stored in fewer bits."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.extras import require
from .causes import cause
from .inputs import packed

if TYPE_CHECKING:
    from keras import Model

KERAS_NAMES = {"onnx": "onnx", "litert": "litert", "saved_model": "tf_saved_model"}
PRECISIONS = ("float32", "float16", "int8")
_NATIVE = {"tensorflow": frozenset(KERAS_NAMES), "torch": frozenset({"onnx"})}
Arrays = NDArray[Any]


def write(
    model: Model, written: Path, kind: str, precision: str, samples: Sequence[Arrays], opens: Callable[[Path], None],
    outputs: Sequence[str],
) -> None:  # fmt: skip
    """The file, by this backend, or by the other one where this one cannot write a file that `opens` runs. In ONNX its
    outputs have the names `outputs`.

    Raises:
        SecateurError: neither can; with what each of them said.
    """
    backend = str(require("keras", "keras").backend.backend())
    causes = []
    if kind in _NATIVE.get(backend, frozenset()):
        try:
            write_here(model, written, kind, precision, samples)
            if kind == "onnx":
                _named(written, outputs)
            opens(written)
            return
        except SecateurError:
            raise
        except Exception as problem:  # converters and runtimes have their own kinds of error
            causes.append(_blamed(backend, kind, written, problem))
            _clear(written)
    others = [name for name in ("tensorflow", "torch") if name != backend and kind in _NATIVE[name] and find_spec(name)]
    for other in others:
        message = _write_elsewhere(model, written, kind, precision, samples, other)
        if message:
            causes.append(f"Keras on {other} cannot write this model as {kind}: {cause(message)}")
            continue
        try:
            if kind == "onnx":
                _named(written, outputs)
            opens(written)
            return
        except SecateurError:
            raise
        except Exception as problem:
            causes.append(_blamed(other, kind, written, problem))
            _clear(written)
    raise SecateurError("; ".join(causes) or f"no backend that is installed writes {kind}: install tensorflow")


def _blamed(backend: str, kind: str, written: Path, problem: Exception) -> str:
    """What one backend's attempt came to."""
    if written.exists():
        return f"Keras on {backend} writes {kind} that does not run: {cause(problem)}"
    return f"Keras on {backend} cannot write this model as {kind}: {cause(problem)}"


def _clear(written: Path) -> None:
    if written.is_dir():
        shutil.rmtree(written)
    else:
        written.unlink(missing_ok=True)


def write_here(model: Model, written: Path, kind: str, precision: str, samples: Sequence[Arrays]) -> None:
    """The file, by the backend of this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "litert":
            _litert(model, written, precision, samples)
            return
        backend = require("keras", "keras").backend.backend()
        if kind == "onnx" and backend == "tensorflow":
            require("tf2onnx", "keras")
        with _graph_unprinted():
            model.export(written, format=KERAS_NAMES[kind], verbose=False)
        if kind == "onnx" and backend == "tensorflow":
            _without_erfc(written)
        if kind == "onnx" and precision != "float32":
            _fewer_bits(written, precision, samples)


@contextmanager
def _graph_unprinted() -> Iterator[None]:
    """Torch's exporter prints the whole graph when it fails, asked or not (its check of whether to is always true), and
    tf2onnx what it cannot simplify; what went wrong is in the exception."""
    tf2onnx = logging.getLogger("tf2onnx")
    level = tf2onnx.level
    tf2onnx.setLevel(logging.CRITICAL + 1)
    core: Any = getattr(sys.modules.get("torch"), "_C", None)
    printing = getattr(core, "_jit_onnx_log", None)
    if printing is not None:
        core._jit_onnx_log = lambda *_: None
    try:
        yield
    finally:
        tf2onnx.setLevel(level)
        if printing is not None:
            core._jit_onnx_log = printing


def _without_erfc(written: Path) -> None:
    """TensorFlow computes the exact GELU by erfc, which tf2onnx leaves in the file and ONNX does not have: 1 - erf."""
    import onnx

    model = onnx.load(written)
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        name = node.output[0]
        nodes.append(onnx.helper.make_node("Erf", list(node.input), [f"{name}_erf"]))
        nodes.append(onnx.helper.make_node("Sub", ["secateur_one", f"{name}_erf"], [name]))
    if len(nodes) == len(model.graph.node):
        return
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1, np.float32), "secateur_one"))
    onnx.save(model, written)


def output_names(model: Model, plain: Model) -> list[str]:
    """Of every output of `plain` in order: the model's keys, or the names of its last layers; then its states."""
    keras = require("keras", "keras")
    names = []
    for path, tensor in keras.tree.flatten_with_path(getattr(model, "_functional", model)._outputs_struct):
        keyed = any(isinstance(part, str) for part in path)
        names.append("_".join(map(str, path)) if keyed else tensor._keras_history.operation.name)
    names += [f"{one._keras_history.operation.name}_state" for one in plain.outputs[len(names) :]]
    taken = {tensor.name for tensor in plain.inputs}
    for n, name in enumerate(names):
        again = itertools.chain([name], (f"{name}_{count}" for count in itertools.count(1)))
        names[n] = next(one for one in again if one not in taken)
        taken.add(names[n])
    return names


def _named(written: Path, names: Sequence[str]) -> None:
    """Give the outputs of an ONNX file their names: torch numbers those of a last layer without an activation."""
    import onnx

    model = onnx.load(written, load_external_data=False)
    graph = model.graph
    made = {name for node in graph.node for name in node.output}
    new: dict[str, str] = {}
    for output, name in zip(graph.output, names, strict=True):
        if output.name in made and output.name not in new:
            new[output.name] = name
        else:  # an input or a constant, or what is an output already
            graph.node.append(onnx.helper.make_node("Identity", [output.name], [name]))
        output.name = name
    others = {name: f"{name}_inner" for name in made - {*new} if name in {*names}}
    _renamed(graph, {**others, **new})
    onnx.save(model, written)


def _renamed(graph: Any, new: Mapping[str, str]) -> None:
    """Values of a graph and of the graphs inside it under their new names."""
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                _renamed(inner, new)
    for value in graph.value_info:
        value.name = new.get(value.name, value.name)


def _write_elsewhere(
    model: Model, written: Path, kind: str, precision: str, samples: Sequence[Arrays], backend: str
) -> str:
    """The file by a second process: a backend cannot change once Keras is imported. What went wrong, or nothing."""
    saved, arrays = written.with_name("model.keras"), written.with_name("samples.npz")
    model.save(saved)
    np.savez(arrays, *samples)
    code = "import sys; from secateur.keras.writers import write_saved; write_saved(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(saved), str(arrays), str(written), kind, precision],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    saved.unlink()
    arrays.unlink()
    if not done.returncode:
        return ""
    if done.returncode < 0:
        return f"the converter crashes (signal {-done.returncode}): choose another format or precision"
    lines = done.stderr.strip().splitlines() or ["no message"]
    start = max((n for n, line in enumerate(lines) if line[:1].isalpha() and "Error" in line.split(":")[0]), default=-1)
    return "\n".join(lines[start:])


def write_saved(saved: str, arrays: str, written: str, kind: str, precision: str) -> None:
    """What the second process does."""
    from .saved import load

    with np.load(arrays) as result:
        samples = [result[name] for name in result.files]
    model = load(saved)
    model(packed(model, [one[:1] for one in samples]), training=False)  # Keras exports nothing that was never called
    write_here(model, Path(written), kind, precision, samples)


def _litert(model: Model, written: Path, precision: str, samples: Sequence[Arrays]) -> None:
    """For batches of any size where LiteRT's own operations can; else for one example of the samples' size, which is
    how recurrent layers run without TensorFlow's operations. Their ranges cannot be found, since TensorFlow crashes in
    the loop: in int8 such a model has eight bits for its weights alone."""
    tensorflow, keras = require("tensorflow", "keras"), require("keras", "keras")
    loops = any(isinstance(layer, keras.layers.RNN) for layer in model._flatten_layers(include_self=False))
    first: Exception | None = None
    for batch in (None, 1):
        shapes = [
            [batch, *(size if batch or size is not None else None for size in tensor.shape[1:])]
            for tensor in model.inputs
        ]
        if batch:
            shapes = [[1, *sample.shape[1:]] for sample in samples]
        specs = {
            f"input_{n:02d}": tensorflow.TensorSpec(shape, tensor.dtype, f"input_{n:02d}")
            for n, (shape, tensor) in enumerate(zip(shapes, model.inputs, strict=True))
        }

        def serve(**inputs: object) -> Any:
            result = model(packed(model, [inputs[name] for name in sorted(inputs)]), training=False)
            return {f"output_{n:02d}": one for n, one in enumerate(keras.tree.flatten(result))}

        try:
            function = tensorflow.function(serve, autograph=False).get_concrete_function(**specs)
            converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([function])
            if precision != "float32":
                converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
            if precision == "float16":
                converter.target_spec.supported_types = [tensorflow.float16]
            if precision == "int8" and not loops:
                converter.representative_dataset = lambda: _rows(samples)
            written.write_bytes(converter.convert())
            from .runtimes import run_litert

            run_litert(written)([sample[:1] for sample in samples])
            return
        except Exception as problem:  # the converter's, or the runtime's for what it has no operation for
            first = first or problem
    assert first is not None
    raise first


def _rows(samples: Sequence[Arrays]) -> Iterator[list[Arrays]]:
    for row in range(len(samples[0])):
        yield [one[row : row + 1] for one in samples]


def _fewer_bits(written: Path, precision: str, samples: Sequence[Arrays]) -> None:
    """An ONNX file in sixteen bits, or in eight by the ranges that the samples have."""
    import onnx

    if precision == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(written), keep_io_types=True), written)
        code = "import sys, onnxruntime; onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])"
        done = subprocess.run([sys.executable, "-c", code, str(written)], capture_output=True, text=True)
        if done.returncode:  # onnxruntime has crashed on a file in sixteen bits; better there than here
            raise RuntimeError(f"in float16 onnxruntime does not open it: {cause(done.stderr or 'it crashes')}")
        return
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    names = [one.name for one in onnx.load(written).graph.input]

    class SampleReader(CalibrationDataReader):  # type: ignore[misc]
        """The samples, one at a time."""

        def __init__(self) -> None:
            self.rows = ({n: s[r : r + 1] for n, s in zip(names, samples, strict=True)} for r in range(len(samples[0])))

        def get_next(self) -> Any:
            return next(self.rows, None)

    prepared = written.with_name("prepared.onnx")
    quant_pre_process(str(written), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared), str(written), SampleReader(), per_channel=True, activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )  # fmt: skip
    prepared.unlink()
