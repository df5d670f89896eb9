"""Tables of real use: one model's conditions against its clean clips, and one model against another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..base.errors import SecateurError
from .bootstrap import Difference, paired_difference, rate_interval
from .error_rate import total
from .result import Result

NONSPEECH, TIMESTAMPS = "nonspeech", "timestamps"


@dataclass(frozen=True)
class Line:
    """One condition of one model. `value` is an error rate; of non-speech the share of recordings with text, of
    timestamps the median distance (s) from the true joints. `change` is against the same clips as they are."""

    name: str
    clips: int
    value: float
    low: float
    high: float
    unit: str  # "rate", "share" or "s"
    change: Difference | None = None
    loops: float = 0.0  # share of recordings
    words_a_minute: float | None = None  # of non-speech: invented


def lines(results: Mapping[str, Result], resamples: int = 2000) -> list[Line]:
    """The table of one model's results."""
    clean = results.get("clean")
    return [_line(name, result, clean, resamples) for name, result in results.items()]


def _line(name: str, result: Result, clean: Result | None, resamples: int) -> Line:
    rows = result.rows
    looped = sum("loop" in row.extras for row in rows) / len(rows)
    if name == NONSPEECH:
        texts = [float(bool(row.hypothesis)) for row in rows]
        low, high = rate_interval(texts, [1.0] * len(rows), [row.speaker for row in rows], resamples=resamples)
        minutes = sum(row.seconds for row in rows) / 60
        invented = sum(row.counts.insertions for row in rows) / max(minutes, 1e-9)
        return Line(name, len(rows), sum(texts) / len(rows), low, high, "share", None, looped, invented)
    if name == TIMESTAMPS:
        errors = [e for row in rows for e in row.extras["joints"]]
        random = np.random.default_rng(0)
        drawn = [
            np.median(np.concatenate([rows[i].extras["joints"] for i in random.integers(len(rows), size=len(rows))]))
            for _ in range(200)
        ]
        low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
        return Line(name, len(rows), float(np.median(errors)), low, high, "s", _change(result, clean), looped)
    low, high = result.interval
    change = None if name == "clean" else _change(result, clean)
    return Line(name, len(rows), result.rate, low, high, "rate", change, looped)


def _change(result: Result, clean: Result | None) -> Difference | None:
    """Against the same clips as they are, each recording against all the clips that it is made of."""
    if clean is None:
        return None
    single = {row.id: row for row in clean.rows}
    pairs = []
    for row in result.rows:
        parts = [single[one] for one in row.extras.get("of", [row.id]) if one in single]
        if parts:
            pairs.append((total(part.counts for part in parts), row))
    if not pairs or not sum(row.counts.reference for _, row in pairs):
        return None
    return paired_difference(
        [before.errors for before, _ in pairs],
        [row.counts.errors for _, row in pairs],
        [row.counts.reference for _, row in pairs],
        [row.speaker for _, row in pairs],
        resamples=2000,
    )


@dataclass(frozen=True)
class Change:
    """One condition of system B against system A on the same recordings; a share of clips for non-speech."""

    name: str
    a: float
    b: float
    low: float  # of b - a
    high: float
    no_worse: float  # share of recordings in which B has no more errors than A (quality of inference)
    unit: str

    @property
    def delta(self) -> float:
        """B minus A, in the unit of the row."""
        return self.b - self.a


def changes(a: Mapping[str, Result], b: Mapping[str, Result]) -> list[Change]:
    """B against A in the conditions that both have.

    Raises:
        SecateurError: other recordings in one than in the other.
    """
    compared = []
    for name in (name for name in a if name in b):
        rows = {row.id: row for row in b[name].rows}
        if rows.keys() != {row.id for row in a[name].rows}:
            raise SecateurError(f"{name}: the two did not decode the same recordings; measure both again")
        pairs = [(row, rows[row.id]) for row in a[name].rows]
        before, after = (_line(name, one, None, 200) for one in (a[name], b[name]))
        speakers = [row.speaker for row, _ in pairs]
        no_worse = sum(y.counts.errors <= x.counts.errors for x, y in pairs) / len(pairs)
        if name == TIMESTAMPS:
            low, high = after.low - before.value, after.high - before.value
        else:
            silent = name == NONSPEECH
            errors = [
                [float(bool(r.hypothesis)) if silent else r.counts.errors for r in side]
                for side in zip(*pairs, strict=True)
            ]
            words = [1.0 if silent else row.counts.reference for row, _ in pairs]
            difference = paired_difference(errors[0], errors[1], words, speakers, resamples=2000)
            low, high = difference.low, difference.high
        compared.append(Change(name, before.value, after.value, low, high, no_worse, before.unit))
    return compared


def drifted(a: Mapping[str, Result], b: Mapping[str, Result], tolerances: Mapping[str, float]) -> list[str]:
    """A line for every condition in which B is worse than A by more than is tolerated.

    `tolerances` are points by condition, or by its kind ("pause"); of timestamps hundredths of a second. Conditions
    without one are not judged.
    """
    messages = []
    for one in changes(a, b):
        tolerance = tolerances.get(one.name, tolerances.get(one.name.partition("-")[0]))
        if tolerance is not None and 100 * one.delta > tolerance:
            unit = "hundredths of a second" if one.unit == "s" else "points"
            messages.append(
                f"{one.name}: {shown(one.b, one.unit)} against {shown(one.a, one.unit)} before, more than "
                f"{tolerance:g} {unit} above"
            )
    return messages


def shown(value: float, unit: str) -> str:
    """A value with its unit."""
    return f"{value:.2f} s" if unit == "s" else f"{100 * value:.1f} %"


def table(measured: Sequence[Line]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells."""
    cells = []
    for one in measured:
        change = (
            ""
            if one.change is None
            else (f"{100 * one.change.delta:+.1f} ({100 * one.change.low:+.1f} to {100 * one.change.high:+.1f})")
        )
        scale, digits = (1.0, 2) if one.unit == "s" else (100.0, 1)
        interval = f"{scale * one.low:.{digits}f} to {scale * one.high:.{digits}f}"
        what = {"rate": "error rate", "share": "recordings with text", "s": "median from the joints"}[one.unit]
        more = "" if one.words_a_minute is None else f"{one.words_a_minute:.1f}"
        cells.append([
            one.name, str(one.clips), what, shown(one.value, one.unit), interval, change,
            f"{100 * one.loops:.1f} %", more,
        ])  # fmt: skip
    return [
        "condition",
        "clips",
        "measured",
        "value",
        "95 % interval",
        "against clean, points",
        "loops",
        "words a minute invented",
    ], cells


def change_table(compared: Sequence[Change]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of a comparison."""
    cells = []
    for one in compared:
        scale, sign = (1.0, "+.2f") if one.unit == "s" else (100.0, "+.1f")
        cells.append([
            one.name, shown(one.a, one.unit), shown(one.b, one.unit), f"{scale * one.delta:{sign}}",
            f"{scale * one.low:{sign}} to {scale * one.high:{sign}}", f"{100 * one.no_worse:.1f} %",
        ])  # fmt: skip
    return ["condition", "A", "B", "B − A", "95 % interval", "no worse than A"], cells
