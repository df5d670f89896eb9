"""The training log as TensorBoard events (the `tensorboard` extra)."""

from __future__ import annotations

from pathlib import Path

from ..base.extras import require
from ..base.files import Json


def write_events(folder: Path, entry: Json) -> None:
    """Add the numbers of one log entry, at its step, to `folder`/tensorboard.

    Raises:
        SecateurError: tensorboard is not installed.
    """
    require("tensorboard", "tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))
    for name, value in entry.items():
        if isinstance(value, int | float) and name not in ("step", "total"):
            writer.add_scalar(name, value, entry["step"])
    writer.close()
