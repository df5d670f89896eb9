"""What 2:4 sparsity gives on a GPU's sparse tensor cores, at the shapes of Whisper's linear layers.

    python benchmarks/sparse_gpu.py --out benchmarks/results/sparse_gpu.json

Needs an NVIDIA GPU of compute capability 8.0 or more (A100, H100). Every weight has two of four values zero, the larger
two stay (`secateur.prune`'s pattern "2:4"), and is converted by `torch.sparse.to_sparse_semi_structured`. Dense and
sparse take turns; milliseconds are medians of one product in fp16, captured in a CUDA graph so that launching costs
neither anything. Rows are what a layer sees: 1 in a decoder step, 200 in the encoder of a 4 s clip, 1500 in a padded
one, and batches of these. cuSPARSELt wants rows in multiples of 8; fewer are padded, as torch does it itself.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from recorded import how
from torch import Tensor

from secateur.base.errors import SecateurError
from secateur.base.files import write_json

# (inputs, outputs) of query/key/value together, of the output, of the feed-forward's two
SIZES = {"tiny": 384, "base": 512, "small": 768, "medium": 1024, "large": 1280}
ROWS = (8, 200, 1500, 8 * 1500, 32 * 1500)


def two_of_four(weight: Tensor) -> Tensor:
    """`weight` (out, in) with the two smallest of every four neighbouring inputs set to zero."""
    groups = weight.reshape(len(weight), -1, 4)
    kept = groups.abs().argsort(2, descending=True)[..., :2]
    return (groups * torch.zeros_like(groups).scatter_(2, kept, 1.0)).reshape_as(weight)


def graph_of(work: Callable[[], Tensor], times: int) -> Callable[[], None]:
    """`times` runs of `work` as one CUDA graph."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            work()
    return graph.replay


def milliseconds(replays: dict[str, Callable[[], None]], times: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of one run of each, in turns."""
    found: dict[str, list[float]] = {name: [] for name in replays}
    for _ in range(rounds):
        for name, replay in replays.items():
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            replay()
            end.record()
            end.synchronize()
            found[name].append(start.elapsed_time(end) / times)
    return {name: statistics.median(values) for name, values in found.items()}


def measure(size: str, name: str, inputs: int, outputs: int, rows: int, times: int, rounds: int) -> dict[str, Any]:
    """One layer at one number of rows."""
    from torch.sparse import to_sparse_semi_structured

    weight = two_of_four(torch.randn(outputs, inputs, device="cuda", dtype=torch.float16) * inputs**-0.5)
    sparse = to_sparse_semi_structured(weight)
    x = torch.randn(rows, inputs, device="cuda", dtype=torch.float16)
    linear = torch.nn.functional.linear
    away = float((linear(x, weight) - linear(x, sparse)).abs().max())
    work = {"dense": lambda: linear(x, weight), "sparse": lambda: linear(x, sparse)}
    found = milliseconds({kind: graph_of(one, times) for kind, one in work.items()}, times, rounds)
    return {
        "size": size, "layer": name, "inputs": inputs, "outputs": outputs, "rows": rows,
        "dense_ms": round(found["dense"], 5), "sparse_ms": round(found["sparse"], 5),
        "speedup": round(found["dense"] / found["sparse"], 2), "largest_difference": round(away, 4),
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="products in one graph")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path, help="write everything as JSON here")
    options = parser.parse_args()
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0):
        raise SecateurError("sparse tensor cores need an NVIDIA GPU of compute capability 8.0 or more")
    rows = []
    for size, width in SIZES.items():
        layers = {"query, key, value": (width, 3 * width), "out": (width, width), "up": (width, 4 * width),
                  "down": (4 * width, width)}  # fmt: skip
        for name, (inputs, outputs) in layers.items():
            for count in ROWS:
                row = measure(size, name, inputs, outputs, count, options.times, options.rounds)
                print(*row.values(), sep="\t", flush=True)
                rows.append(row)
    if options.out:
        device = torch.cuda.get_device_name()
        write_json(
            options.out,
            {"how": how(), "device": device, "torch": torch.__version__, "dtype": "float16", "rows": rows},
            None,
        )


if __name__ == "__main__":
    try:
        main()
    except SecateurError as problem:
        sys.exit(f"sparse_gpu.py: {problem}")
