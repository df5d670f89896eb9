"""Plots as inline SVG whose colours follow the page (light and dark), through matplotlib.

Colours are drawn as placeholders and replaced by CSS variables of `report.html`; text stays text.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..base.extras import require
from ..base.files import Json
from .breakdown import Slice
from .compare import Comparison
from .result import Result

INK, LINE, BETTER, WORSE = "#a10001", "#a10002", "#a10003", "#a10004"
SERIES = tuple(f"#a2000{i}" for i in range(1, 7))
VARIABLES = {INK: "currentColor", LINE: "var(--line)", BETTER: "var(--good)", WORSE: "var(--bad)"}
VARIABLES |= {colour: f"var(--s{i})" for i, colour in enumerate(SERIES, 1)}
WIDTH = 5.0  # inches of 72 dots: text of 10 dots is still readable on a phone

STYLE: Json = {
    "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif", "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": LINE, "xtick.color": LINE, "ytick.color": LINE, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.grid": True, "grid.color": LINE, "grid.linewidth": 0.8, "axes.axisbelow": True, "axes.spines.top": False,
    "axes.spines.right": False, "axes.spines.left": False, "axes.facecolor": "none", "figure.facecolor": "none",
    "legend.frameon": False, "xtick.major.size": 0, "ytick.major.size": 0, "lines.linewidth": 1.8,
}  # fmt: skip


def palette(names: Iterable[str]) -> dict[str, str]:
    """A colour for every model, the same in all plots of a page; grey for the first."""
    return {name: SERIES[i % len(SERIES)] for i, name in enumerate(dict.fromkeys(names))}


def rates(named: Sequence[tuple[str, Result]], colours: Mapping[str, str]) -> str:
    """Error rate of every model with its interval, one line a model."""
    alt = "; ".join(
        f"{name} {100 * r.rate:.1f} % ({100 * r.interval[0]:.1f} to {100 * r.interval[1]:.1f})" for name, r in named
    )

    def draw(axes: Any) -> None:
        for i, (name, r) in enumerate(named):
            low, high = (100 * end for end in r.interval)
            axes.plot([low, high], [i, i], color=colours[name], linewidth=4, alpha=0.45, solid_capstyle="round")
            axes.plot([100 * r.rate], [i], "o", color=colours[name], markersize=8)
        axes.set_yticks(range(len(named)), [name for name, _ in named])
        axes.set_ylim(len(named) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"{named[0][1].metric.upper()} in %, bar: 95 % interval")

    return _svg(0.9 + 0.42 * len(named), draw, f"Error rates. {alt}")


class Signed(Protocol):
    """A difference with its interval, as shares; below zero is better."""

    @property
    def delta(self) -> float:
        """B minus A."""

    @property
    def low(self) -> float:
        """The lower end of its interval."""

    @property
    def high(self) -> float:
        """The upper end of its interval."""


def forest(named: Sequence[tuple[str, Signed]], control: str = "the control") -> str:
    """Signed differences from a control with their intervals, in points; coloured where zero is outside."""
    alt = "; ".join(f"{n} {100 * d.delta:+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f})" for n, d in named)

    def draw(axes: Any) -> None:
        axes.axvline(0, color=LINE, linewidth=1.2)
        for i, (_, d) in enumerate(named):
            colour = BETTER if d.high < 0 else WORSE if d.low > 0 else SERIES[0]
            bar = {"linewidth": 4, "alpha": 0.45, "solid_capstyle": "round"}
            axes.plot([100 * d.low, 100 * d.high], [i, i], color=colour, **bar)
            axes.plot([100 * d.delta], [i], "o", color=colour, markersize=7)
        axes.set_yticks(range(len(named)), [name for name, _ in named])
        axes.set_ylim(len(named) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"points against {control}, bar: 95 % interval")

    return _svg(0.9 + 0.3 * len(named), draw, f"Differences. {alt}")


def front(points: Sequence[tuple[str, float, float]]) -> list[str]:
    """Names on the Pareto front, by x: points (name, x, y) that no other has at least their x (what is removed) and at
    most their y (errors), one of the two strictly.

    >>> front([("dense", 0, 16), ("a", 30, 15.9), ("b", 30, 17), ("c", 60, 18)])
    ['a', 'c']
    """
    free = [one for one in points if not any(x >= one[1] and y <= one[2] and (x, y) != one[1:] for _, x, y in points)]
    return [name for name, _, _ in sorted(free, key=lambda one: one[1:])]


def scatter(points: Sequence[tuple[str, float, float]], across: str, up: str, front: Sequence[str] = ()) -> str:
    """Points (name, x, y); those of `front` are joined, coloured and always named, others where there is room."""
    alt = "; ".join(f"{name}: {x:.0f}, {y:.1f}" for name, x, y in points)
    alt += f". Pareto front: {', '.join(front)}" if front else ""
    places = {name: (x, y) for name, x, y in points}

    def draw(axes: Any) -> None:
        for _, x, y in points:
            axes.plot([x], [y], "o", color=SERIES[0], markersize=6)
        if front:
            xs, ys = zip(*(places[name] for name in front), strict=True)
            axes.plot(xs, ys, "-o", color=BETTER, markersize=7, label="Pareto front")
            axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0))
        axes.margins(x=0.12, y=0.08)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        shown = [*front, *(name for name, _, _ in points if name not in front)]
        for name, place in zip(shown, _apart([places[n] for n in shown], axes, len(front)), strict=True):
            if place is not None:
                axes.annotate(
                    name, places[name], xytext=place, textcoords="offset points", fontsize=8,
                    ha="left" if place[0] > 0 else "right",
                )  # fmt: skip

    return _svg(4.2, draw, f"{up} against {across}. {alt}")


def _apart(places: Sequence[tuple[float, float]], axes: Any, always: int) -> list[tuple[float, float] | None]:
    """Where each point's name goes, in dots from the point: right above it, or aside where another name is already.

    None: there is no room (the first `always` are named all the same).
    """
    width, height = 72 * WIDTH, 10.0  # of the picture in dots, and of a name
    (left, right), (low, top) = axes.get_xlim(), axes.get_ylim()
    taken: list[tuple[float, float]] = []
    chosen: list[tuple[float, float] | None] = []
    for number, (x, y) in enumerate(places):
        across, up = (x - left) / (right - left) * width, (y - low) / (top - low) * 240
        tries = [(6.0, 3.0), (6.0, -9.0), (-6.0, 3.0), (-6.0, -9.0), (6.0, 13.0), (6.0, -19.0)]
        ends = [(across + (dx if dx > 0 else dx - 80), up + dy) for dx, dy in tries]
        free = [
            i
            for i, end in enumerate(ends)
            if all(abs(end[0] - a) > 80 or abs(end[1] - b) > height for a, b in taken)
            and 0 <= end[0] <= width - 40
            and end[1] > 4
        ]
        best = free[0] if free else 0 if number < always else None
        chosen.append(None if best is None else tries[best])
        if best is not None:
            taken.append(ends[best])
    return chosen


def groups(named: Sequence[tuple[str, Sequence[Slice]]], label: str, metric: str, colours: Mapping[str, str]) -> str:
    """Error rate by group (length, age, ...), a bar for every model."""
    order = [s.name for s in named[0][1]]
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{s.name} {100 * s.counts.rate:.1f} %" for s in slices) for name, slices in named
    )

    def draw(axes: Any) -> None:
        width = 0.8 / len(named)
        for i, (name, slices) in enumerate(named):
            heights = {s.name: 100 * s.counts.rate for s in slices}
            xs = [x - 0.4 + (i + 0.5) * width for x in range(len(order))]
            axes.bar(xs, [heights.get(n, 0) for n in order], width * 0.92, color=colours[name], label=name)
        counts = {s.name: s.utterances for s in named[0][1]}
        axes.set_xticks(range(len(order)), [f"{n}\n{counts[n]} clips" for n in order])
        axes.grid(visible=False, axis="x")
        axes.set_ylabel(f"{metric.upper()} in %")
        axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(-0.02, 1.0))

    return _svg(3.1, draw, f"Error rate by {label}. {alt}")


def speakers(comparison: Comparison, colours: Mapping[str, str]) -> str:
    """Error rate of every speaker before and after, the worst first; a line joins the two."""
    changes = sorted(comparison.speakers, key=lambda s: -s.a)
    alt = (
        f"Error rate by speaker, {comparison.a} against {comparison.b}: {comparison.speakers_better} of "
        f"{len(changes)} speakers have fewer errors, {comparison.speakers_worse} more."
    )

    def draw(axes: Any) -> None:
        xs = range(len(changes))
        for x, s in zip(xs, changes, strict=True):
            tone = BETTER if s.b <= s.a else WORSE
            axes.plot([x, x], [100 * s.a, 100 * s.b], color=tone, linewidth=1.6, alpha=0.6)
        for name, values in ((comparison.a, [s.a for s in changes]), (comparison.b, [s.b for s in changes])):
            heights = [100 * value for value in values]
            axes.plot(xs, heights, "o", color=colours[name], markersize=4.5, label=name, clip_on=False)
        axes.set_xticks([])
        axes.set_ylim(bottom=0)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel(f"{len(changes)} speakers, the hardest first")
        axes.set_ylabel(f"{comparison.metric.upper()} in %")
        axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(-0.02, 1.0))

    return _svg(3.2, draw, alt)


FEW = 12  # points of a curve that are shown as dots, too
CURVES = (  # label, the keys that training logs may use, factor
    ("training loss", ("loss",), 1.0),
    ("dev error in %", ("error", "dev_wer"), 100.0),
    ("kept in %", ("kept", "kept_parameters"), 100.0),
)


def curves(logs: Mapping[str, Sequence[Mapping[str, Any]]], colours: Mapping[str, str]) -> str:
    """Loss, dev error and what is kept over optimiser steps; quantities that no log has are left out."""
    panels = []
    for label, keys, factor in CURVES:
        lines = {}
        for name, log in logs.items():
            points = [(e["step"], factor * e[k]) for e in log for k in keys if k in e and "step" in e]
            if points:
                lines[name] = points
        if lines:
            panels.append((label, lines))
    if not panels:
        return ""
    alt = "; ".join(
        f"{label}: " + ", ".join(f"{n} from {p[0][1]:.3g} to {p[-1][1]:.3g}" for n, p in lines.items())
        for label, lines in panels
    )

    def draw(*axes: Any) -> None:
        for one, (label, lines) in zip(axes, panels, strict=True):
            for name, points in lines.items():
                dots = {"marker": "o", "markersize": 4} if len(points) <= FEW else {}  # one point has no line
                one.plot([x for x, _ in points], [y for _, y in points], color=colours[name], label=name, **dots)
            one.set_ylabel(label)
            if label == "kept in %":
                one.set_ylim(0, 105)
        axes[0].legend(ncols=4, loc="lower left", bbox_to_anchor=(-0.02, 1.0))
        axes[-1].set_xlabel("optimiser step")
        axes[-1].set_xlim(0, 1.03 * max(x for _, lines in panels for points in lines.values() for x, _ in points))

    return _svg(0.6 + 1.5 * len(panels), draw, f"Training curves. {alt}", panels=len(panels))


def _svg(height: float, draw: Any, alt: str, panels: int = 1) -> str:
    """Draw on fresh axes and return an `<svg>` element with `alt` as its label; the same input gives the same bytes."""
    matplotlib = require("matplotlib", "train")
    figure_module = require("matplotlib.figure", "train")
    # The label as salt: ids of clip paths and markers differ between the plots of one page.
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": alt}):
        figure = figure_module.Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(panels, 1, sharex=True, squeeze=False)
        draw(*axes[:, 0])
        return svg_of(figure, alt)


def svg_of(figure: Any, alt: str) -> str:
    """A figure drawn in `STYLE` as an `<svg>` element with `alt` as its label, its colours those of `VARIABLES`."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"font: ([^;\"]*?)(\d+)px [^;\"]*", r"font-size: \2px", text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(alt)}" ', 1)
