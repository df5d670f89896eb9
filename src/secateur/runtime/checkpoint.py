"""A checkpoint folder as a recogniser: in torch, as it was trained."""

from __future__ import annotations

from pathlib import Path

from ..base.device import pick_device
from ..base.errors import SecateurError
from ..base.extras import require
from ..models.reference import REFERENCE
from .recogniser import Recogniser, recogniser_of

# Files of which a checkpoint has one: ours, those of `transformers`, a reference to one, an adapter, CTranslate2.
KINDS = ("model*.safetensors*", REFERENCE, "adapter_config.json", "model.bin")


def load_checkpoint_recogniser(folder: Path, threads: int | None, device: str) -> Recogniser:
    """A recogniser of a checkpoint folder, ours or in any format that is read; `device` may be "auto".

    Raises:
        SecateurError: not a checkpoint, or a broken one; torch is not installed.
    """
    if not any(path for kind in KINDS for path in folder.glob(kind)):
        raise SecateurError(f"{folder}: neither an exported model (encoder.onnx) nor a checkpoint (model.safetensors)")
    torch = require("torch", "train")
    from ..weights.fetch import read_foreign

    if threads is not None:
        torch.set_num_threads(threads)
    where = pick_device(device)
    model, text = read_foreign(folder)
    model = model.to(where)
    recogniser = recogniser_of(model.config)(model, text)
    if where.type == "cuda":
        recogniser.to_bf16()
    return recogniser
