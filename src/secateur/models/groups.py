"""What may go together: a group of units, declared by the layer that owns them.

A *unit* is the smallest thing that can be removed (a head, an FFN unit, a token row). A *place* is where a unit
lives in one parameter. Masking multiplies the places by zero; shrinking selects the kept rows or columns. Both read
the same declaration, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Units along dimension `dim` of `parameter`, `width` consecutive indices a unit.

    With `unit` set, the whole parameter belongs to that one unit (layers). `masked=False` marks places that shrink
    removes but that need no zero while masked, because another place already cancels them. `reads=True` marks the
    consumer's side: the columns that multiply the unit's activation.
    """

    parameter: str
    dim: int
    width: int = 1
    unit: int | None = None
    masked: bool = True
    reads: bool = False


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


KINDS = ("layer", "head", "query_key", "value", "ffn", "conv", "mel", "vocabulary", "audio_context", "text_context")


def prefixed(groups: Iterable[Group], prefix: str) -> list[Group]:
    """The groups of a layer as seen from the model that holds it under `prefix`."""
    return [
        Group(
            f"{prefix}.{g.name}", g.kind, g.units,
            tuple(Place(f"{prefix}.{p.parameter}", p.dim, p.width, p.unit, p.masked, p.reads) for p in g.places),
            g.blocks, g.minimum, g.maskable,
        )
        for g in groups
    ]  # fmt: skip
