"""A format for models of any family: the names and shapes of all tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_names(target: Path, model: Any, text: Any) -> Path:
    lines = [f"{name} {list(value.shape)}" for name, value in model.state_dict().items()]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target
