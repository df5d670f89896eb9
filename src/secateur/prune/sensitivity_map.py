"""The map of what matters: for every site and amount the signed change in error and loss, as one JSON file.

A *site* is something that can be ablated: one head, some units of a group, a whole layer or branch, a mel bin,
half of the frame rate. A negative change means that the model is better without it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError, nearest
from ..base.files import Json, read_json, write_json
from ..base.options import Settings, from_dict, option, to_dict

FORMAT = "secateur-sensitivity-1"
ABLATED = "gone"  # the key of `Measured.ablated` in files
LEVEL = 0.05  # adjusted p values below it are claims


MOST_UNITS = 10**7
ERROR_NATS = 5.0  # nats a token per unit of error rate: 2 points of error count as 0.1 nats


@dataclass(frozen=True)
class SensitivitySettings(Settings):
    """Which sites are tried, at which amounts, and how many are decoded."""

    amounts: tuple[float, ...] = option(
        (0.1, 0.25, 0.5), "Remove these shares of each group.", unit="share", above=0, below=1
    )
    sites: str = option("", "Measure only sites, kinds or layers that match these patterns, such as 'encoder*,ffn'.")
    criterion: str = option(
        "taylor",
        "Rank the units of a group by this criterion; the lowest go first.",
        choices="secateur.prune.importance:CRITERIA",
    )
    decode: int = option(20, "Measure this many last removals on all clips, and decode them.", unit="removals", least=0)


@dataclass(frozen=True)
class Effect:
    """A change against the model as it is, with its paired 95 % bootstrap interval by speaker.

    Of the error rate as a fraction (0.01 is one point), of the loss in nats a token (or CTC unit) of the transcripts.
    """

    delta: float
    low: float
    high: float
    p: float  # two-sided, of this comparison alone
    adjusted: float  # Holm's correction over all comparisons of the same kind in the map
    clips: int  # that it was measured on: fewer than the map's where screening on some of them sufficed

    @property
    def certain(self) -> bool:
        """Whether it is significant after correction for all comparisons."""
        return self.adjusted < LEVEL


@dataclass(frozen=True)
class Measured:
    """One site at one amount.

    `ablated` maps groups of the model (see `Group.name`) to the ablated units, as spans: "0-5 9". `change` is a change
    of the input instead: `sample_rate` in Hz (band limit), `frame_rate` in Hz, `audio_seconds`; or frames merged after
    the stage `merge_after` (0: before all encoder layers), by the factor `all` or `similar`.
    """

    site: str  # "encoder.layers.0.attention.heads[3]", "encoder.layers.0.ffn", "sample_rate"
    kind: str  # of the group, or "branch", "deltas", "sample_rate", "frame_rate", "merge"
    layer: str  # row of the heat map: "encoder 0", "input", "vocabulary"
    part: str  # column of the heat map: "heads", "ffn", "cross heads"
    amount: float  # share of the site that was ablated, above 0 to 1
    ablated: dict[str, str] = field(default_factory=dict)
    change: dict[str, float] = field(default_factory=dict)
    parameters: float = 0.0  # share of the model's parameters that it has
    macs: float = 0.0  # share of its multiply-accumulates, for the mean clip
    loss: Effect | None = None  # None: not measured
    error: Effect | None = None  # None: not decoded, because its loss was neither among the best nor the worst

    @property
    def name(self) -> str:
        """Unique in its map."""
        return f"{self.site}@{self.amount:g}"

    def removed(self) -> dict[str, list[int]]:
        """The ablated units, by group, sorted."""
        return {group: numbers(text) for group, text in self.ablated.items()}


@dataclass(frozen=True)
class SensitivityMap:
    """All sites of one model on one set of clips, those whose removal helps first."""

    model: str
    data: str
    language: str
    metric: str  # "wer" or "cer"
    utterances: int
    speakers: int
    error: float  # of the model as it is, a fraction
    loss: float  # of the model as it is, nats a token
    criterion: str  # which units of a group go first
    groups: dict[str, int]  # units of every group of the model
    sites: tuple[Measured, ...]
    settings: Json = field(default_factory=dict)
    seconds: float = 0.0  # computing time, all engines' workers together


def signed_change(site: Measured) -> float:
    """What a site is ordered by: its change of the error where it was decoded, else of the loss."""
    effect = site.error or site.loss
    return effect.delta if effect is not None else float("inf")


def ordered(sites: Iterable[Measured]) -> tuple[Measured, ...]:
    """Decoded sites that lower the error first (certain ones before the others) or leave it, then what was not decoded
    by its loss, then decoded sites that raise the error; within each the most helpful first."""

    def key(site: Measured) -> tuple[int, float, float]:
        change, loss = signed_change(site), 0.0 if site.loss is None else site.loss.delta
        if site.error is None:
            return 2, change, loss
        if change > 0:
            return 3, change, loss
        return (0 if site.error.certain else 1), change, loss

    return tuple(sorted(sites, key=key))


def write_map(path: str | Path, sensitivities: SensitivityMap) -> None:
    """Write a map as JSON, atomically."""
    values = to_dict(sensitivities)
    values["sites"] = [renamed(site, "ablated", ABLATED) for site in values["sites"]]
    write_json(path, {"format": FORMAT, **values}, indent=1)


def read_map(path: str | Path) -> SensitivityMap:
    """A map that `secateur sensitivity` wrote; a folder stands for the `map.json` in it.

    Raises:
        SecateurError: missing, damaged, or no such file.
    """
    path = Path(path)
    path = path / "map.json" if path.is_dir() else path
    values = read_json(path)
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise SecateurError(f"{path}: not a sensitivity map; `secateur sensitivity MODEL --data dev.jsonl` writes one")
    sites = values.get("sites")
    if isinstance(sites, list):
        values["sites"] = [renamed(s, ABLATED, "ablated") if isinstance(s, dict) else s for s in sites]
    return from_dict(SensitivityMap, values, str(path))


def renamed(values: Json, old: str, new: str) -> Json:
    """`values` with the key `old` called `new`, in the same place."""
    return {new if key == old else key: value for key, value in values.items()}


class Named(Protocol):
    """A site to measure."""

    @property
    def site(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def layer(self) -> str: ...
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


def matching(variants: Sequence[T], pattern: str) -> list[T]:
    """The variants whose site, kind or row matches one of the comma-separated patterns; all without a pattern.

    Raises:
        SecateurError: a pattern that matches nothing, with the nearest site.
    """
    if not pattern:
        return list(variants)
    chosen: dict[str, T] = {}
    for name in filter(None, (p.strip() for p in pattern.split(","))):
        # A bracket in a site's name is meant as it stands.
        glob = name.replace("[", "[[]")
        matches = [v for v in variants if v.kind == name or v.layer == name or fnmatch.fnmatchcase(v.site, glob)]
        if not matches:
            known = sorted({x for v in variants for x in (v.site, v.kind, v.layer)})
            raise SecateurError(f"no site matches '{name}'{nearest(name, known)}")
        chosen |= {v.name: v for v in matches}
    return [v for v in variants if v.name in chosen]


def spans(units: Iterable[int]) -> str:
    """Unit numbers as text.

    >>> spans([9, 0, 1, 2])
    '0-2 9'
    """
    parts: list[list[int]] = []
    for unit in sorted(units):
        if parts and parts[-1][1] == unit - 1:
            parts[-1][1] = unit
        else:
            parts.append([unit, unit])
    return " ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in parts)


def numbers(text: str) -> list[int]:
    """The unit numbers that `spans` wrote.

    >>> numbers("0-2 9")
    [0, 1, 2, 9]

    Raises:
        SecateurError: not spans.
    """
    units: list[int] = []
    for part in text.split():
        first, _, last = part.partition("-")
        plain = all(re.fullmatch(r"[0-9]{1,7}", end) for end in (first, last or first))  # no layer has ten million
        if not plain or len(units) > MOST_UNITS:
            raise SecateurError(f"'{text}' are not unit numbers: expected spans such as '0-5 9'")
        units += range(int(first), int(last or first) + 1)
    return units


def unit_scores(sensitivities: SensitivityMap, group: str, units: int) -> NDArray[np.float32]:
    """Signed scores (units,): the measured change of a unit alone, else its share of the change of the units ablated
    with it.

    Shares of a group (its first tenth, its first quarter, ...) are nested: the units that a larger one adds share what
    it adds. A change is that of the loss; where a removal was decoded, the mean of it and of the error's change in
    nats. Units that were never ablated score above all of the group that were.

    Raises:
        SecateurError: the map is of a model without this group, or with other units in it.
    """
    if sensitivities.groups.get(group) != units:
        expected = sensitivities.groups.get(group)
        raise SecateurError(
            f"the sensitivity map is of another model: its '{group}' has {expected or 'no'} units, this one {units}"
        )
    of_group = [s for s in sensitivities.sites if set(s.ablated) == {group} and s.loss is not None and not s.change]
    scores = np.full(units, np.nan, np.float32)
    shares = sorted((s for s in of_group if s.amount < 1 or len(s.removed()[group]) > 1), key=lambda s: s.amount)
    before, earlier = 0.0, set[int]()
    for site in shares:
        added = sorted(set(site.removed()[group]) - earlier)
        if added:
            scores[added] = (_nats(site) - before) / len(added)
            before, earlier = _nats(site), earlier | set(added)
    for site in of_group:
        removed = site.removed()[group]
        if len(removed) == 1:
            scores[removed[0]] = _nats(site)
    measured = scores[~np.isnan(scores)]
    highest = max(float(measured.max()), 0.0) if len(measured) else 0.0
    # Slightly higher, so that measured units go first even where no ablation raised the loss.
    scores[np.isnan(scores)] = 2 * highest + 1e-3
    return scores


def _nats(site: Measured) -> float:
    assert site.loss is not None
    if site.error is None:
        return site.loss.delta
    return (site.loss.delta + ERROR_NATS * site.error.delta) / 2
