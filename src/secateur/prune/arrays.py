"""Array operations of criteria and budgets, for torch tensors and numpy arrays alike.

Keras models give numpy arrays, torch networks tensors; torch is imported only for tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any  # a torch tensor or a numpy array


def floats(values: Array) -> Array:
    """`values` in float32; a tensor keeps its device and its graph."""
    return values.float() if hasattr(values, "float") else np.asarray(values, np.float32)


def constant(values: Array) -> Array:
    """`values` in float32, detached."""
    return floats(values.detach() if hasattr(values, "detach") else values)


def numbers(values: Array) -> NDArray[np.float32]:
    """A copy of `values` as numpy floats."""
    plain = constant(values)
    return np.array(plain.cpu().numpy() if hasattr(plain, "cpu") else plain, np.float32)


def filled(count: int, value: float, like: Array | None) -> Array:
    """An array (count,) of one float, of the kind and on the device of `like`; a tensor when there is none."""
    if isinstance(like, np.ndarray):
        return np.full(count, value, np.float32)
    import torch

    return torch.full((count,), value, device=None if like is None else like.device)


def repeated(values: Array, times: int) -> Array:
    """Every value so many times in a row."""
    return values.repeat(times) if isinstance(values, np.ndarray) else values.repeat_interleave(times)


def of_kind(values: NDArray[Any], like: Array | None) -> Array:
    """Numpy `values` as they are when `like` is a numpy array, else as a tensor on the CPU."""
    if isinstance(like, np.ndarray):
        return values
    import torch

    return torch.from_numpy(values)
