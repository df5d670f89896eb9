"""The training loop: batches on the device, features, loss, optimiser, validation, resume."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..audio.augment import NoiseBank, augment
from ..base.options import to_dict
from ..base.progress import say, track
from ..data.bank import AudioBank
from ..features.mel_torch import LogMel
from ..features.specaugment import spec_augment
from ..models.network import Recogniser
from .callback import Callback
from .loss import mean_absolute
from .objective import Batch, Objective
from .settings import TrainSettings
from .state import load_optimizer, load_state, optimizer_tensors, part, save_state
from .stream import Mix, batch_stream, epoch_steps
from .tensorboard import write_events

Network = TypeVar("Network", bound=Recogniser)


@dataclass
class Run:
    """What a run reads: audio, the mix of sets, what is asked of the model, and how it is watched."""

    bank: AudioBank
    mix: Mix
    objective: Objective
    callbacks: Sequence[Callback] = ()
    validate: Callable[[Any], dict[str, float]] | None = None  # lower `error` is better
    noise: NoiseBank | None = None
    folder: Path | None = None  # metrics.jsonl and state.safetensors; None keeps nothing
    label: str = "training"
    history: list[dict[str, Any]] = field(default_factory=list)


def total_steps(settings: TrainSettings, mix: Mix) -> int:
    """Optimiser steps of a run."""
    if settings.steps is not None:
        return settings.steps
    return max(1, round(settings.epochs * epoch_steps(mix, settings.batch_seconds, settings.seed)))


def rate_at(step: int, total: int, settings: TrainSettings) -> float:
    """Learning rate of `step`: linear warm-up, then a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    warm = max(1, round(settings.warmup * total))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, total - warm)
    floor = settings.final_rate
    return settings.learning_rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def train(model: Recogniser, run: Run, settings: TrainSettings) -> list[dict[str, Any]]:
    """Train `model` in place and return the log: one entry a validation, with loss, error and timing.

    With a folder, a killed run continues from its last state and ends with the same weights and metrics.
    """
    return _Loop(model, run, settings).run_all()


