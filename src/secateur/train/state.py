"""The state of a run as one safetensors file, so that a killed run loses only the steps since the last save."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from ..base.errors import SecateurError
from ..base.extras import require
from ..base.files import Json
from ..base.tensors import write_tensors


def save_state(path: Path, tensors: dict[str, Tensor], values: Json) -> None:
    """Write tensors and JSON `values` together, atomically."""
    ready = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    write_tensors(path, ready, {"values": json.dumps(values)})


def load_state(path: Path) -> tuple[dict[str, Tensor], Json]:
    """What `save_state` wrote.

    Raises:
        SecateurError: not such a file.
    """
    safetensors = require("safetensors", "train")
    try:
        with safetensors.safe_open(path, framework="pt") as source:
            values = json.loads((source.metadata() or {})["values"])
            return {name: source.get_tensor(name) for name in source.keys()}, values  # noqa: SIM118
    except Exception as problem:  # safetensors raises its own error type
        raise SecateurError(f"{path}: not a training state ({problem}); delete it to start over") from problem


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as named tensors, without pickle."""
    return {
        f"optimizer.{number}.{key}": torch.as_tensor(value)
        for number, slots in optimizer.state_dict()["state"].items()
        for key, value in slots.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under `prefix.`, without it."""
    return {n.removeprefix(prefix + "."): t for n, t in tensors.items() if n.startswith(prefix + ".")}
