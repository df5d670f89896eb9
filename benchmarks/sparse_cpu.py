"""Does a sparse weight pay on this CPU? One matrix, dense and sparse, in libraries that a Whisper could run in.

    python benchmarks/sparse_cpu.py --out benchmarks/results/sparse_cpu.json

A feed-forward matrix of tiny.en (384 x 1536) times as many rows as 4 s of audio have (200), and times one, as a decoder
step has; one thread, in turn, processor time over that of onnxruntime's dense float32. Zeros single and random, or in
blocks of 4 x 1 (XNNPACK) and 32 x 32 (BSR). What is tried: onnxruntime with zeros (which does not look), torch's CSR
and BSR products, LiteRT's XNNPACK delegate, whose sparse kernels take 1 x 1 convolutions in float32 with weights
that the converter stores as sparse; and, as the measure of it all, a dense matrix of the size that is left, which is
what pruning whole units gives.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from recorded import how

from secateur.base.errors import SecateurError
from secateur.base.files import write_json
from secateur.base.progress import say

IN, OUT = 384, 1536
ROWS = (200, 1)
SHARES = (0.5, 0.7, 0.9)
Run = Callable[[], Any]


def zeros(shape: tuple[int, int], share: float, block: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Weights (out, in) of which `share` is zero, in blocks."""
    draw = np.random.default_rng(0)
    kept = draw.random((shape[0] // block[0], shape[1] // block[1])) >= share
    mask = np.kron(kept, np.ones(block))
    return (draw.standard_normal(shape) * mask).astype(np.float32)


def onnx_run(weight: np.ndarray[Any, Any], x: np.ndarray[Any, Any]) -> Run:
    """x (rows, in) times weight.T in onnxruntime."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weight.shape[1]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weight.shape[0]])],
        [numpy_helper.from_array(np.ascontiguousarray(weight.T), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), how, ["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0]


def torch_run(weight: np.ndarray[Any, Any], x: np.ndarray[Any, Any], layout: str, block: tuple[int, int]) -> Run:
    """The same with torch's sparse layouts; BSR where there are blocks."""
    matrix, columns = torch.from_numpy(weight), torch.from_numpy(np.ascontiguousarray(x.T))
    sparse = matrix.to_sparse_csr() if layout == "csr" else matrix.to_sparse_bsr(block)
    return lambda: (sparse @ columns).numpy().T


def litert_run(weight: np.ndarray[Any, Any], x: np.ndarray[Any, Any], sparse: bool) -> Run | None:
    """A 1 x 1 convolution over the rows in LiteRT with XNNPACK; None: not installed, or it cannot be converted."""
    try:
        import tensorflow as tf
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return None
    side = len(x)

    @tf.function(input_signature=[tf.TensorSpec((1, side, 1, weight.shape[1]), tf.float32)])  # type: ignore[untyped-decorator]
    def product(values: Any) -> Any:
        return tf.nn.conv2d(values, tf.constant(weight.T[None, None]), 1, "VALID")

    converter = tf.lite.TFLiteConverter.from_concrete_functions([product.get_concrete_function()])
    if sparse:
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    interpreter = Interpreter(model_content=converter.convert(), num_threads=1)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run() -> Any:
        interpreter.set_tensor(source, x[None, :, None])
        interpreter.invoke()
        return interpreter.get_tensor(target)[0, :, 0]

    return run


def measure(rows: int, share: float, rounds: int) -> list[dict[str, Any]]:
    """One row a way of multiplying."""
    x = np.random.default_rng(1).standard_normal((rows, IN)).astype(np.float32)
    ways: dict[str, tuple[Run, np.ndarray[Any, Any]]] = {}
    dense = zeros((OUT, IN), 0.0, (1, 1))
    ways["onnxruntime, dense"] = (onnx_run(dense, x), x @ dense.T)
    left = dense[: round(OUT * (1 - share))]
    ways["onnxruntime, units gone"] = (onnx_run(left, x), x @ left.T)
    for name, block in (("single", (1, 1)), ("4 x 1", (4, 1)), ("32 x 32", (32, 32))):
        weight = zeros((OUT, IN), share, block)
        right = x @ weight.T
        if name == "single":
            ways["onnxruntime, zeros"] = (onnx_run(weight, x), right)
            ways["torch CSR, zeros"] = (torch_run(weight, x, "csr", block), right)
        elif block[0] == block[1]:  # MKL knows square blocks
            ways[f"torch BSR, blocks of {name}"] = (torch_run(weight, x, "bsr", block), right)
        for sparse in (False, True) if name != "32 x 32" else ():
            run = litert_run(weight, x, sparse)
            if run is not None:
                ways[f"LiteRT {'sparse' if sparse else 'dense'}, {name} zeros"] = (run, right)
    for name, (run, right) in ways.items():
        if not np.allclose(run(), right, atol=1e-2):
            raise SecateurError(f"{name}: another product than numpy's")
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (run, _) in ways.items():
            started = time.process_time()
            for _ in range(repeats := 3 if rows > 1 else 100):
                run()
            times[name].append((time.process_time() - started) / repeats)
    base = np.median(times["onnxruntime, dense"])
    return [
        {"rows": rows, "zeros": share, "way": name, "us": 1e6 * float(np.median(own)),
         "time": float(np.median(own) / base)} for name, own in times.items()
    ]  # fmt: skip


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sparse_cpu.json"))
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Sparse (CSR|BSR) tensor support is in beta")
    found = []
    for rows in ROWS:
        for share in SHARES:
            found += measure(rows, share, options.rounds)
            say(f"{rows} rows, {share:.0%} zeros: " + ", ".join(
                f"{row['way']} {row['time']:.2f}" for row in found if (row["rows"], row["zeros"]) == (rows, share)
            ))  # fmt: skip
    write_json(options.out, {"how": how(), "shape": [IN, OUT], "rounds": options.rounds, "rows": found})


if __name__ == "__main__":
    main()
