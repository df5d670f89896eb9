"""Two systems on the same clips: paired bootstrap, speakers won and lost, the clips that changed most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..base.errors import SecateurError
from .bootstrap import RESAMPLES, Difference, paired_difference
from .breakdown import UNKNOWN, group_rows
from .error_rate import Metric
from .result import Result, Row


@dataclass(frozen=True)
class SpeakerChange:
    """Error rates of one speaker; of several seeds, their mean."""

    speaker: str
    a: float
    b: float
    words: int


@dataclass(frozen=True)
class ClipChange:
    """One clip that the two systems decode differently (of several seeds, the first of each)."""

    id: str
    speaker: str
    reference: str
    a: str
    b: str
    errors_a: int
    errors_b: int


@dataclass(frozen=True)
class Comparison:
    """System B against system A."""

    a: str
    b: str
    data: str
    metric: Metric
    utterances: int
    seeds: tuple[int, int]  # results pooled for A and for B
    difference: Difference
    speakers: tuple[SpeakerChange, ...]  # the most improved first
    corrected: tuple[ClipChange, ...]  # B makes fewer errors, the largest change first
    broken: tuple[ClipChange, ...]  # B makes more

    @property
    def speakers_better(self) -> int:
        """Speakers with a lower error rate in B."""
        return sum(s.b < s.a for s in self.speakers)

    @property
    def speakers_worse(self) -> int:
        """Speakers with a higher error rate in B."""
        return sum(s.b > s.a for s in self.speakers)


def compare(
    a: Sequence[Result], b: Sequence[Result], *, names: tuple[str, str] | None = None,
    resamples: int = RESAMPLES, seed: int = 0,
) -> Comparison:  # fmt: skip
    """Compare systems given as one result each, or as one a training seed: those are averaged per clip.

    Raises:
        SecateurError: a result without rows, or clips, references or metrics that are not the same.
    """
    rows = [aligned_rows(result, a[0]) for result in (*a, *b)]
    rows_a, rows_b = rows[: len(a)], rows[len(a) :]
    first = rows_a[0]
    words = [row.counts.reference for row in first]
    difference = paired_difference(
        [[row.counts.errors for row in one] for one in rows_a],
        [[row.counts.errors for row in one] for one in rows_b],
        words,
        [row.speaker for row in first],
        resamples=resamples,
        seed=seed,
    )
    changes = [
        ClipChange(x.id, x.speaker, x.reference, x.hypothesis, y.hypothesis, x.counts.errors, y.counts.errors)
        for x, y in zip(first, rows_b[0], strict=True)
    ]
    changes.sort(key=lambda c: (-abs(c.errors_b - c.errors_a), c.id))
    return Comparison(
        a=names[0] if names else a[0].model,
        b=names[1] if names else b[0].model,
        data=a[0].data,
        metric=a[0].metric,
        utterances=len(first),
        seeds=(len(a), len(b)),
        difference=difference,
        speakers=_speaker_changes(rows_a, rows_b),
        corrected=tuple(c for c in changes if c.errors_b < c.errors_a),
        broken=tuple(c for c in changes if c.errors_b > c.errors_a),
    )


def compare_results(a: Result, b: Result, names: tuple[str, str] | None = None) -> Comparison:
    """`compare` for one result each."""
    return compare([a], [b], names=names)


def aligned_rows(result: Result, like: Result) -> list[Row]:
    """The rows of `result` in the order of `like`.

    Raises:
        SecateurError: rows are missing, or clips, references or metrics are not the same.
    """
    for one in (like, result):
        if not one.rows:
            raise SecateurError(f"the result of '{one.model}' has no rows: evaluate again to compare clip by clip")
    if result.metric != like.metric:
        raise SecateurError(f"'{like.model}' was measured in {like.metric}, '{result.model}' in {result.metric}")
    if like.normalise and result.normalise and like.normalise != result.normalise:
        raise SecateurError(
            f"'{like.model}' was compared with the normalisation '{like.normalise}', '{result.model}' with "
            f"'{result.normalise}': evaluate both with the same --normalise"
        )
    by_id = {row.id: row for row in result.rows}
    expected = {row.id for row in like.rows}
    if by_id.keys() != expected:
        odd = sorted(by_id.keys() ^ expected)
        raise SecateurError(
            f"'{like.model}' and '{result.model}' did not decode the same clips: "
            f"{len(odd)} are in one only, e.g. '{odd[0]}'"
        )
    for row in like.rows:
        if by_id[row.id].reference != row.reference:
            raise SecateurError(
                f"clip '{row.id}' has another reference in '{result.model}' than in '{like.model}': "
                "the manifests or the normalisation differ; evaluate both again"
            )
    return [by_id[row.id] for row in like.rows]


def _speaker_changes(rows_a: list[list[Row]], rows_b: list[list[Row]]) -> tuple[SpeakerChange, ...]:
    def errors(systems: list[list[Row]]) -> dict[str, float]:
        sums: dict[str, float] = {}
        for rows in systems:
            for row in rows:
                name = row.speaker or UNKNOWN
                sums[name] = sums.get(name, 0.0) + row.counts.errors / len(systems)
        return sums

    sum_a, sum_b = errors(rows_a), errors(rows_b)
    changes = []
    for name, members in group_rows(rows_a[0], lambda row: row.speaker or UNKNOWN).items():
        words = sum(row.counts.reference for row in members)
        if words:
            changes.append(SpeakerChange(name, sum_a[name] / words, sum_b[name] / words, words))
    return tuple(sorted(changes, key=lambda s: (s.b - s.a, s.speaker)))
