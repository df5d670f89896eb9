"""What hearing chunk by chunk costs a CTC model: states carried in the graph, or the context heard again.

    python benchmarks/ctc_stream.py --out benchmarks/results/ctc_stream.json

Networks of the streaming presets with random weights (no error rates), exported, one thread, a clip of 20 s of noise,
in one run and in turn: the whole clip at once; `cached`, each chunk once with its states; `windows`, the same chunks
with as much context as a network without states needs (2.56 s before, 0.32 s after). Processor time, features
included, over that of the whole clip; and how far the log probabilities are from the whole clip's.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recorded import how

from secateur.base.files import write_json
from secateur.base.progress import say
from secateur.export.onnx import export_onnx
from secateur.families.ctc.model import CtcModel
from secateur.families.ctc.new_model import PRESETS
from secateur.runtime.ctc_recogniser import from_export
from secateur.runtime.streaming import StreamOptions
from secateur.runtime.streaming.chunks import Chunks, chunks_of, pieces
from secateur.text.units import Units

KINDS = ("streaming-conformer", "streaming-gru")
RATE, SECONDS, UNITS = 16000, 20, 40


def measure(kind: str, rounds: int) -> list[dict[str, Any]]:
    """One row a way of hearing."""
    torch.manual_seed(0)
    config = PRESETS[kind](UNITS)
    assert config.streaming is not None
    text = Units(tuple(chr(0x4E00 + i) for i in range(UNITS - 1)))
    samples = (0.1 * np.random.default_rng(0).standard_normal(SECONDS * RATE)).astype(np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        heard = from_export(export_onnx(CtcModel(config).eval(), text, Path(scratch) / "out", "fp32"), threads=1)
        chunk = config.streaming.chunk * heard.frame_seconds
        options = StreamOptions(chunk=chunk)
        again, cached = Chunks(heard, options), chunks_of(heard, options)
        ways: dict[str, Callable[[], Any]] = {
            "whole": lambda: heard.log_probs([samples])[0],
            "cached": lambda: np.concatenate(list(pieces(cached, samples))),
            "windows": lambda: np.concatenate(list(pieces(again, samples))),
        }
        whole = ways["whole"]()
        rows = [
            {"kind": kind, "way": way, "chunk_s": chunk, "apart": float(np.abs(run()[: len(whole)] - whole).max())}
            for way, run in ways.items()
        ]
        times: list[list[float]] = [[] for _ in ways]
        for _ in range(rounds):
            for own, run in zip(times, ways.values(), strict=True):
                started = time.process_time()
                run()
                own.append(time.process_time() - started)
    ratios = np.median(np.array(times) / np.array(times[0]), axis=1)
    for row, own, ratio in zip(rows, times, ratios.tolist(), strict=True):
        row |= {"ms": 1000 * float(np.median(own)), "time": ratio}
        say(f"{row}")
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ctc_stream.json"))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for kind in KINDS for row in measure(kind, options.rounds)]
    write_json(options.out, {"how": how(), "seconds": SECONDS, "rounds": options.rounds, "rows": rows})


if __name__ == "__main__":
    main()
