"""Known checkpoints of all families: what they are and where they can be had (no torch here)."""

from __future__ import annotations

from functools import cache

from ..models.family import Published, families


@cache
def known_models() -> dict[str, Published]:
    """Published checkpoints by name, in the order in which families list them."""
    return {name: model for family in families() for name, model in family.published().items()}
