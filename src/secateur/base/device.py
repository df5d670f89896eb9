"""The device that torch computes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import SecateurError
from .extras import require

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> torch.device:
    """The device `name`; `auto` is the first GPU when there is one. A GPU has its index, which some calls ask for.

    Raises:
        SecateurError: a GPU was asked for and there is none, or torch is not installed.
    """
    backend = require("torch", "train")
    if name == "auto":
        name = "cuda" if backend.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not backend.cuda.is_available():
        raise SecateurError("no GPU was found here: use --device cpu")
    try:
        device: torch.device = backend.device(name)
    except RuntimeError:
        raise SecateurError(f"no device '{name}': use auto, cpu or cuda") from None
    if device.type == "cuda" and (device.index or 0) >= backend.cuda.device_count():
        raise SecateurError(f"no GPU {device.index}: there are {backend.cuda.device_count()} here, counted from 0")
    return indexed(device)


def indexed(device: torch.device) -> torch.device:
    """`device` with an index: "cuda" is the GPU that is current, and calls such as `set_per_process_memory_fraction`
    take no GPU without a number."""
    backend = require("torch", "train")
    if str(device) != "cuda":
        return device
    current: torch.device = backend.device("cuda", backend.cuda.current_device())
    return current


def device_name(device: torch.device) -> str:
    """The accelerator's name, or the number of threads on a CPU."""
    backend = require("torch", "train")
    if device.type == "cuda":
        return str(backend.cuda.get_device_name(device))
    return f"CPU, {backend.get_num_threads()} threads"
