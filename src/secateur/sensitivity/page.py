"""A sensitivity map for people: a table, a heat map (layer by site), a section of the report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ..base.extras import require
from ..base.files import atomic_path
from ..evaluate import markup
from ..evaluate.markup import page, section
from ..evaluate.table import percent, pipe_table, points
from ..prune.sensitivity_map import Effect, Measured, SensitivityMap, signed_change

FULL = 0.5  # nats a token at which the heat map's colour is full


def titles(result: SensitivityMap) -> list[str]:
    """Column names of `cells`."""
    return [
        "without", "amount", f"Δ{result.metric.upper()}, points (95 %)", "p, Holm", "Δloss, nats (95 %)", "p, Holm",
        "parameters", "MACs",
    ]  # fmt: skip


def cells(site: Measured) -> list[str]:
    """One row of the table."""

    def p(effect: Effect | None) -> str:
        return "" if effect is None else f"{effect.adjusted:.3f}"

    error, loss = site.error, site.loss
    shown = "not decoded"
    if error is not None:
        shown = f"{points(error.delta)} ({points(error.low)} to {points(error.high)})"
    loss_text = "" if loss is None else f"{loss.delta:+.3f} ({loss.low:+.3f} to {loss.high:+.3f}), {loss.clips} clips"
    return [
        site.site, amount_text(site), shown, p(error), loss_text, p(loss), percent(site.parameters), percent(site.macs),
    ]  # fmt: skip


def amount_text(site: Measured) -> str:
    """How much of a site was ablated, as text.

    >>> amount_text(Measured("sample_rate", "sample_rate", "input", "rate", 0.5, change={"sample_rate": 8000.0}))
    '8000 Hz'
    """
    change = site.change
    if "sample_rate" in change or "frame_rate" in change:
        return f"{next(iter(change.values())):.0f} Hz"
    if "merge_after" in change:
        return f"{change.get('all', change.get('similar', 1.0)):g} in one"
    if "audio_seconds" in change:
        return f"{change['audio_seconds']:g} s"
    return "all" if site.amount == 1 else percent(site.amount, 0)


def shown_rows(result: SensitivityMap, most: int) -> list[list[str]]:
    """The `most` first sites of the map."""
    return [cells(site) for site in result.sites[:most]]


def markdown(result: SensitivityMap, most: int = 20) -> list[str]:
    """Lines of a Markdown table of the first sites, and what they were measured on."""
    return [headline(result), "", *pipe_table(titles(result), shown_rows(result, most), numbers="---:"), ""]


def headline(result: SensitivityMap) -> str:
    """The whole map in two sentences."""
    decoded = [s for s in result.sites if s.error is not None]
    helpful = [s for s in decoded if s.error is not None and s.error.delta < 0]
    certain = [s for s in helpful if s.error is not None and s.error.certain]
    better = [s for s in result.sites if s.loss is not None and s.loss.certain and s.loss.delta < 0]
    return (
        f"{result.model} on {result.data} ({result.utterances} clips, {result.speakers} speakers): "
        f"{result.metric.upper()} {percent(result.error)}, loss {result.loss:.3f} nats. {len(result.sites)} removals "
        f"tried, {len(decoded)} decoded: {len(helpful)} lower the error, {len(certain)} of them certainly after "
        f"correction; {len(better)} certainly lower the loss."
    )


def grid(result: SensitivityMap) -> tuple[list[str], list[str], dict[tuple[str, str], Measured]]:
    """Rows (layers), columns (sites) and the site in each cell: the largest amount; of single units, the most helpful.

    Inputs and vocabulary are one row each. A map of texts alone, without losses, has the changes of its error rate.
    """
    losses = any(site.loss is not None for site in result.sites)
    cells: dict[tuple[str, str], Measured] = {}
    for site in result.sites:
        if (site.loss if losses else site.error) is None:
            continue
        position = (site.layer, site.part)
        old = cells.get(position)
        if old is None or (site.amount, -signed_change(site)) > (old.amount, -signed_change(old)):
            cells[position] = site
    rows = sorted({layer for layer, _ in cells}, key=_natural)
    columns = sorted({part for _, part in cells}, key=lambda part: (-sum((r, part) in cells for r in rows), part))
    return rows, columns, cells


def _natural(layer: str) -> tuple[int, list[int | str]]:
    first = 0 if layer == "input" else 2 if layer.startswith("decoder") else 3 if layer == "vocabulary" else 1
    return first, [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", layer)]


def heat_png(result: SensitivityMap, path: Path) -> None:
    """Draw the heat map: blue where the model is better without the site, red where it is worse."""
    require("matplotlib", "train")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, columns, chosen = grid(result)
    values = [[_change(chosen.get((r, c))) for c in columns] for r in rows]
    figure = Figure(figsize=(2.6 + 0.62 * len(columns), 2.2 + 0.38 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(values, cmap="RdBu_r", vmin=-FULL, vmax=FULL, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=55, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if value == value:
                colour = "white" if abs(value) > 0.7 * FULL else "black"
                axes.text(j, i, f"{value:+.2f}", ha="center", va="center", fontsize=6.5, color=colour)
    figure.colorbar(image, ax=axes, label=f"Δ{_measure(result)}")
    axes.set_title(f"{Path(result.model).name} on {result.data}", fontsize=10)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png", metadata={"Software": None})


def _change(site: Measured | None) -> float:
    effect = None if site is None else site.loss or site.error
    return float("nan") if effect is None else effect.delta


def _measure(result: SensitivityMap) -> str:
    """What the heat map's numbers are."""
    losses = any(site.loss is not None for site in result.sites)
    return "loss, nats a token" if losses else f"{result.metric.upper()}, share of words"


def sensitivity_section(result: SensitivityMap, most: int = 25) -> str:
    """The report's section: the heat map as a table, and the first sites."""
    rows, columns, chosen = grid(result)
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in ("layer", *columns))
    body = "\n".join(
        f'<tr><th scope="row">{escape(r)}</th>{"".join(_heat_cell(chosen.get((r, c))) for c in columns)}</tr>'
        for r in rows
    )
    caption = f"Change of {_measure(result)} without each site; largest amount tried. Green: better without it"
    heat = (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}"><table class="heat">'
        f"<caption><span>{caption}</span></caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    table = markup.table(
        titles(result),
        [[escape(c) for c in row] for row in shown_rows(result, most)],
        "Sites by the change without them, most helpful first; p values are corrected for all comparisons (Holm)",
    )
    return section("What matters", escape(headline(result)), heat + table)


def _heat_cell(site: Measured | None) -> str:
    value = _change(site)
    if site is None or value != value:
        return "<td></td>"
    strength = min(abs(value) / FULL, 1.0)
    colour = "20,150,112" if value < 0 else "179,55,43"
    style = f"background:rgba({colour},{0.03 + 0.5 * strength:.2f})"
    return f'<td style="{style}" title="{escape(site.name)}">{value:+.2f}</td>'


def write_page(result: SensitivityMap, path: Path) -> None:
    """One HTML page of the map alone."""
    from ..base.files import write_text

    title = f"What matters in {Path(result.model).name}"
    header = f"<header><h1>{escape(title)}</h1><p>{escape(result.data)}</p></header>"
    write_text(path, page(title, header + sensitivity_section(result, most=len(result.sites))))


def terminal_rows(result: SensitivityMap, most: int) -> tuple[Sequence[str], list[list[str]]]:
    """Titles and rows for a terminal."""
    return titles(result), shown_rows(result, most)
