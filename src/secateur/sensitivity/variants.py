"""Variants of a model, each with one site ablated by some amount, as plain data that any worker can apply; and the
sites of merged frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..models.frame_merging import MergingConfig
from ..models.groups import Group
from ..prune.budget import removals

M = TypeVar("M", bound=MergingConfig)
SINGLE = ("head", "layer", "branch", "mel", "input")  # kinds whose units are also ablated one at a time
SHARED = ("head", "query_key", "value", "ffn", "conv", "unit", "mel", "input")  # kinds of which a share is ablated
BRANCHES = {
    "attention": "self-attention", "self_attention": "self-attention", "cross_attention": "cross-attention",
    "ffn": "FFN", "ffn1": "FFN 1", "ffn2": "FFN 2", "conv": "convolution", "self_attn": "self-attention",
    "feed_forward": "FFN", "feed_forward1": "FFN 1", "feed_forward2": "FFN 2", "conv_module": "convolution",
}  # fmt: skip
FACTORS = {"all": 2.0, "similar": 1.5}  # which frames, and how many become one


@dataclass(frozen=True)
class Variant:
    """One site at one amount; see `prune.sensitivity_map.Measured`. `silenced` are modules whose output becomes
    zero."""

    site: str
    kind: str
    layer: str
    part: str
    amount: float
    ablated: dict[str, tuple[int, ...]] = field(default_factory=dict)
    silenced: tuple[str, ...] = ()
    change: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Unique among a model's variants."""
        return f"{self.site}@{self.amount:g}"


BASELINE = Variant("nothing", "nothing", "", "", 0.0)  # the model as it is


def of_groups(groups: Sequence[Group], scores: Mapping[str, Tensor], amounts: Sequence[float]) -> list[Variant]:
    """Every unit of small groups alone, and of every group the least important `amounts` by `scores` (units,)."""
    variants = []
    for group in groups:
        layer, part = row_and_column(group.name)
        if group.kind in SINGLE and group.units > 1:
            variants += [
                Variant(
                    f"{group.name}[{u}]",
                    group.kind,
                    *_row_and_column_of_unit(group, u, layer, part),
                    1.0,
                    {group.name: (u,)},
                )
                for u in range(group.units)
            ]
        if group.kind in SHARED and group.maskable:
            steps = removals(group, scores[group.name])
            for count in sorted({min(max(round(a * group.units / group.blocks), 1), len(steps)) for a in amounts}):
                units = sorted(u for step in steps[:count] for u in step.units)
                if units and (count > 1 or group.kind not in SINGLE):
                    share = round(len(units) / group.units, 4)
                    variants.append(Variant(group.name, group.kind, layer, part, share, {group.name: tuple(units)}))
    return variants


def of_branches(model: nn.Module) -> list[Variant]:
    """Every whole branch of every layer: attention, feed-forward, convolution."""
    variants = []
    for name, _ in model.named_modules():
        parent, _, last = name.rpartition(".")
        if last in BRANCHES and parent.rpartition(".")[2].isdigit() and ".layers." in f".{parent}":
            layer, _ = row_and_column(f"{parent}.x")
            variants.append(Variant(name, "branch", layer, f"whole {BRANCHES[last]}", 1.0, silenced=(name,)))
    return variants


def row_and_column(name: str) -> tuple[str, str]:
    """Row and column of a group in the heat map.

    >>> place_of("encoder.layers.0.attention.heads"), place_of("decoder.layers.3.cross_attention.value")
    (('encoder 0', 'heads'), ('decoder 3', 'cross value'))
    >>> place_of("encoder.mel"), place_of("inception.blocks.1.branches.2.convs.0")
    (('input', 'mel'), ('inception 1', 'branch 2 conv 0'))
    """
    words = name.split(".")
    if words[-1] in ("mel", "input", "positions"):
        return "input", words[-1]
    number = next((i for i, word in enumerate(words) if word.isdigit()), None)
    if number is None:
        return (words[0], " ".join(words[1:])) if len(words) > 1 else (words[0], words[0])
    names = [
        w.removesuffix("es") if w == "branches" else w.removesuffix("s") if w == "convs" else w
        for w in words[number + 1 :]
    ]
    text = (
        " ".join(names).replace("cross_attention ", "cross ").replace("self_attention ", "").replace("attention ", "")
    )
    return f"{words[0]} {words[number]}", text or "channels"


def _row_and_column_of_unit(group: Group, unit: int, layer: str, part: str) -> tuple[str, str]:
    """Row and column of one unit: a layer has its own row."""
    if group.kind == "layer":
        return f"{group.name.split('.')[0]} {unit}", "whole layer"
    return layer, {"head": "one head", "branch": "one branch"}.get(group.kind, "one " + part)


def zeroed(vector: Tensor, units: Sequence[int]) -> Tensor:
    """`vector` with zeros at `units`."""
    vector = vector.clone()
    vector[torch.tensor(list(units), dtype=torch.long)] = 0.0
    return vector


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


def merging_config(config: M, change: dict[str, float]) -> M:
    """The config that merges frames as a variant's change of the input says."""
    factors = [1.0] * (len(config.merge_layers) + 1)
    factors[int(change["merge_after"])] = change.get("similar", change.get("all", 1.0))
    return config.merging(tuple(factors), "similar" if "similar" in change else "mean")
