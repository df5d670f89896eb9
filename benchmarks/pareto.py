"""Error rate against time and size, ours and other programs', measured side by side in one run; one picture.

    python benchmarks/pareto.py bundled tiny.en base --precisions fp32 int8 --peer-model tiny.en --clips 40 \
        --peer-python PEERS/bin/python --out benchmarks/results/pareto.json --picture results/pareto.svg

A model is an exported folder (taken as it is), "bundled", or a checkpoint folder or name, which is exported in every
precision of --precisions. Peers are those of --peers that this interpreter or --peer-python has installed, on
--peer-model exported for each; PocketSphinx has a model of its own. What is missing is named and left out.

`in domain` is speechocean762 test (short clips), `retained` librispeech-mini test (long ones). Every clip goes through
every recogniser in turn, in one thread, so that whatever else the machine does meets all of them. Answers are kept
beside OUT as they come: the same command goes on after a run that was cut.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from recorded import how
from runtime import Clip, Journal, Runner, clips_of, measure, peers, table, version_of

from secateur.api import ExportSettings, export
from secateur.base.errors import SecateurError
from secateur.base.extras import require
from secateur.base.files import write_json, write_text
from secateur.base.progress import say
from secateur.evaluate import plots
from secateur.runtime.contents import find_model

SETS = {"in domain": "speechocean762", "retained": "librispeech-mini"}
# Of each peer: the format in which it reads our export, and how it is named in the picture.
FORMATS = {
    "faster-whisper-int8": "ctranslate2",
    "whisper.cpp": "ggml",
    "transformers": "transformers",
    "pocketsphinx": "",
}
THEME = """<style>
svg { color: #1c1c1c; --line: #d5d5d5; --good: #0a7d3c; --bad: #b3261e; --s1: #2459b3; --s2: #b35c00; --s3: #6b3fa0;
  --s4: #0f766e; --s5: #a3214f; --s6: #5b6470; }
@media (prefers-color-scheme: dark) {
  svg { color: #ececec; --line: #4a4a4a; --good: #4cc38a; --bad: #ff8f85; --s1: #82aaff; --s2: #ffb366; --s3: #c4a3f5;
    --s4: #5fd4c6; --s5: #ff8fb3; --s6: #a9b3bf; }
}
</style>"""


def ours(models: list[str], precisions: list[str], work: Path) -> list[Runner]:
    """A runner for every exported folder, and for every checkpoint in every precision (exported into `work` once)."""
    found = []
    for model in models:
        folder = find_model(None) if model == "bundled" else Path(model)
        if (folder / "export.json").exists():
            found.append(Runner(folder.name, sys.executable, "secateur", str(folder)))
            continue
        for precision in precisions:
            out = work / f"{Path(model).name}-{precision}"
            if not (out / "export.json").exists():
                say(f"exporting {model} as {precision}")
                export(ExportSettings(model=model, out=out, precision=precision))  # type: ignore[arg-type]
            found.append(Runner(out.name, sys.executable, "secateur", str(out)))
    return found


def others(names: list[str], model: str, python: str | None, work: Path) -> list[Runner]:
    """A runner for every peer that is installed; its model is `model` in its own format."""
    found = []
    for name in names:
        try:
            (runner,) = peers([f"{name}=-"], python)
        except SecateurError as problem:
            say(f"left out: {problem}")
            continue
        if FORMATS[name]:
            out = work / f"{Path(model).name}-{FORMATS[name]}{'.bin' if FORMATS[name] == 'ggml' else ''}"
            if not out.exists():
                say(f"exporting {model} for {name}")
                export(ExportSettings(model=model, out=out, format=FORMATS[name]))
            runner = replace(runner, model=str(out), name=f"{name} {Path(model).name}")
        found.append(runner)
    return found


def picture(rows: list[dict[str, Any]]) -> str:
    """Error rate against processor milliseconds and megabytes, a row of panels a set; SVG for light and dark pages.

    Points have the numbers of the legend; filled ones are ours. The line is the Pareto front: no other recogniser has
    both fewer errors and a lower cost.
    """
    matplotlib = require("matplotlib", "train")
    figures = require("matplotlib.figure", "train")
    names = list(dict.fromkeys(row["model"] for row in rows))
    labels = list(dict.fromkeys(row["clips"] for row in rows))
    columns = (("cpu_ms_per_clip", "processor ms a clip, median, one thread"), ("MB", "MB of the model"))
    alt = "; ".join(
        f"{r['model']}, {r['clips']}: WER {r['WER']} %, {r['cpu_ms_per_clip']} ms"
        + (f", {r['MB']} MB" if r["MB"] is not None else "") for r in rows
    )  # fmt: skip
    with matplotlib.rc_context({**plots.STYLE, "svg.hashsalt": "pareto"}):
        figure = figures.Figure(figsize=(9, 3.2 * len(labels) + 0.24 * -(-len(names) // 2)), layout="constrained")
        axes = figure.subplots(len(labels), 2, squeeze=False)
        for line, label in zip(axes, labels, strict=True):
            of_set = [row for row in rows if row["clips"] == label]
            for one, (key, across) in zip(line, columns, strict=True):
                _panel(one, [row for row in of_set if row[key] is not None], key, names)
                one.set_xscale("log")
                one.set_xlabel(across)
                one.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda x, _: f"{x:g}"))
                one.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 3, 5, 7)))
                one.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
            line[0].set_ylabel(f"WER in %\n{label}")
        handles = [
            matplotlib.lines.Line2D([], [], linestyle="", label=f"{number}  {name}", **_mark(name, rows))
            for number, name in enumerate(names, 1)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
        text = plots.svg_of(figure, f"Error rate against time and size. {alt}")
    end_of_tag = text.index(">") + 1
    return text[:end_of_tag] + THEME + text[end_of_tag:]


def _panel(axes: Any, rows: list[dict[str, Any]], key: str, names: list[str]) -> None:
    """One set against one cost."""
    if not rows:  # PocketSphinx alone has no size
        return
    best = plots.front([(row["model"], -row[key], row["WER"]) for row in rows])
    places = {row["model"]: (row[key], row["WER"]) for row in rows}
    axes.plot(*zip(*(places[name] for name in best), strict=True), "-", color=plots.BETTER, zorder=1)
    for row in rows:
        axes.plot([row[key]], [row["WER"]], **_mark(row["model"], rows), linestyle="")
        axes.annotate(
            str(names.index(row["model"]) + 1), places[row["model"]], xytext=(5, 4), textcoords="offset points",
            fontsize=8,
        )  # fmt: skip
    axes.margins(x=0.12, y=0.15)


def _mark(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How a recogniser's points look: ours filled, others hollow."""
    own = next(row["ours"] for row in rows if row["model"] == name)
    colour = plots.SERIES[0] if own else plots.SERIES[1]
    return {
        "marker": "o" if own else "s",
        "color": colour,
        "markersize": 6,
        "markerfacecolor": colour if own else "none",
    }


def main() -> None:
    """Export what is needed, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["bundled", "tiny.en"], help="default: bundled tiny.en")
    parser.add_argument("--precisions", nargs="+", default=["int8"], help="of checkpoints' exports: fp32 fp16 int8")
    parser.add_argument("--peers", nargs="*", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--peer-model", default="tiny.en", help="checkpoint that the peers run")
    parser.add_argument("--peer-python", help="interpreter for peers that this one does not have")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SECATEUR_DATA", "../shared/data")))
    parser.add_argument("--clips", type=int, default=40, help="of each set, evenly over its test part")
    parser.add_argument("--work", type=Path, help="keep exports here; left out: beside --out until it is written")
    parser.add_argument("--out", type=Path, required=True, help="write every figure as JSON here")
    parser.add_argument("--picture", type=Path, required=True, help="write the picture (SVG) here")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop after so many; the same command goes on")
    options = parser.parse_args()
    if options.clips < 1:
        raise SecateurError(f"--clips: at least 1, found {options.clips}")
    for name in SETS.values():
        if not (options.data / name).is_dir():
            raise SecateurError(f"{options.data / name}: no such set; name the sets' folder with --data")
    until = time.monotonic() + 60 * options.minutes
    # Not a temporary folder: the same command must find the same exports to go on after a cut.
    work = options.work or options.out.with_suffix(".work")
    for folder in (work, options.out.parent):
        folder.mkdir(parents=True, exist_ok=True)
    own = ours(options.models, options.precisions, work)
    runners = own + others(options.peers, options.peer_model, options.peer_python, work)
    partial = options.out.with_suffix(".partial.jsonl")
    journal, rows = Journal(partial, runners), []
    for label, name in SETS.items():
        clips: list[Clip] = clips_of(options.data, name, options.clips)
        found = measure(runners, clips, 1, label, journal, until)
        if found is None:
            sys.exit(f"pareto.py: {options.minutes:g} minutes are over; the same command goes on ({partial})")
        rows += found
    rows = [{**row, "ours": row["model"] in {runner.name for runner in own}} for row in rows]
    versions = {runner.name: version_of(runner) for runner in runners if runner.kind != "secateur"}
    write_json(options.out, {"how": {**how(), "sets": SETS, "versions": versions}, "clips": rows})
    write_text(options.picture, picture(rows))
    partial.unlink()
    if options.work is None:
        shutil.rmtree(work)
    print(table(rows))


if __name__ == "__main__":
    try:
        main()
    except SecateurError as problem:
        sys.exit(f"pareto.py: {problem}")
