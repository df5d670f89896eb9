"""What a look at a model gives: what may go, what stays whole and why. Without torch, for Keras models too."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..base.locale import translated
from .groups import Place

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Prunable:
    """Groups of one kind whose names differ only in layer numbers."""

    name: str  # layer numbers as *
    kind: str
    groups: int
    units: int  # of all these groups together
    parameters: int  # that live in these units
    layers: tuple[str, ...] = ()  # whose units go together, where they are of several
    removed: int = 0  # units that a plan removes


@dataclass(frozen=True)
class Ungrouped:
    """Parameters whose names differ only in layer numbers, in which nothing may go."""

    name: str
    tensors: int
    parameters: int
    why: str


@dataclass(frozen=True)
class Findings:
    """The doctor's report; `problem` says why nothing at all can be pruned, where that is so."""

    model: str
    family: str  # ours, or the foreign `model_type`
    parameters: int
    prunable: tuple[Prunable, ...] = ()
    whole: tuple[Ungrouped, ...] = ()
    problem: str = ""

    def __str__(self) -> str:
        """What may go, then what may not, a line each."""
        total = self.parameters
        lines = [translated(f"{self.model}: family {self.family}, {total:,} values")]
        if self.problem:
            lines += [translated("nothing can be pruned:"), "  " + translated(self.problem)]
        if self.prunable:
            lines.append(translated("may go:"))
        for one in self.prunable:
            share = 100 * one.parameters / max(total, 1)
            units = translated(f"units ({one.kind}) in {one.groups} group(s)")
            plan = translated(f", {one.removed} would go") if any(other.removed for other in self.prunable) else ""
            lines.append(f"  {one.name:58} {one.units:7} {units}, {share:.1f} %{plan}")
            if len(one.layers) > 1:
                lines.append("    " + translated(f"together: {', '.join(one.layers)}"))
        if self.whole:
            lines.append(translated("what is in it:" if self.problem else "stays whole:"))
        for why in dict.fromkeys(one.why for one in self.whole):
            some = [one for one in self.whole if one.why == why]
            lines.append("  " + translated(f"{sum(one.parameters for one in some):,} values: {why}"))
            for part in some:
                lines.append(f"    {part.name} ({translated(f'{part.parameters:,} in {part.tensors} tensor(s)')})")
        return "\n".join(lines)


def values_in(place: Place, units: int, shape: Shape) -> int:
    """Values of a parameter of `shape` that belong to the units."""
    if place.unit is not None and place.start is None:
        return prod(shape)
    lines = place.width * (units if place.unit is None else 1)
    return prod(shape) // shape[place.dim] * lines
