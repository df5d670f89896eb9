"""A CTC model as the folder that sherpa-onnx loads: `OfflineRecognizer.from_omnilingual_asr_ctc(model, tokens)`.

Of sherpa-onnx's CTC models it is the one that takes samples, so the graph computes the very features that the model was
trained on. It is given samples of mean 0 and variance 1: only features that are normalised over the clip are the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...base.errors import SecateurError
from ...base.files import write_text
from ...export.layers import FloatWeights
from ...export.onnx import write_graph
from ...export.precision import check_precision
from ...export.spool import SPOOL, spooling
from .graph import ctc_graph
from .model import CtcModel

MODEL, TOKENS = "model.onnx", "tokens.txt"
SPACE = "\u2581"  # sherpa-onnx writes a space for it
RATE = 16000
LARGEST = 2**31 - 1  # bytes of one file, which is all that sherpa-onnx reads


def symbols_of(text: Any) -> list[str]:
    """The text that each output writes, the blank's first.

    Raises:
        SecateurError: units that are no text (phones).
    """
    if text.kind == "phones":
        raise SecateurError("sherpa-onnx writes the network's units as text, which phones are not: train on characters")
    begins, boundary = text.begins(), text.boundary
    symbols = ["<blk>"]
    for unit in range(1, text.outputs):
        plain = text.decode([unit])
        mark = SPACE if unit == boundary or (text.kind == "pieces" and begins[unit]) else ""
        symbols.append(mark + plain)
    return symbols


def write_sherpa(folder: str | Path, model: CtcModel, text: object, precision: str = "fp32") -> Path:
    """Write model.onnx and tokens.txt.

    Raises:
        SecateurError: a model of another sample rate than 16 kHz, features that depend on loudness, or units that are
            no text.
    """
    check_precision(precision)
    folder, front = Path(folder), model.config.front_end
    if front.sample_rate != RATE:
        raise SecateurError(f"sherpa-onnx gives this kind of model samples at {RATE} Hz, it takes {front.sample_rate}")
    if front.normalise == "none":
        raise SecateurError("sherpa-onnx normalises loudness, and this model's features are not normalised over a clip")
    symbols = symbols_of(text)
    folder.mkdir(parents=True, exist_ok=True)
    with spooling(folder / SPOOL) as spool:
        graph = ctc_graph(model.config, FloatWeights(model), precision, audio=True)
    if len(write_graph(folder, MODEL, graph, spool.path, LARGEST)) > 1:
        raise SecateurError("the model is larger than the 2 GiB of one file, which is all that sherpa-onnx reads")
    write_text(folder / TOKENS, "".join(f"{symbol} {i}\n" for i, symbol in enumerate(symbols)))
    return folder
