"""Results as a table: one formatting for the report, for Markdown and for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..base.locale import columns, padded, translated
from .result import Result

Named = Sequence[tuple[str, Result]]


def percent(rate: float, digits: int = 1) -> str:
    """A fraction as per cent.

    >>> percent(0.18634)
    '18.6 %'
    """
    return f"{100 * rate:.{digits}f} %" if math.isfinite(rate) else "–"


def points(delta: float) -> str:
    """A difference of rates in percentage points, always signed.

    >>> points(-0.0174), points(0.0)
    ('−1.7', '±0.0')
    """
    text = f"{abs(100 * delta):.1f}"
    return ("±" if text == "0.0" else "−" if delta < 0 else "+") + text


def short(number: float | None, unit: str = "") -> str:
    """Three significant digits with k, M, G.

    >>> short(37760640), short(75500000, "B"), short(None)
    ('37.8 M', '75.5 MB', '–')
    """
    if number is None:
        return "–"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= 0.9995 * size:
            value = number / size
            return f"{value:.{max(0, 2 - int(math.log10(max(value, 1))))}f} {letter}{unit}"
    return f"{number:.0f} {unit}".strip()


def ratio(value: float | None, first: float | None) -> str:
    """How `value` compares with `first`: `÷ 3.1` when smaller, `× 1.2` when larger, empty when unknown or equal."""
    if not value or not first or value == first:
        return ""
    return f"÷ {first / value:.1f}" if value < first else f"× {value / first:.1f}"


def real_time(factor: float) -> str:
    """A real-time factor: three decimals, and two digits that say something where those would be few.

    >>> real_time(0.1234), real_time(0.00042), real_time(0.0)
    ('0.123', '0.00042', '0.000')
    """
    return f"{factor:.2g}" if 0 < factor < 0.01 else f"{factor:.3f}"


def cells(result: Result, first: Result) -> list[str]:
    """One row of `HEADINGS` after the name; ratios are against `first`."""

    def sized(text: str, value: float | None, base: float | None) -> str:
        share = ratio(value, base)
        return f"{text} ({share})" if share and not share.endswith(" 1.0") else text

    relative = ""
    if result is not first and first.rate and math.isfinite(result.rate / first.rate):
        relative = f"{100 * (result.rate / first.rate - 1):+.0f} %".replace("-", "−")
    low, high = result.interval
    return [
        percent(result.rate),
        f"{100 * low:.1f} to {100 * high:.1f}" if math.isfinite(low) else "–",
        relative or "–",
        sized(short(result.parameters), result.parameters, first.parameters),
        sized(short(result.macs), result.macs, first.macs),
        sized(short(result.bytes, "B"), result.bytes, first.bytes),
        real_time(result.rtf),
    ]


def headings(metric: str) -> list[str]:
    """Column titles; the first is for the name."""
    return ["model", metric.upper(), "95 % interval", "change", "parameters", "MACs a clip", "file", "RTF"]


def table(named: Named) -> tuple[list[str], list[list[str]]]:
    """Headings and rows, ratios against the first result; columns that are empty everywhere are left out."""
    if not named:
        return [], []
    first = named[0][1]
    rows = [[name, *cells(result, first)] for name, result in named]
    titles = headings(first.metric)
    used = [i for i in range(len(titles)) if any(row[i] != "–" for row in rows)]
    return [titles[i] for i in used], [[row[i] for i in used] for row in rows]


def markdown_table(named: Named) -> str:
    """A Markdown table for documents that are generated from committed result files.

    Results on several data sets become one table each, under the data set's name.
    """
    parts = []
    for data, group in by_data(named).items():
        titles, rows = table(group)
        _, one = group[0]
        note = f"**{data}**: {one.utterances} clips, {one.speakers} speakers, {one.words} {unit(one)}"
        parts.append("\n".join([note, "", *pipe_table(titles, rows, numbers="---:")]))
    return "\n\n".join(parts) + "\n"


def pipe_table(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: str = "---") -> list[str]:
    """Lines of a Markdown table; `numbers` aligns all columns but the first ("---:" to the right)."""
    lines = [titles, ["---", *[numbers] * (len(titles) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def text_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns for a terminal: the first to the left, the others to the right."""
    lines = [list(titles), *map(list, rows)]
    widths = [max(columns(line[i]) for line in lines) for i in range(len(titles))]
    text = []
    for first, *rest in lines:
        right = [padded(cell, width, right=True) for cell, width in zip(rest, widths[1:], strict=True)]
        text.append("  ".join([padded(first, widths[0]), *right]).rstrip())
    return "\n".join(text)


def by_data(named: Named) -> dict[str, list[tuple[str, Result]]]:
    """Results grouped by data set and metric, in order of appearance."""
    groups: dict[str, list[tuple[str, Result]]] = {}
    for name, result in named:
        groups.setdefault(result.data, []).append((name, result))
    return groups


def unit(result: Result) -> str:
    """What `Result.words` counts under its metric."""
    return {"wer": "words", "cer": "characters", "mer": "words and characters", "per": "phones"}[result.metric]


def arm_line(result: Mapping[str, Any]) -> str:
    """What came of one training run, in a line: error rates, size, time."""
    errors = ", ".join(f"{name} {100 * rate:.1f} %" for name, rate in result["error"].items())
    return translated(
        f"{result['folder']}: {errors}; {100 * result['removed']:.1f} % of the parameters removed; "
        f"{result['steps']} steps in {result['seconds']:.0f} s on {result['device']}"
    )
