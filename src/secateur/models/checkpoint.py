"""A model folder: config.json (every width), model.safetensors, tokenizer.json. No pickle anywhere."""

from __future__ import annotations

from pathlib import Path

import torch

from ..base.errors import SecateurError, nearest
from ..base.extras import require
from ..base.files import atomic_path
from ..text.tokenizer import Tokenizer
from .whisper.config import read_config, write_config
from .whisper.model import Whisper

WEIGHTS = "model.safetensors"


def save_checkpoint(folder: str | Path, model: Whisper, tokenizer: Tokenizer, half: bool = False) -> Path:
    """Write `model` to `folder`, every file atomically; `half` stores fp16."""
    safetensors = require("safetensors.torch", "train")
    folder = Path(folder)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    if half:
        state = {name: value.half() for name, value in state.items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        safetensors.save_file(state, temporary, metadata={"format": "pt", "made_by": "secateur"})
    tokenizer.write(folder / "tokenizer.json")
    write_config(folder / "config.json", model.config)
    return folder


def load_checkpoint(folder: str | Path, device: str | torch.device = "cpu") -> tuple[Whisper, Tokenizer]:
    """Read a model folder as float32, ready to run (`eval` mode).

    Raises:
        SecateurError: a missing, truncated or foreign file, or weights that do not fit the config.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SecateurError(f"{folder}: no such model folder")
    config = read_config(folder / "config.json")
    state = read_weights(folder / WEIGHTS)
    with torch.device("meta"):
        model = Whisper(config)
    fit(model, state, str(folder / WEIGHTS))
    return model.to(device).eval(), Tokenizer.read(folder / "tokenizer.json", config.tokens.end)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file.

    Raises:
        SecateurError: missing, truncated or another format.
    """
    if not path.is_file():
        raise SecateurError(f"{path}: no such file")
    try:
        return dict(require("safetensors.torch", "train").load_file(path))
    except SecateurError:
        raise
    except Exception as problem:  # safetensors raises its own error type, and OSError
        raise SecateurError(f"{path}: not a whole safetensors file ({problem}); fetch or export it again") from problem


def fit(model: Whisper, state: dict[str, torch.Tensor], where: str) -> None:
    """Put `state` into a model built on the meta device.

    Raises:
        SecateurError: a parameter is missing, unknown or of another shape.
    """
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name in state:
        if name not in wanted:
            raise SecateurError(f"{where}: unknown parameter '{name}'{nearest(name, wanted)}")
    for name, shape in wanted.items():
        if name not in state:
            raise SecateurError(f"{where}: parameter '{name}' is missing")
        if tuple(state[name].shape) != shape:
            raise SecateurError(f"{where}: '{name}' has shape {tuple(state[name].shape)}, the config says {shape}")
    model.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    model.encoder.positions.requires_grad_(False)
