"""Exported files as functions of lists of arrays (batch, ...), each run by its own runtime on one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.extras import require

Arrays = NDArray[Any]
Run = Callable[[Sequence[Arrays]], list[Arrays]]


def run_onnx(path: str | Path) -> Run:
    """The ONNX file, by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(inputs: Sequence[Arrays]) -> list[Arrays]:
        if len(inputs) < len(names):
            raise ValueError(
                f"it has {len(names)} inputs ({', '.join(names)}) for {len(inputs)}: a layer holds a tensor that is no "
                "variable, which became an input"
            )
        return [np.asarray(one) for one in session.run(None, dict(zip(names, inputs, strict=True)))]

    return run


def run_litert(path: str | Path) -> Run:
    """The LiteRT file, by ai-edge-litert; row by row where it takes one row."""
    interpreter = require("ai_edge_litert.interpreter", "keras").Interpreter(str(path), num_threads=1)
    details = sorted(interpreter.get_input_details(), key=lambda one: str(one["name"]))
    results = [one["index"] for one in interpreter.get_output_details()]
    single = all(list(one["shape_signature"])[:1] == [1] for one in details)

    def run(inputs: Sequence[Arrays]) -> list[Arrays]:
        if single and len(inputs[0]) != 1:
            rows = [run([one[n : n + 1] for one in inputs]) for n in range(len(inputs[0]))]
            return [np.concatenate(parts) for parts in zip(*rows, strict=True)]
        for detail, one in zip(details, inputs, strict=True):
            interpreter.resize_tensor_input(detail["index"], one.shape)
        interpreter.allocate_tensors()
        for detail, one in zip(details, inputs, strict=True):
            interpreter.set_tensor(detail["index"], one)
        interpreter.invoke()
        return [np.asarray(interpreter.get_tensor(index)) for index in results]

    return run


def run_saved_model(path: str | Path) -> Run:
    """The SavedModel folder, by TensorFlow."""
    loaded = require("tensorflow", "keras").saved_model.load(str(path))

    def run(inputs: Sequence[Arrays]) -> list[Arrays]:
        result = loaded.serve(inputs[0] if len(inputs) == 1 else list(inputs))
        return [np.asarray(one) for one in require("keras", "keras").tree.flatten(result)]

    return run


def single(opened: Callable[[str | Path], Run]) -> Callable[[str | Path], Callable[[Any], Any]]:
    """The same for one array or several: one output is no list."""

    def open_file(path: str | Path) -> Callable[[Any], Any]:
        inner = opened(path)

        def run(inputs: Any) -> Any:
            result = inner(list(inputs) if isinstance(inputs, list | tuple) else [inputs])
            return result[0] if len(result) == 1 else result

        return run

    return open_file


RUNTIMES: dict[str, Callable[[str | Path], Callable[[Any], Any]]] = {
    "onnx": single(run_onnx),
    "litert": single(run_litert),
    "saved_model": single(run_saved_model),
}
