"""The training loop: batches, gradients, optimiser, validation, resume; on one process or on several."""

from __future__ import annotations

import copy
import json
import time
from contextlib import nullcontext
from dataclasses import replace
from operator import attrgetter
from typing import TypeVar

import torch
from torch import Tensor

from ..base.errors import SecateurError
from ..base.files import Json, write_text
from ..base.options import to_dict
from ..base.progress import say, track
from ..models.checkpointing import checkpointed
from ..models.network import Network
from ..train import distributed
from .averages import L2SP, WeightAverages
from .distributed import check_agreement, fingerprint
from .four_bits import FourBitTraining
from .gradients import Gradients
from .lora import low_rank
from .mix import Example
from .optimizer import make_optimizer, rate_at
from .prefetch import Prefetcher, ReadyBatch
from .run import TrainingRun
from .settings import TrainSettings
from .sharding import Shards, held, sharded
from .state import load_optimizer, load_state, optimizer_tensors, save_state, with_prefix
from .stream import Mix, batch_stream, epoch_steps
from .tensorboard import write_events

__all__ = ["TrainingRun", "frozen_copy", "total_steps", "train"]

Net = TypeVar("Net", bound=Network)

# Settings that change how a batch is split, not what is computed: a resumed run may change them.
NOT_COMPARED = ("accumulate", "gradient_checkpointing", "shard")
AHEAD = 2  # batches that are prepared while a GPU trains on another


def total_steps(settings: TrainSettings, mix: Mix) -> int:
    """Optimiser steps of a run."""
    if settings.steps is not None:
        return settings.steps
    return max(1, round(settings.epochs * epoch_steps(mix, settings.batch_seconds, settings.seed)))


def train(model: Network, run: TrainingRun, settings: TrainSettings) -> list[Json]:
    """Train `model` in place and return the log: one entry a validation, with loss, error and timing.

    With a folder, a killed run continues from its last state and ends with the same weights and metrics. Inside
    `distributed.processes` every process calls this with the same arguments and ends with the same weights. With
    `settings.patience` the run may stop early: the last entry names the step as "stopped", the result is the best on
    dev.

    Raises:
        SecateurError: one clip does not fit the memory, or processes ended or drifted apart.
    """
    distributed.check_joined()
    with low_rank(model, settings), sharded(model, run.bank.device, settings.shard) as shards:
        if settings.four_bits:  # first, so that the other callbacks read the full-precision weights after a pass
            grid = FourBitTraining(model, settings.four_bits, settings.four_bits_from)
            run = replace(run, callbacks=[grid, *run.callbacks])
        if settings.l2_sp:
            run = replace(run, callbacks=[*run.callbacks, L2SP(model, settings.l2_sp, settings.offload)])
        with checkpointed(model, settings.gradient_checkpointing, settings.dropout > 0):
            return _Loop(model, run, settings, shards).run_all()


