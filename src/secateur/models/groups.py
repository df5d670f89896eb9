"""What is pruned together: groups of units, declared by the layer that owns them.

A *unit* is the smallest thing that can be removed (a head, an FFN unit, a token row). A *place* is where a unit
lives in one parameter. Masking multiplies the places by zero; shrinking selects the kept rows or columns. Both read
the same declaration, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Place:
    """Where units live: along dimension `dim` of `parameter` (or of a buffer), `width` consecutive indices a unit.

    They fill the dimension, or only a part of it from index `start` on: one gate of a recurrent layer, one of several
    groups side by side. With `unit` set, the whole parameter belongs to that one unit (layers), with `start` as well
    `width` indices from there on. `masked=False` marks places that shrink removes but that need no zero while masked,
    because another place already cancels them. `reads=True` marks the consumer's side: the columns that multiply the
    unit's activation. `early=True` marks the writer of an activation that a norm over all units reads before the reader
    does: only a zero there too removes the unit from what the norm gives to the others.
    """

    parameter: str
    dim: int
    width: int = 1
    unit: int | None = None
    masked: bool = True
    reads: bool = False
    start: int | None = None
    early: bool = False


@dataclass(frozen=True)
class Group:
    """`units` interchangeable units of one kind in one place of the network.

    `blocks` > 1 says that units come in equal blocks (the dimensions of each head) that must keep equally many.
    `maskable=False` (contexts) can only be removed by shrinking. `minimum` units stay in each block.
    """

    name: str
    kind: str
    units: int
    places: tuple[Place, ...]
    blocks: int = 1
    minimum: int = 1
    maskable: bool = True


@dataclass(frozen=True)
class TimeAxis:
    """Dimension `dim` of `parameter` runs over time, in frames or in a multiple of them.

    `kernel`: an odd number of taps around the frame. `distance`: values at relative distances, 0 in the middle.
    `position`: values at absolute positions, from 0.
    """

    parameter: str
    dim: int
    kind: Literal["kernel", "distance", "position"]


@dataclass(frozen=True)
class ResidualStream:
    """A residual stream: what adds to it, and what reads it through norms.

    `writers` are linear layers, `tables` parameters (length, width). `readers` are the linear layers that read each
    norm's output. `weights` are parameters (n, width) that multiply it dimension by dimension.
    """

    writers: tuple[str, ...]
    readers: Mapping[str, tuple[str, ...]]
    tables: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()


KINDS = (
    "layer", "branch", "head", "query_key", "value", "ffn", "conv", "unit", "mel", "input", "vocabulary",
    "audio_context", "text_context", "rank",
)  # fmt: skip


def prefixed(groups: Iterable[Group], prefix: str) -> list[Group]:
    """The groups of a layer as seen from the model that holds it under `prefix`; a nameless one is named `prefix`."""
    return [
        replace(
            group,
            name=f"{prefix}.{group.name}" if group.name else prefix,
            places=tuple(replace(place, parameter=f"{prefix}.{place.parameter}") for place in group.places),
        )
        for group in groups
    ]
