"""Sites of frames that are merged inside an encoder."""

from __future__ import annotations

from typing import Any

from ..models.frame_merging import MergingConfig
from .variants import Variant, row_and_column

FACTORS = {"all": 2.0, "similar": 1.5}  # which frames, and how many become one


def merge_variants(config: object) -> list[Variant]:
    """Frames merged after each encoder layer, before all of them too: every pair, or a third, the most similar ones.

    None for a family that cannot merge frames, a model that does already, and for what its layers cannot do.
    """
    if not isinstance(config, MergingConfig) or config.frame_merging or not config.merge_layers:
        return []
    variants, layers = [], config.merge_layers
    for kind, factor in FACTORS.items():
        for stage in range(len(layers) + 1):
            change = {"merge_after": float(stage), kind: factor}
            try:
                merging_config(config, change)
            except ValueError:
                continue
            site = f"{layers[stage - 1]}.frames" if stage else "input.frames"
            row = row_and_column(site)[0] if stage else "input"
            variants.append(
                Variant(
                    site, "merge", row, f"{kind} frames merged", round(1 - 1 / factor, 3),
                    change=change,
                )
            )  # fmt: skip
    return variants


def merging_config(config: Any, change: dict[str, float]) -> Any:
    """The config that merges frames as a variant's change of the input says."""
    factors = [1.0] * (len(config.merge_layers) + 1)
    factors[int(change["merge_after"])] = change.get("similar", change.get("all", 1.0))
    return config.merging(tuple(factors), "similar" if "similar" in change else "mean")
