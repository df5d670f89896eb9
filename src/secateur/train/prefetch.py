"""The next batch is prepared while the device trains on this one: on a thread, and on a GPU in a stream of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, fields
from types import TracebackType

import torch
from torch import Tensor

from .loss import Batch
from .mix import Example


@dataclass(frozen=True)
class ReadyBatch:
    """One process's share of a batch, and how much each example counts in the loss (`Objective.counts`)."""

    batch: Batch
    counts: list[int]
    size: int  # examples of the whole batch, over all processes
    input_mask: Tensor | None  # of the network when the features were computed

    def tensors(self) -> list[Tensor]:
        """What of the batch is on the device."""
        values = [getattr(self.batch, field.name) for field in fields(self.batch)]
        return [value for value in values if isinstance(value, Tensor)]


Prepare = Callable[[list[Example], int], ReadyBatch]


class Prefetcher:
    """Batches in order, `ahead` of them prepared before they are asked for; 0 prepares each when it is asked for.

    `prepare` must depend on its arguments alone (draws are seeded by the step), so that nothing changes by preparing
    ahead. What a pruning step changes in between, the inputs that the network reads, is noticed: such a batch is
    prepared again. Errors of `prepare`, running out of memory among them, are raised where the batch is asked for.
    """

    def __init__(
        self, batches: Iterator[list[Example]], prepare: Prepare, first: int, total: int, device: torch.device,
        ahead: int,
    ) -> None:  # fmt: skip
        self.batches, self.prepare, self.device, self.ahead = batches, prepare, device, ahead
        self.step, self.total = first, total  # of the next batch that is begun
        self._waiting: deque[Future[tuple[list[Example], int, ReadyBatch]]] = deque()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches") if ahead else None
        self._stream = (
            torch.cuda.Stream(device) if ahead and device.type == "cuda" else None  # type: ignore[no-untyped-call]
        )

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def next(self, input_mask: Tensor | None) -> ReadyBatch:
        """The next batch, for a network that reads the inputs of `input_mask` (`Network.input_mask`)."""
        if self._pool is None:
            self.step += 1
            return self.prepare(next(self.batches), self.step - 1)
        while len(self._waiting) <= self.ahead and self.step < self.total:
            self._waiting.append(self._pool.submit(self._begin, self.step))
            self.step += 1
        examples, step, prepared = self._waiting.popleft().result()
        if not _same(prepared.input_mask, input_mask):
            prepared = self._pool.submit(self._apart, examples, step).result()
        if self._stream is not None:
            # It is complete: `_apart` waited. Waiting for the stream would be for the batch after it, too.
            current = torch.cuda.current_stream(self.device)
            for tensor in prepared.tensors():  # its memory must not be reused before this stream has read it
                tensor.record_stream(current)
        return prepared

    def _begin(self, step: int) -> tuple[list[Example], int, ReadyBatch]:
        examples = next(self.batches)
        return examples, step, self._apart(examples, step)

    def _apart(self, examples: list[Example], step: int) -> ReadyBatch:
        """ReadyBatch on this thread and in its stream, which the host waits for: ready when it is handed out."""
        with torch.cuda.stream(self._stream) if self._stream is not None else nullcontext():
            prepared = self.prepare(examples, step)
        if self._stream is not None:
            self._stream.synchronize()
        return prepared


def _same(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None:
        return first is second
    return first is second or bool(torch.equal(first.cpu(), second.cpu()))
