"""A checkpoint folder as a recogniser: in torch, as it was trained."""

from __future__ import annotations

from pathlib import Path

from ..base.device import pick_device
from ..base.errors import SecateurError
from ..base.extras import require
from ..models.family import family_of
from .recogniser import Recogniser


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
    from ..weights.transformers_layout import read_transformers

    if threads is not None:
        torch.set_num_threads(threads)
    where = pick_device(device)
    foreign = "model_type" in read_json(folder / "config.json")
    model, text = read_transformers(folder) if foreign else load_checkpoint(folder, where)
    model = model.to(where)
    recogniser: Recogniser = family_of(model.config).recogniser()(model, text)
    if where.type == "cuda":
        recogniser.to_bf16()
    return recogniser
