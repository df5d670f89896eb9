"""Gradients are summed over all processes while the backward pass still runs, in buckets that they are computed into.

As in PyTorch's DistributedDataParallel (Li et al. 2020, arXiv 2006.15704), without its wrapper around the network:
callbacks, micro-batches and running out of memory on one process stay what they are on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from . import distributed

BUCKET = 1 << 23  # numbers (32 MB in fp32): large enough for the links' full speed, small enough to begin early


@dataclass
class _Bucket:
    flat: Tensor
    members: list[int] = field(default_factory=list)
    waiting: int = 0  # members whose gradient is not there yet


class GradientReducer:
    """Sums of the gradients of `parameters` over all processes; `.grad` of each is a view of its bucket.

    A pass is `begin`, any number of `backward`, the last of them after `arm`, then `finish`. Buckets are sent in the
    same order on every process, the last layers' first. A gradient that no backward pass computed counts as zero and
    is missing (None) afterwards.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self._views: list[Tensor] = [torch.empty(0)] * len(self.parameters)
        self._buckets: list[_Bucket] = []
        self._bucket_of = [0] * len(self.parameters)
        for index in reversed(range(len(self.parameters))):
            self._place(index)
        for number, bucket in enumerate(self._buckets):
            size = sum(self.parameters[i].numel() for i in bucket.members)
            first = self.parameters[bucket.members[0]]
            bucket.flat = torch.zeros(size, dtype=first.dtype, device=first.device)
            at = 0
            for i in bucket.members:
                parameter = self.parameters[i]
                self._views[i] = bucket.flat[at : at + parameter.numel()].view_as(parameter)
                self._bucket_of[i] = number
                at += parameter.numel()
        self._touched = [False] * len(self.parameters)
        self._armed = False
        self._sent: list[Any] = []
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(partial(self._ready, i))  # type: ignore[no-untyped-call]
            for i, parameter in enumerate(self.parameters)
        ]

    def _place(self, index: int) -> None:
        parameter = self.parameters[index]
        if self._buckets:
            last = self._buckets[-1]
            other = self.parameters[last.members[0]]
            size = sum(self.parameters[i].numel() for i in last.members) + parameter.numel()
            if size <= BUCKET and (other.dtype, other.device) == (parameter.dtype, parameter.device):
                last.members.append(index)
                return
        self._buckets.append(_Bucket(torch.empty(0), [index]))

    def begin(self) -> None:
        """Set every gradient to zero."""
        for bucket in self._buckets:
            bucket.flat.zero_()
            bucket.waiting = len(bucket.members)
        for parameter, view in zip(self.parameters, self._views, strict=True):
            parameter.grad = view
        self._touched = [False] * len(self.parameters)
        self._armed, self._sent = False, []

    def arm(self) -> None:
        """The next backward pass is the last: what it completes is sent at once."""
        self._armed = True

    def finish(self) -> None:
        """Send what is left and wait until every sum is there."""
        while len(self._sent) < len(self._buckets):
            self._send()
        with distributed.peers():
            for handle in self._sent:
                handle.wait()
        self._armed = False
        for parameter, touched in zip(self.parameters, self._touched, strict=True):
            if not touched:
                parameter.grad = None

    def close(self) -> None:
        """Leave the parameters as they were; the buckets' memory is free then."""
        for hook in self._hooks:
            hook.remove()
        for parameter in self.parameters:
            parameter.grad = None

    def _ready(self, index: int, _: Tensor) -> None:
        self._touched[index] = True
        if not self._armed:
            return
        self._buckets[self._bucket_of[index]].waiting -= 1
        while len(self._sent) < len(self._buckets) and self._buckets[len(self._sent)].waiting <= 0:
            self._send()

    def _send(self) -> None:
        self._sent.append(distributed.begin_sum(self._buckets[len(self._sent)].flat))
