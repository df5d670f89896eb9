"""Weights in the computer's memory, moved through the GPU one matrix at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]


def at_home(tensor: Tensor, exact_half: bool = False) -> Tensor:
    """A copy of `tensor` in the computer's memory, page-locked where it came from a GPU.

    With `exact_half` in fp16 where that holds the same values, as of checkpoints that were published in fp16.
    """
    value = tensor.detach()
    if exact_half and value.dtype == torch.float32:
        half = value.half()
        value = half if torch.equal(half.float(), value) else value
    home = torch.empty(value.shape, dtype=value.dtype, pin_memory=value.is_cuda)
    home.copy_(value)
    return home


def streamed(stored: Sequence[Tensor], beside: Sequence[Tensor]) -> Iterator[Pair]:
    """Each of `stored` on the device of its partner in `beside` and in its type, with the partner, one after the other.

    The next one is on its way while this one is worked on.
    """
    coming: Tensor | None = None
    for number, partner in enumerate(beside):
        here = coming if coming is not None else _moved(stored[number], partner)
        after = number + 1
        coming = _moved(stored[after], beside[after]) if after < len(beside) else None
        yield here, partner


def _moved(stored: Tensor, partner: Tensor) -> Tensor:
    return stored.to(partner.device, non_blocking=True).to(partner.dtype)
