"""Where the errors are: the same rows grouped by speaker, by length, or by anything the manifest says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from ..base.errors import SecateurError, nearest
from .error_rate import Counts, total
from .result import EVIDENCE, Row

LENGTHS = (2.0, 4.0, 8.0, 15.0)  # seconds
UNKNOWN = "not given"


@dataclass(frozen=True)
class Slice:
    """The clips of one group."""

    name: str
    counts: Counts
    utterances: int
    speakers: int
    seconds: float


def group_rows(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Rows by `key`, groups in the order of first appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def breakdown(rows: Iterable[Row], key: Callable[[Row], str]) -> list[Slice]:
    """One slice a group, in the order of first appearance."""
    return [
        Slice(
            name,
            total(row.counts for row in members),
            len(members),
            len({row.speaker for row in members if row.speaker}),
            sum(row.seconds for row in members),
        )
        for name, members in group_rows(rows, key).items()
    ]


def by_speaker(rows: Iterable[Row]) -> list[Slice]:
    """Speakers, the one with the highest error rate first (those without reference words last)."""
    slices = breakdown(rows, lambda row: row.speaker or UNKNOWN)
    return sorted(slices, key=lambda s: (-(s.counts.rate if s.counts.reference else -1.0), s.name))


def by_length(rows: Iterable[Row], edges: tuple[float, ...] = LENGTHS) -> list[Slice]:
    """Buckets of clip length in seconds, short first; a clip on an edge belongs to the longer bucket."""
    names = [f"under {edges[0]:g} s", *(f"{a:g} to {b:g} s" for a, b in pairwise(edges)), f"{edges[-1]:g} s and more"]
    slices = breakdown(rows, lambda row: names[sum(row.seconds >= edge for edge in edges)])
    return sorted(slices, key=lambda s: names.index(s.name))


def extra_names(rows: Iterable[Row], most: int = 24) -> list[str]:
    """Manifest extras worth a breakdown: with at least two and at most `most` different groups."""
    values_of: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.extras.items():
            if name in EVIDENCE:
                continue
            values_of.setdefault(name, set()).add(label(value))
    return sorted(name for name, values in values_of.items() if 2 <= len(values) <= most)


def by_extra(rows: Iterable[Row], name: str) -> list[Slice]:
    """Groups of one manifest extra; numbers (ages) are grouped by tens, clips without it are `not given`.

    Raises:
        SecateurError: no clip has it; the message names the nearest one that exists.
    """
    rows = list(rows)
    check_extra(name, {key for row in rows for key in row.extras} - set(EVIDENCE))
    slices = breakdown(rows, lambda row: label(row.extras.get(name)))
    return sorted(slices, key=lambda s: _natural(s.name))


def check_extra(name: str, known: Collection[str]) -> None:
    """Refuse a breakdown by `name` where only `known` extras are.

    Raises:
        SecateurError: naming the nearest one.
    """
    if name not in known:
        existing = f"; there are: {', '.join(sorted(known))}" if known else "; there are none"
        raise SecateurError(f"no clip has an extra '{name}'{nearest(name, known)}{existing}")


def label(value: object) -> str:
    """The group a value falls into.

    >>> label(34), label("female"), label(None)
    ('30-39', 'female', 'not given')
    """
    if value in (None, ""):
        return UNKNOWN
    if isinstance(value, int | float) and not isinstance(value, bool):
        low = int(value // 10 * 10)
        return f"{low}-{low + 9}"
    return str(value)


def _natural(name: str) -> tuple[bool, float, str]:
    """Numbers in their order before words; `not given` last."""
    first = name.split("-")[0]
    return name == UNKNOWN, float(first) if first.isdecimal() else float("inf"), name
