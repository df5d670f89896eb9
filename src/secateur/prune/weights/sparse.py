"""Unstructured pruning while training: masks over the encoder's and decoder's matrices."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...base.errors import SecateurError, check_known, nearest
from ..method import Method
from ..schedule import SCHEDULES
from ..settings import PruneSettings
from ..shrink import Net
from .inputs import InputCollector, squares
from .scores import WEIGHT_CRITERIA, WeightEvidence
from .threshold import lowest, lowest_of_all, lowest_of_groups, lowest_of_rows, matrices, parse_pattern


class SparseMethod(Method[Net]):
    """Zeroes `settings.remove` of all weights of the matrices, or by name pattern the shares of `settings.amounts`.

    Matrices are those of linear, convolution and recurrent layers; embeddings, positions, norms and biases are neither
    counted nor touched. `scope` says where weights compete: "global" (all matrices), "layer" (each matrix), "row" (each
    output); with `amounts` each matrix loses its own share. An N:M `pattern` replaces scope and shares, and `amounts`
    then only names the matrices. Removed weights stay removed.

    Raises:
        SecateurError: an unknown criterion, schedule or pattern, or a name pattern that matches no matrix.
    """

    reads = frozenset({"criterion", "schedule", "scope", "pattern", "every"})
    frozen = True  # masked weights stay zero between events

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        self.pattern = parse_pattern(settings.pattern) if settings.pattern else None
        prunable = {name: p for name, p in matrices(model) if p.requires_grad}
        self.shares = _shares(list(prunable), settings)
        self.weights = {name: prunable[name] for name in self.shares}
        self.criterion = WEIGHT_CRITERIA.find(settings.criterion)
        self.total = sum(p.numel() for p in prunable.values())
        self.sums: dict[str, Tensor] = {}
        self.inputs = self.collector()

    @classmethod
    def check(cls, settings: PruneSettings) -> None:
        check_known("criterion for single weights", settings.criterion, WEIGHT_CRITERIA)
        check_known("schedule", settings.schedule, SCHEDULES)
        if settings.pattern:
            parse_pattern(settings.pattern)
        elif not settings.amounts and settings.remove is None:
            raise SecateurError("remove must be set where there is neither a pattern nor amounts")

    def collector(self) -> InputCollector | None:
        """The collector of the matrices' inputs, when the criterion needs them."""
        return InputCollector(self.model, self.weights, squares) if self.criterion.needs_inputs else None

    def collects_inputs(self, step: int, total: int) -> bool:
        """Whether the inputs of this step count."""
        return not self.done

    def span(self, total: int) -> tuple[int, int]:
        begin = max(round(self.settings.begin * total), 1)
        return begin, max(round(self.settings.end * total), begin)

    def before_forward(self, step: int, total: int) -> None:
        if self.inputs is not None and self.collects_inputs(step, total):
            self.inputs.start()

    @torch.no_grad()
    def after_backward(self, step: int, total: int) -> None:
        if self.inputs is not None:
            self.inputs.stop()
        term, decay = self.criterion.term, self.criterion.decay
        if self.done or term is None:
            return
        gradients = {n: p.grad for n, p in self.weights.items() if p.grad is not None}
        fresh = term(list(gradients.values()), [self.weights[n] for n in gradients])
        for name, value in zip(gradients, fresh, strict=True):
            self.sums[name] = value if name not in self.sums else self.sums[name].mul_(decay).add_(value)

    def evidence(self, name: str) -> WeightEvidence:
        """The evidence about one matrix; zeros where it has had no gradient yet."""
        no_gradient_yet = torch.zeros_like(self.weights[name])
        sums = None if self.criterion.term is None else self.sums.get(name, no_gradient_yet)
        if self.inputs is None or name not in self.inputs.sums:
            return WeightEvidence(name, sums, seed=self.settings.seed)
        sizes = (self.inputs.sums[name] / self.inputs.steps).sqrt()
        groups = getattr(self.inputs.layers[name], "groups", 1)
        return WeightEvidence(name, sums, sizes, groups, self.settings.seed)

    def scores(self) -> dict[str, Tensor]:
        """Scores of all weights; removed ones score below all others."""
        ranked = {n: self.criterion(p.detach().float(), self.evidence(n)) for n, p in self.weights.items()}
        if self.frozen:
            for name, mask in self.masks.items():
                ranked[name] = ranked[name].masked_fill(mask == 0, -torch.inf)
        return ranked

    def share_at(self, final: float, progress: float) -> float:
        """The share that is removed at `progress` (0 to 1) towards the `final` share."""
        return final * progress

    @torch.no_grad()
    def prune_to(self, progress: float) -> None:
        """Choose anew what is zero, `progress` of the final amount."""
        scores = self.scores()
        now = {name: self.share_at(share, progress) for name, share in self.shares.items()}
        if self.pattern is not None:
            removed = {n: lowest_of_groups(s, *self.pattern, share=progress) for n, s in scores.items()}
        elif self.settings.scope == "global" and not self.settings.amounts:
            removed = lowest_of_all(scores, next(iter(now.values())))
        elif self.settings.scope == "row":
            removed = {n: lowest_of_rows(s, now[n]) for n, s in scores.items()}
        else:
            removed = {n: lowest(s, round(now[n] * s.numel())) for n, s in scores.items()}
        self.adopt(removed)

    def adopt(self, removed: Mapping[str, Tensor]) -> None:
        """Mask the weights that are True in `removed`, from now on."""
        self.masks = {n: (~g).to(self.weights[n].dtype) for n, g in removed.items()}

    def after_step(self, step: int, total: int) -> None:
        time = self.event_time(step, total)
        if time is not None:
            self.event(time)
            if time == 1.0 or self.settings.schedule == "one-shot":
                self.finish()

    def event(self, time: float) -> None:
        """What happens every so many steps, at `time` (0 to 1) through the span."""
        self.prune_to(SCHEDULES[self.settings.schedule](time))

    def finish(self) -> None:
        """End pruning; the rest of the training recovers."""
        self.done = True
        self.sums = {}
        if self.inputs is not None:
            self.inputs.reset()

    def project(self, parameters: dict[str, Tensor]) -> None:
        trained = any(parameters.get(n) is self.weights[n] for n in self.masks)
        if self.frozen or self.done or not trained:  # averages and results never keep what is masked
            super().project(parameters)

    def metrics(self) -> dict[str, float]:
        zeros = sum(m.numel() - int(m.count_nonzero()) for m in self.masks.values())
        return {"kept": 1 - zeros / self.total}

    def tensors(self) -> dict[str, Tensor]:
        state = {f"mask.{n}": m.bool() for n, m in self.masks.items()}
        state |= {f"sum.{n}": t for n, t in self.sums.items()} | {"done": torch.tensor(int(self.done))}
        return state if self.inputs is None else state | self.inputs.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        device = next(iter(self.weights.values())).device
        kept = {n.removeprefix("mask."): t for n, t in tensors.items() if n.startswith("mask.")}
        self.masks = {n: kept[n].to(device, p.dtype) for n, p in self.weights.items() if n in kept}
        self.sums = {n.removeprefix("sum."): t.to(device) for n, t in tensors.items() if n.startswith("sum.")}
        self.done = bool(tensors["done"])
        if self.inputs is not None:
            self.inputs.load(tensors, device)

    @torch.no_grad()
    def shrunk(self) -> Net:
        """The network with its zeros: the matrices keep their shape, and stock runtimes gain no time from them."""
        for name, mask in self.masks.items():
            self.weights[name].mul_(mask)
        return self.model


class Parp(SparseMethod[Net]):
    """Prune, adjust, re-prune: between events masked weights learn and may come back (Lai et al. 2021,
    arXiv 2106.05933). Averages and validated weights are masked all along; after the last event so is the network."""

    frozen = False

    @torch.no_grad()
    def adopt(self, removed: Mapping[str, Tensor]) -> None:
        super().adopt(removed)
        for name, mask in self.masks.items():  # zeroed now; they may grow again until the next event
            self.weights[name].mul_(mask)


def _shares(names: Sequence[str], settings: PruneSettings) -> dict[str, float]:
    """What share each matrix loses."""
    if not settings.amounts:
        return dict.fromkeys(names, settings.remove or 0.0)
    shares: dict[str, float] = {}
    for pattern, amount in settings.amounts.items():
        matches = [n for n in names if fnmatch.fnmatchcase(n, pattern)]
        if not matches:
            raise SecateurError(f"no weight matrix matches '{pattern}'{nearest(pattern, names)}")
        shares |= dict.fromkeys(matches, amount)
    return shares
