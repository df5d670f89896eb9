"""Which Keras models can be pruned, from `benchmarks/results/keras_models_*.json`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import report as founding

from secateur.base.files import read_json
from secateur.evaluate.table import pipe_table

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
OUTCOMES = ("pruned", "masks only", "refused", "failed")


def models_table() -> list[str]:
    """By backend and source how many came to what and the worst difference; then every model."""
    runs = [read_json(path) for path in sorted(RESULTS.glob("keras_models_*.json"))]
    head = ["backend", "source", "tried", *OUTCOMES, "worst masked against shrunk"]
    rows, each = [], []
    for run in runs:
        for source in (*sorted({one["source"] for one in run["models"]}), ""):
            some = [one for one in run["models"] if source in ("", one["source"])]
            counts = Counter(one["outcome"] for one in some)
            worst = max((one["difference"] for one in some if "difference" in one), default=0.0)
            numbers = [str(counts[outcome]) for outcome in OUTCOMES]
            rows.append([run["backend"], source or "all", str(len(some)), *numbers, f"{worst:.1g}"])
        each += [_row(run["backend"], one) for one in run["models"]]
    titles = ["backend", "model", "source", "parameters", "left", "masked against shrunk", "outcome"]
    dates = ", ".join(sorted({run["date"] for run in runs}))
    return [
        *pipe_table(head, rows), "", *pipe_table(titles, each), "",
        f"Keras {runs[0]['keras']}, {dates}, {runs[0]['machine']['cpu']}.", "",
    ]  # fmt: skip


def founding_table() -> list[str]:
    """Every arm of runs of `examples/founding/run.py`: what is left, word errors, the difference from dense."""
    lines = []
    for path in sorted(founding.RESULTS.parent.glob("*.json")):
        run = read_json(path)
        arms, references = run["arms"], run["references"]
        rows = []
        for arm, runs in arms.items():
            d = founding.difference(arms["dense"], runs, list(founding.STRINGS), references)
            left = f"{100 * founding.mean(runs, 'parameters') / founding.mean(arms['dense'], 'parameters'):.0f} %"
            zeros = max((one["zeros"]["difference"] for one in runs if "zeros" in one), default=None)
            rows.append([
                arm, str(len(runs)), f"{founding.mean(runs, 'parameters'):,.0f}", left,
                founding.spread([100 - 100 * founding.rate(one, ["words"], references) for one in runs]),
                founding.spread([100 * founding.rate(one, list(founding.STRINGS), references) for one in runs]),
                *(["", ""] if arm == "dense" else [founding.points(d), f"{d.b_better:.3f}"]),
                "" if zeros is None else f"{zeros:.0e}",
            ])  # fmt: skip
        titles = ["arm", "seeds", "parameters", "left", "test words right", "WER, all strings", "against dense, points",
                  "P(better)", "probabilities after deleting zeros differ by"]  # fmt: skip
        options = " ".join(
            f"--{name.replace('_', '-')} {' '.join(map(str, value)) if isinstance(value, list) else value}"
            for name, value in run["settings"].items()
            if name not in ("work", "ask", "formats") and (name != "lasso" or "zeros" in arms) and value is not None
        )
        about = (
            f"`KERAS_BACKEND={run['backend']} python examples/founding/run.py {options}`, {arms['dense'][0]['steps']} "
        )
        about += f"steps an arm, {run['date']}, {run['machine']['cpu']}."
        lines += [*pipe_table(titles, rows), "", about, ""]
    return lines


def _plain(text: str) -> str:
    """Without what Markdown would read."""
    return " ".join(re.sub(r"[|<>]", " ", text).split())


def _row(backend: str, one: dict[str, Any]) -> list[str]:
    left = f"{one['left']:,}" if "left" in one else ""
    difference = f"{one['difference']:.1g}" if "difference" in one else ""
    reason = _plain(one.get("reason", ""))
    what = one["outcome"] if one["outcome"] == "pruned" else f"{one['outcome']}: {reason[:240]}"
    size = f"{one['parameters']:,}" if "parameters" in one else ""
    return [backend, one["name"], one["source"], size, left, difference, what]
