"""`secateur report`: one HTML page from the result files of a run."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass, replace
from pathlib import Path

from ..base.files import Json, write_text
from ..base.locale import translated
from ..base.options import Settings, option
from ..evaluate.table import markdown_table
from ..study.report import render
from ..study.run_folder import collect

HELP = "One self-contained HTML page from a run's result files: before and after, intervals, what was cut, examples."
EXAMPLE = """secateur report runs/kiosk
secateur report runs/kiosk --out kiosk.html --markdown table.md"""


@dataclass(frozen=True)
class Options(Settings):
    """Where the results are and where the page goes."""

    run: Path = option(
        help="Show the results of this run folder (results/*.json), and what else is there.", positional=True
    )
    out: Path | None = option(None, "Write the page here; left out: report.html in the run folder.", writes=".html")
    title: str = option("", "Give the page this title; left out: the folder's name.")
    markdown: Path | None = option(None, "Also write the tables as Markdown to this file.", writes=".md")
    browse: bool = option(False, "Open the page in the browser.")


def run(options: Options) -> Json:
    """Write the page; returns where it is and what it shows."""
    inputs = collect(options.run)
    if options.title:
        inputs = replace(inputs, title=options.title)
    out = options.out or options.run / "report.html"
    write_text(out, render(inputs))
    if options.markdown is not None:
        write_text(options.markdown, markdown_table(inputs.results))
    if options.browse:
        webbrowser.open(out.resolve().as_uri())
    return {"report": str(out), "results": [name for name, _ in inputs.results], "bytes": out.stat().st_size}


def show(result: Json) -> str:
    """Where the page is."""
    return translated(f"{result['report']}: {len(result['results'])} results ({', '.join(result['results'])})")