class _Loop:
    """The state of one run."""

    def __init__(self, model: Recogniser, run: Run, settings: TrainSettings) -> None:
        self.model, self.run, self.settings = model, run, settings
        self.device = run.bank.device
        model.to(self.device)
        if settings.deterministic:
            torch.use_deterministic_algorithms(True, warn_only=True)
        if self.device.type == "cuda":
            # cuDNN's attention builds a plan for every new shape: 140 ms a step instead of 36.
            torch.backends.cuda.enable_cudnn_sdp(False)
        self.total = total_steps(settings, run.mix)
        self.every = max(
            1, round(settings.validate_every * epoch_steps(run.mix, settings.batch_seconds, settings.seed))
        )
        self.parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        decayed = [p for p in self.parameters.values() if p.dim() > 1]
        others = [p for p in self.parameters.values() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=settings.learning_rate, betas=(0.9, 0.98), fused=self.device.type == "cuda",
        )  # fmt: skip
        self.random = torch.Generator(device=self.device).manual_seed(settings.seed)
        self.features = LogMel(model.config.front_end).to(self.device)
        self.bf16 = settings.precision == "bf16" or (settings.precision == "auto" and self.device.type == "cuda")
        model.dropout.p = settings.dropout
        torch.manual_seed(settings.seed)  # dropout draws from the global generator
        self.start: dict[str, Tensor] | None = None
        if settings.blend < 1:
            self.start = {n: p.detach().clone() for n, p in self.parameters.items()}
        self.ema: dict[str, Tensor] | None = None
        if settings.ema:
            self.ema = {n: p.detach().clone() for n, p in self.parameters.items()}
        self.best: dict[str, Tensor] | None = None
        self.best_error = math.inf
        self.recent: list[dict[str, Tensor]] = []
        self.log: list[dict[str, Any]] = []
        self.loss_sum = torch.zeros((), device=self.device)
        self.loss_count = 0
        self.seconds = 0.0
        self.step = 0
        self._resume()

    def run_all(self) -> list[dict[str, Any]]:
        settings, run = self.settings, self.run
        stream = batch_stream(run.mix, settings.batch_seconds, settings.seed, skip=self.step)
        self.model.train()
        clock = time.perf_counter()
        for _ in track(range(self.step, self.total), run.label, self.total - self.step):
            self._one(next(stream))
            self.step += 1
            if self.step % self.every == 0 or self.step == self.total:
                self.seconds += time.perf_counter() - clock
                self._validate()
                clock = time.perf_counter()
            if run.folder and (self.step % settings.save_every == 0 or self.step == self.total):
                self.seconds += time.perf_counter() - clock
                self._save()
                clock = time.perf_counter()
        self._finish()
        return self.log

    def _one(self, batch: list[int]) -> None:
        """One optimiser step."""
        settings, run, model = self.settings, self.run, self.model
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, self.total, settings)
        audio, lengths = run.bank.gather(batch)
        if settings.augment is not None:
            audio, lengths = augment(audio, lengths, settings.augment, self.random, run.noise)
        seconds, rate = model.config.max_seconds, model.config.front_end.sample_rate
        if audio.shape[1] > seconds * rate:  # slowed down past the audio context: the end is cut rather than refused
            limit = int(seconds * rate)
            audio, lengths = audio[:, :limit], lengths.clamp_max(limit)
        features, frames = self.features(audio, lengths)
        if settings.spec_augment is not None:
            features = spec_augment(features, frames, settings.spec_augment, self.random)
        for callback in run.callbacks:
            callback.before_forward(self.step, self.total)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            ready = Batch(batch, len(run.mix.learn), audio, lengths, features, frames, self.step)
            loss = run.objective(model, ready, settings)
        for callback in run.callbacks:
            penalty = callback.penalty(self.step, self.total)
            if penalty is not None:
                loss = loss + penalty
        if settings.l1:
            loss = loss + settings.l1 * mean_absolute(self.parameters.values())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for callback in run.callbacks:
            callback.after_backward(self.step, self.total)
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), settings.clip)
        self.optimizer.step()
        with torch.no_grad():
            for callback in run.callbacks:
                callback.after_step(self.step, self.total)
                callback.project(self.parameters)  # type: ignore[arg-type]
            if self.ema is not None:
                # The average follows faster at first, so that it is not stuck at the start (as in Polyak averaging).
                decay = min(settings.ema, (1 + self.step) / (10 + self.step))
                torch._foreach_lerp_(list(self.ema.values()), list(self.parameters.values()), 1 - decay)
        self.loss_sum += loss.detach()
        self.loss_count += 1

    def _validate(self) -> None:
        entry: dict[str, Any] = {
            "step": self.step, "total": self.total, "loss": float(self.loss_sum) / max(self.loss_count, 1),
            "rate": rate_at(self.step - 1, self.total, self.settings), "seconds": round(self.seconds, 2),
        }  # fmt: skip
        self.loss_sum.zero_()
        self.loss_count = 0
        for callback in self.run.callbacks:
            entry |= callback.metrics()
        weights = self._weights()
        if self.settings.average_last:
            self.recent = [*self.recent, {n: t.cpu() for n, t in weights.items()}][-self.settings.average_last :]
        if self.run.validate is not None:
            own = {n: p.detach().clone() for n, p in self.parameters.items()}
            self._put(weights)
            self.model.eval()
            entry |= self.run.validate(self.model)
            self.model.train()
            self._put(own)
            ready = all(c.ready(self.step, self.total) for c in self.run.callbacks)
            if ready and entry["error"] < self.best_error:
                self.best_error = entry["error"]
                self.best = {n: t.cpu() for n, t in weights.items()}
        self.log.append(entry)
        say(f"{self.run.label}: " + ", ".join(f"{k} {v:.4g}" for k, v in entry.items() if isinstance(v, int | float)))
        if self.run.folder:
            self.run.folder.mkdir(parents=True, exist_ok=True)
            if self.settings.tensorboard:
                write_events(self.run.folder, entry)
            with (self.run.folder / "metrics.jsonl").open("w") as out:  # rewritten whole: resuming repeats no line
                out.writelines(json.dumps(line) + "\n" for line in self.log)

    def _weights(self) -> dict[str, Tensor]:
        """The weights that count: the average when there is one, brought back to what callbacks allow."""
        chosen = self.ema if self.ema is not None else self.parameters
        weights = {n: t.detach().clone() for n, t in chosen.items()}
        if self.start is not None:
            torch._foreach_lerp_(list(weights.values()), list(self.start.values()), 1 - self.settings.blend)
        for callback in self.run.callbacks:
            callback.project(weights)
        return weights

    @torch.no_grad()
    def _put(self, weights: dict[str, Tensor]) -> None:
        for name, value in weights.items():
            self.parameters[name].copy_(value)

    def _finish(self) -> None:
        weights = self._weights()
        if self.settings.average_last and self.recent:
            names = self.recent[0]
            weights = {n: torch.stack([r[n] for r in self.recent]).mean(0).to(self.device) for n in names}
            for callback in self.run.callbacks:
                callback.project(weights)
        if self.settings.select == "best" and self.best is not None:
            weights = self.best
        self._put(weights)
        self.model.dropout.p = 0.0
        self.model.eval()

    def _save(self) -> None:
        assert self.run.folder is not None
        tensors = {f"model.{n}": p.detach() for n, p in self.parameters.items()}
        tensors |= optimizer_tensors(self.optimizer)
        for prefix, store in (("ema", self.ema), ("best", self.best)):
            tensors |= {f"{prefix}.{n}": t for n, t in (store or {}).items()}
        for i, weights in enumerate(self.recent):
            tensors |= {f"recent{i}.{n}": t for n, t in weights.items()}
        for i, callback in enumerate(self.run.callbacks):
            tensors |= {f"callback{i}.{n}": t for n, t in callback.tensors().items()}
        tensors["random"] = self.random.get_state()
        tensors["global_random"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["device_random"] = torch.cuda.get_rng_state(self.device)
        tensors["loss_sum"] = self.loss_sum
        values = {
            "step": self.step, "total": self.total, "settings": to_dict(self.settings), "log": self.log,
            "best_error": None if math.isinf(self.best_error) else self.best_error,
            "loss_count": self.loss_count, "seconds": self.seconds, "recent": len(self.recent),
        }  # fmt: skip
        save_state(self.run.folder / "state.safetensors", tensors, values)

    def _resume(self) -> None:
        path = None if self.run.folder is None else self.run.folder / "state.safetensors"
        if path is None or not path.exists():
            return
        tensors, values = load_state(path)
        if values["settings"] != json.loads(json.dumps(to_dict(self.settings))) or values["total"] != self.total:
            say(f"{path}: written with other settings; starting over")
            return
        say(f"{self.run.label}: resuming at step {values['step']} of {values['total']}")
        self._put({n: t.to(self.device) for n, t in part(tensors, "model").items()})
        load_optimizer(self.optimizer, tensors)
        if self.ema is not None:
            stored = part(tensors, "ema")  # comes back sorted by name; the update pairs it with the parameters in order
            self.ema = {n: stored[n].to(self.device) for n in self.parameters}
        self.best = part(tensors, "best") or None
        self.recent = [part(tensors, f"recent{i}") for i in range(values["recent"])]
        for i, callback in enumerate(self.run.callbacks):
            callback.load(part(tensors, f"callback{i}"))
        self.random.set_state(tensors["random"])
        torch.set_rng_state(tensors["global_random"])
        if "device_random" in tensors and self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["device_random"], self.device)
        self.loss_sum = tensors["loss_sum"].to(self.device)
        self.step, self.log = values["step"], values["log"]
        self.best_error = math.inf if values["best_error"] is None else values["best_error"]
        self.loss_count, self.seconds = values["loss_count"], values["seconds"]


def frozen_copy(model: Network) -> Network:
    """A teacher: the same weights, never trained."""
    twin = copy.deepcopy(model).eval()
    for parameter in twin.parameters():
        parameter.requires_grad_(False)
    return twin
