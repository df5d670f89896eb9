"""Networks that have shapes and no values yet: those of a checkpoint, or of a larger network, come next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _NoInitialisation(TorchFunctionMode):
    """`torch.nn.init` leaves tensors alone."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def without_values() -> Iterator[None]:
    """Build modules on PyTorch's meta device, without drawing their first values.

    There is nothing to draw, and for some distributions PyTorch would import its compiler to draw it: two seconds of
    every command that loads a checkpoint.
    """
    with torch.device("meta"), _NoInitialisation():
        yield
