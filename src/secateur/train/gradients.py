"""The gradient of one batch over processes and micro-batches, equal to that of the undivided batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..base.errors import SecateurError
from ..base.progress import say
from ..models.network import Network
from . import distributed
from .loss import Batch, mean_absolute
from .mix import Example
from .prefetch import ReadyBatch
from .prepare import Preparer
from .reducer import GradientReducer
from .run import TrainingRun
from .settings import TrainSettings
from .sharding import Shards
from .stream import AFTER, DROPOUT, SHARED, seed_torch


class Gradients:
    """Computes gradients into the parameters' `.grad`. The number of micro-batches doubles when memory runs out."""

    def __init__(
        self, model: Network, parameters: list[nn.Parameter], run: TrainingRun, settings: TrainSettings,
        shards: Shards | None = None,
    ) -> None:  # fmt: skip
        self.model, self.run, self.settings, self.shards = model, run, settings, shards
        self.parameters = parameters
        ids = {id(p) for p in parameters}
        self.frozen = [p for p in model.parameters() if id(p) not in ids]  # a callback may read their gradients
        self.rank, self.ranks = distributed.rank(), distributed.count()
        self.prepare = Preparer(run, settings, model, self.rank)
        self.device = run.bank.device
        self.bf16 = settings.precision == "bf16" or (settings.precision == "auto" and self.device.type == "cuda")
        self.micro_batches = settings.accumulate
        self.reducer = GradientReducer(parameters) if self.ranks > 1 and shards is None else None

    def __call__(self, examples: list[Example], step: int, total: int) -> Tensor:
        """Leave the gradient of the mean loss over `examples` in `.grad`, on every process; returns that loss."""
        return self.of(self.prepared(examples, step, total), step, total)

    def prepared(self, examples: list[Example], step: int, total: int) -> ReadyBatch:
        """This process's share of `examples`, ready to train on; may be called from another thread, ahead of time."""
        local = examples[self.rank :: self.ranks]
        counts = self.run.objective.counts(local, step, self.settings)
        if not local:
            # Fewer clips than processes: this one repeats a clip with weight 0, to take part in the collectives.
            local, counts = examples[:1], [0]
        input_mask = self.model.input_mask
        return ReadyBatch(self.prepare(local, step, total), counts, len(examples), input_mask)

    def of(self, prepared: ReadyBatch, step: int, total: int) -> Tensor:
        """Leave the gradient of the mean loss over a batch in `.grad`, on every process; returns that loss."""
        own = sum(prepared.counts)
        shares = [count / max(own, 1) for count in prepared.counts]
        part: Tensor | float = 1.0  # of this process in the whole batch; on the device, so that nothing waits for it
        if self.ranks > 1:
            whole = torch.tensor(float(own), device=self.device)
            distributed.all_reduce_sum([whole])
            part = own / whole.clamp_min(1)
        if self.shards is not None:  # every process gathers the weights as often as the others
            self.micro_batches = min(self.settings.accumulate, max(1, prepared.size // self.ranks))
        loss = self._attempt(prepared.batch, shares, part, step, total)
        while loss is None:
            torch.cuda.empty_cache()  # a no-op without a GPU
            loss = self._attempt(prepared.batch, shares, part, step, total)
        distributed.all_reduce_sum([loss])
        seed_torch(AFTER, self.settings.seed, step)
        return loss

    def close(self) -> None:
        """Let go of the gradients."""
        if self.reducer is not None:
            self.reducer.close()
        for parameter in self.parameters:
            parameter.grad = None

    def _attempt(self, batch: Batch, shares: list[float], part: Tensor | float, step: int, total: int) -> Tensor | None:
        """The gradient, over all processes; None when memory ran out on one, and it has more micro-batches now.

        Raises:
            SecateurError: one clip alone is too much.
        """
        micro_batches = min(self.micro_batches, len(batch.examples))
        for parameter in self.frozen:
            parameter.grad = None
        if self.reducer is not None:
            self.reducer.begin()
        else:
            for parameter in self.parameters:
                parameter.grad = None
        total_loss, out = torch.zeros((), device=self.device), False
        try:
            for number in range(micro_batches):
                if self.reducer is not None and number == micro_batches - 1:
                    self.reducer.arm()
                weight = sum(shares[number::micro_batches]) * part
                total_loss += self._micro_batch(batch.micro_batch(number, micro_batches), weight, number, step, total)
        except torch.OutOfMemoryError:
            out = True
        if out:
            self._split(batch, micro_batches, step)
        if self.reducer is not None:
            out = distributed.any_process(out)
            self.reducer.finish()  # after running out of memory too: the others wait for these sums
        return None if out else total_loss

    def _split(self, batch: Batch, micro_batches: int, step: int) -> None:
        """Take twice as many micro-batches from now on.

        Raises:
            SecateurError: there is one clip in each already, or the others of a sharded run wait in this pass.
        """
        if self.shards is not None:
            raise SecateurError(
                f"out of memory at step {step}, and sharded processes (training.shard) cannot go on with smaller "
                f"pieces: raise training.accumulate above {self.settings.accumulate}, lower training.batch_seconds, or "
                "take more processes"
            ) from None
        if micro_batches == len(batch.examples):
            seconds = float(batch.lengths.max()) / self.prepare.sample_rate
            raise SecateurError(
                f"out of memory with one clip of {seconds:.1f} s: leave long clips out (--longest), "
                "or take a smaller model or a larger device"
            ) from None
        self.micro_batches = 2 * micro_batches
        here = f" on process {self.rank}" if self.ranks > 1 else ""
        say(
            f"{self.run.label}: out of memory at step {step}{here}; "
            f"going on with {self.micro_batches} micro-batches a step"
        )

    def _micro_batch(self, batch: Batch, weight: Tensor | float, number: int, step: int, total: int) -> Tensor:
        """Add the gradient of one micro-batch, which has `weight` in the mean."""
        settings, callbacks = self.settings, self.run.callbacks
        seed_torch(SHARED, settings.seed, step)
        for callback in callbacks:
            callback.before_forward(step, total)
        seed_torch(DROPOUT, settings.seed, step, self.rank, number)
        # Sharded weights are let go of after each layer: their bf16 copies must be, too.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16, cache_enabled=self.shards is None):
            if self.shards is None:
                loss = self.run.objective(self.model, batch, settings)
            else:
                loss = self.shards.forward_pass(self.run.objective, batch, settings)
        for callback in callbacks:
            penalty = callback.penalty(step, total)
            if penalty is not None:
                loss = loss + penalty
        if settings.l1:
            loss = loss + settings.l1 * mean_absolute(self.parameters)
        loss = loss * weight
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()