class _Loop:
    """The state of one run."""

    def __init__(self, model: Network, run: TrainingRun, settings: TrainSettings, shards: Shards | None) -> None:
        self.model, self.run, self.settings, self.shards = model, run, settings, shards
        self.device = run.bank.device
        self.first = distributed.rank() == 0
        self.ranks = distributed.count()
        model.to(self.device)
        if settings.deterministic:
            torch.use_deterministic_algorithms(True, warn_only=True)
        if self.device.type == "cuda":
            # cuDNN's attention builds a plan for every new shape: 140 ms a step instead of 36.
            torch.backends.cuda.enable_cudnn_sdp(False)
        if run.extra is not None:
            run.extra.to(self.device)
        self.extra = {} if run.extra is None else {f"extra.{n}": p for n, p in run.extra.named_parameters()}
        if shards is None:
            distributed.broadcast_from_first([*model.parameters(), *model.buffers(), *self.extra.values()])
        self.total = total_steps(settings, run.mix)
        self.every = max(
            1, round(settings.validate_every * epoch_steps(run.mix, settings.batch_seconds, settings.seed))
        )
        self.parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.model_parameters = list(self.parameters.values())
        self.optimizer = make_optimizer(self.model_parameters, self.extra.values(), settings, self.device)
        self.parameters |= self.extra
        stored = model.state_dict()
        # Running statistics are averaged with the weights that they were computed with.
        self.statistics = {n: b for n, b in model.named_buffers() if n in stored}
        self.parts = {n: held(p) for n, p in self.parameters.items()}  # of sharded weights, what is here
        self.averages = WeightAverages({**self.parts, **self.statistics}, settings, self._project)
        self.gradients = Gradients(model, list(self.parameters.values()), run, settings, shards)
        self.log: list[Json] = []
        self.loss_sum = torch.zeros((), device=self.device)
        self.loss_count = 0
        self.seconds = 0.0  # of training, without validation and saving
        self.utterances = 0
        self.step = 0
        for callback in run.callbacks:
            callback.attach(self.optimizer)
        self._resume()

    def run_all(self) -> list[Json]:
        settings, run = self.settings, self.run
        batches = batch_stream(run.mix, settings.batch_seconds, settings.seed, self.step, settings.sortagrad)
        stream = run.bank.follow(batches, distributed.rank(), self.ranks, attrgetter("clips"))
        self.model.train()
        ahead = AHEAD if self.device.type == "cuda" else 0
        with Prefetcher(stream, self._prepared, self.step, self.total, self.device, ahead) as prefetcher:
            self._all_steps(prefetcher)
        self.gradients.close()
        self.averages.write(self.averages.result())
        self.model.dropout.p = 0.0
        self.model.eval()
        return self.log

    def _prepared(self, examples: list[Example], step: int) -> ReadyBatch:
        return self.gradients.prepared(examples, step, self.total)

    def _all_steps(self, prefetcher: Prefetcher) -> None:
        """Every step that is left, validation and saving."""
        settings, run = self.settings, self.run
        clock = self._now()
        for _ in track(range(self.step, self.total), run.label, self.total - self.step):
            if self.averages.settled():
                break
            self._optimiser_step(prefetcher.next(self.model.input_mask))
            self.step += 1
            last = self.step == self.total
            validates = self.step % self.every == 0 or last
            saves = run.folder is not None and (self.step % settings.save_every == 0 or last)
            if validates or saves:
                self.seconds += self._now() - clock
                if validates:
                    self._validate()
                if saves:
                    self._save()
                clock = self._now()

    def _now(self) -> float:
        """A monotonic clock in seconds, read after the device has finished its queue."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def _optimiser_step(self, prepared: ReadyBatch) -> None:
        """One optimiser step on one batch."""
        self.model.dropout.p = self.settings.dropout if self._drops() else 0.0
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, self.total, self.settings) * group.get("times", 1.0)
        loss = self.gradients.of(prepared, self.step, self.total)
        for callback in self.run.callbacks:
            callback.after_backward(self.step, self.total)
        torch.nn.utils.clip_grad_norm_(self.model_parameters, self.settings.gradient_clip)
        if self.extra:  # clipped apart: the gradient of a newly initialised head would dominate the norm
            torch.nn.utils.clip_grad_norm_(self.extra.values(), self.settings.gradient_clip)
        self.optimizer.step()
        distributed.average(self.statistics.values())
        with torch.no_grad():
            for callback in self.run.callbacks:
                callback.after_step(self.step, self.total)
                callback.project(self.parts)
            self.averages.update(self.step, all(c.ready(self.step, self.total) for c in self.run.callbacks))
        self.loss_sum += loss
        self.loss_count += 1
        self.utterances += prepared.size

    def _drops(self) -> bool:
        """Whether dropout is on at this step."""
        first, after = self.settings.dropout_span
        return first * self.total <= self.step < after * self.total

    def _project(self, weights: dict[str, Tensor]) -> None:
        for callback in self.run.callbacks:
            callback.project(weights)

    def _validate(self) -> None:
        entry: Json = {
            "step": self.step, "total": self.total, "loss": float(self.loss_sum) / max(self.loss_count, 1),
            "rate": rate_at(self.step - 1, self.total, self.settings), "seconds": round(self.seconds, 2),
            "utterances_per_second": round(self.utterances / max(self.seconds, 1e-9), 2), "processes": self.ranks,
        }  # fmt: skip
        self.loss_sum.zero_()
        self.loss_count = 0
        for callback in self.run.callbacks:
            entry |= callback.metrics()
        weights = self.averages.current()
        self.averages.add_recent(weights)
        if self.run.callbacks or self.ranks > 1:
            hashes = fingerprint(self.parts, None if self.shards is None else self.shards.first_row_values())
            if self.shards is not None:  # nobody holds the others' weights; what callbacks hold must agree
                hashes["pruning"] = fingerprint(self._callback_tensors())["weights"]
            check_agreement(self.run.folder, self.step, hashes)
            entry["masks"] = hashes["masks"]
        if self.run.validate is not None:
            entry |= distributed.agreed(self._scores(weights))  # every process decodes its share
            if all(c.ready(self.step, self.total) for c in self.run.callbacks):
                self.averages.offer(weights, entry["error"])
                if self.averages.settled():
                    entry["stopped"] = self.step
        self.log.append(entry)
        if self.first:
            self._report(entry)

    def _scores(self, weights: dict[str, Tensor]) -> dict[str, float]:
        """The validation scores of `weights`."""
        assert self.run.validate is not None
        current = self.averages.copy()
        self.averages.write(weights)
        self.model.eval()
        with nullcontext() if self.shards is None else self.shards.gathered():
            scores = self.run.validate(self.model)
        self.model.train()
        self.averages.write(current)
        return scores

    def _report(self, entry: Json) -> None:
        say(f"{self.run.label}: " + ", ".join(f"{k} {v:.4g}" for k, v in entry.items() if isinstance(v, int | float)))
        if self.run.folder:
            if self.settings.tensorboard:
                write_events(self.run.folder, entry)
            # Rewritten whole: resuming repeats no line.
            write_text(self.run.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in self.log))

    def _save(self) -> None:
        assert self.run.folder is not None
        micro_batches = distributed.gathered(self.gradients.micro_batches)
        if not self.first and self.shards is None:
            return
        tensors, values = self.averages.tensors()
        tensors |= optimizer_tensors(self.optimizer)
        if self.shards is not None:
            tensors = self.shards.whole_store(tensors)
            if not self.first:
                return
        tensors |= self._callback_tensors() | {"loss_sum": self.loss_sum}
        values |= {
            "step": self.step, "total": self.total, "settings": self._binding(), "log": self.log,
            "parts": micro_batches, "loss_count": self.loss_count, "seconds": self.seconds,
            "utterances": self.utterances,
        }  # fmt: skip
        save_state(self.run.folder / "state.safetensors", tensors, values)

    def _callback_tensors(self) -> dict[str, Tensor]:
        return {f"callback{i}.{n}": t for i, one in enumerate(self.run.callbacks) for n, t in one.tensors().items()}

    def _resume(self) -> None:
        path = None if self.run.folder is None else self.run.folder / "state.safetensors"
        if path is not None and path.exists():
            tensors, values = load_state(path)
            if values["settings"] == self._binding() and values["total"] == self.total and "since" in values:
                self._load(tensors, values)
            else:
                say(f"{path}: written with other settings; starting over")
        steps = distributed.gathered(self.step)
        if len(set(steps)) > 1:
            raise SecateurError(
                f"{path}: not every process can read this file; put the folder on storage that all share"
            )

    def _load(self, tensors: dict[str, Tensor], values: Json) -> None:
        say(f"{self.run.label}: resuming at step {values['step']} of {values['total']}")
        if self.shards is not None:
            tensors = self.shards.parts_of_optimizer(self.optimizer, self.shards.parts_of_store(tensors))
        self.averages.load(tensors, values)
        load_optimizer(self.optimizer, tensors)
        for i, callback in enumerate(self.run.callbacks):
            callback.load(with_prefix(tensors, f"callback{i}"))
        self.loss_sum = tensors["loss_sum"].to(self.device)
        self.step, self.log = values["step"], values["log"]
        self.loss_count, self.seconds, self.utterances = values["loss_count"], values["seconds"], values["utterances"]
        if len(values["parts"]) == self.ranks:  # with another number of processes the memory limit is determined anew
            self.gradients.micro_batches = max(self.gradients.micro_batches, values["parts"][distributed.rank()])

    def _binding(self) -> Json:
        """The settings that must be equal for a state to be resumed."""
        settings: Json = json.loads(json.dumps(to_dict(self.settings)))
        return {name: value for name, value in settings.items() if name not in NOT_COMPARED}


def frozen_copy(model: Net) -> Net:
    """A frozen copy of `model`, as a teacher."""
    teacher = copy.deepcopy(model).eval()
    for parameter in teacher.parameters():
        parameter.requires_grad_(False)
    return teacher
