"""A checkpoint folder as a recogniser: in torch, as it was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import SecateurError
from ..base.extras import require
from ..decode.session import Floats, Ints
from ..runtime.ctc_recogniser import CtcRecogniser
from ..runtime.recogniser import Recogniser
from ..runtime.token_recogniser import WhisperRecogniser


def load_checkpoint_recogniser(folder: Path, threads: int | None, device: str) -> Recogniser:
    """A recogniser of a checkpoint folder, ours or in the layout of `transformers`; `device` may be "auto".

    Raises:
        SecateurError: not a checkpoint, or a broken one; torch is not installed.
    """
    if not (folder / "model.safetensors").exists():
        raise SecateurError(f"{folder}: neither an exported model (encoder.onnx) nor a checkpoint (model.safetensors)")
    torch = require("torch", "train")
    from ..base.files import read_json
    from ..models.checkpoint import load_checkpoint
    from ..models.network import FrameRecogniser
    from .seq2seq.session import TorchSession
    from .whisper.read_transformers import read_transformers

    if threads is not None:
        torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    foreign = "model_type" in read_json(folder / "config.json")
    model, text = read_transformers(folder) if foreign else load_checkpoint(folder, device)
    model = model.to(device)
    if not isinstance(model, FrameRecogniser):
        return WhisperRecogniser(TorchSession(model), text)

    return ctc_recogniser(model, text)


def ctc_recogniser(model: Any, text: Any) -> CtcRecogniser:
    """A recogniser of a CTC model in torch, on the device it is on."""
    torch = require("torch", "train")
    device = next(model.parameters()).device

    def run(features: Floats, frames: Ints) -> tuple[Floats, Ints]:
        with torch.inference_mode():
            found, counts = model(torch.from_numpy(features).to(device), torch.from_numpy(frames).to(device))
        return found.cpu().numpy(), np.asarray(counts.cpu().numpy(), np.int64)

    return CtcRecogniser(model.config, text, run)
