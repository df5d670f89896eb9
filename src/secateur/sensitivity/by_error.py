"""Pruning by error: heads and units whose removal lowers the error rate are removed, without training.

Greedy: every head, and the least important shares of every group of units, is ablated one at a time on the
selection clips; the best candidates are confirmed on held-out clips by other speakers, and accepted if they help there
as well and the error on other sets does not rise. Then everything is measured again on the smaller model, until nothing
helps any more. A published model that loops or hallucinates gains most; after fine-tuning expect nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from ..base.errors import SecateurError
from ..base.progress import say
from ..data.manifest import Utterance
from ..evaluate.error_rate import compare_texts, total
from ..models.family import TextCodec
from ..models.network import Network
from ..prune.importance import CRITERIA
from ..prune.settings import ByErrorSettings
from ..prune.shrink import shrink
from .probe import Probe, ProbeSpec, probe_of
from .variants import BASELINE, Variant, of_groups


@dataclass(frozen=True)
class Removed:
    """One accepted removal, with the error rates before and after it."""

    site: str
    units: int
    selected: tuple[float, float]
    held_out: tuple[float, float]
    kept: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass
class VariantErrors:
    """Error rates of variants of one model on several sets of clips; their common computation is done once."""

    model: Network
    text: TextCodec
    sets: dict[str, list[Utterance]]
    device: torch.device
    normalise: str | None = None

    def __post_init__(self) -> None:
        self.probes = {name: self._probe(clips) for name, clips in self.sets.items()}

    def _probe(self, clips: Sequence[Utterance]) -> Probe:
        spec = ProbeSpec("", (), screen=len(clips), device=str(self.device), style="as-is")
        return probe_of(self.model.config)(self.model, self.text, list(clips), spec, self.device)

    def rates(self, name: str, variants: Sequence[Variant]) -> list[float]:
        """Error rate of every variant on one set."""
        probe = self.probes[name]
        _, texts = probe.decoded(variants)
        return [
            total(
                compare_texts(u.text, text, u.language, self.normalise).counts
                for u, text in zip(probe.utterances, row, strict=True)
            ).rate
            for row in texts
        ]

    def candidates(self, settings: ByErrorSettings) -> list[Variant]:
        """Every single head, and shares of units, those first whose removal is expected to lower the loss."""
        groups = [g for g in self.model.groups() if g.maskable and g.kind in settings.kinds]
        evidence = self.probes["select"].evidence(groups)
        scores = {g.name: CRITERIA["signed"](g, evidence) for g in groups}
        variants = of_groups(groups, scores, settings.amounts)
        limits = {g.name: g.units // g.blocks for g in groups}
        return [
            v
            for v in variants
            if (v.kind != "head" or v.amount == 1.0) and all(len(u) < limits[name] for name, u in v.ablated.items())
        ]


def remove_by_error(
    model: Network, text: TextCodec, select: Sequence[Utterance], held_out: Sequence[Utterance],
    keep: dict[str, list[Utterance]], settings: ByErrorSettings, device: torch.device, normalise: str | None = None,
    accepted_so_far: Callable[[Sequence[Removed]], None] = lambda removed: None,
) -> tuple[Network, list[Removed]]:  # fmt: skip
    """The model without the units whose removal helped, and what was removed; `accepted_so_far` is called after each.

    `select` and `held_out` share no speaker; `keep` are sets whose error may not rise by more than `settings.forget`
    over all removals together.

    Raises:
        SecateurError: sets that share speakers.
    """
    shared = ({u.speaker for u in select} & {u.speaker for u in held_out}) - {""}
    if shared:
        raise SecateurError(f"the clips to select on and those to confirm on share speakers ({min(shared)}, ...)")
    sets = {"select": list(select), "held-out": list(held_out), **keep}
    removed: list[Removed] = []
    first: dict[str, float] = {}
    while len(removed) < settings.most:
        evaluator = VariantErrors(model.to(device).eval(), text, sets, device, normalise)
        variants = evaluator.candidates(settings)
        before = {name: evaluator.rates(name, [BASELINE])[0] for name in sets}
        first = first or before
        empty = sorted(name for name, rate in before.items() if rate != rate)
        if empty:
            raise SecateurError(
                f"the clips '{empty[0]}' have no words in their transcripts: there is no error to lower"
            )
        say(f"round {len(removed) + 1}: {len(variants)} candidates; error now {_shown(before)}")
        rates = evaluator.rates("select", variants)
        best = sorted(range(len(variants)), key=lambda i: rates[i])[: settings.tried]
        best = [i for i in best if rates[i] < before["select"]]
        accepted = _accepted(evaluator, [variants[i] for i in best], before, first, settings)
        if accepted is None:
            say("no further removal helps on held-out clips")
            break
        variant, after = accepted
        chosen = next(i for i in best if variants[i] is variant)
        removed.append(
            Removed(
                variant.site,
                sum(map(len, variant.ablated.values())),
                (before["select"], rates[chosen]),
                (before["held-out"], after["held-out"]),
                {name: (before[name], after[name]) for name in keep},
            )
        )
        accepted_so_far(removed)
        say(f"removed {variant.name}: error now {_shown(after)}")
        model = without(model, variant)
    return model, removed


def _accepted(
    evaluator: VariantErrors,
    variants: Sequence[Variant],
    before: dict[str, float],
    first: dict[str, float],
    settings: ByErrorSettings,
) -> tuple[Variant, dict[str, float]] | None:
    """The candidate that helps most on held-out clips, by at least `gain`, and that raises no other set's error."""
    if not variants:
        return None
    rates = {name: evaluator.rates(name, variants) for name in evaluator.sets if name != "select"}
    for i in sorted(range(len(variants)), key=lambda i: rates["held-out"][i]):
        if before["held-out"] - rates["held-out"][i] < settings.gain / 100:
            return None
        keep = [name for name in rates if name != "held-out"]
        if all(rates[name][i] - first[name] <= settings.forget / 100 for name in keep):
            return variants[i], {name: values[i] for name, values in rates.items()}
    return None


def without(model: Network, variant: Variant) -> Network:
    """A copy of the model without the units of a variant."""
    groups = {g.name: g for g in model.groups()}
    return shrink(
        model, {name: sorted(set(range(groups[name].units)) - set(units)) for name, units in variant.ablated.items()}
    ).eval()


def _shown(rates: dict[str, float]) -> str:
    return ", ".join(f"{name} {100 * rate:.2f} %" for name, rate in rates.items())
