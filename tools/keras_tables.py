"""Which Keras models can be pruned, from `benchmarks/results/keras_models_*.json`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

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


def _row(backend: str, one: dict[str, Any]) -> list[str]:
    left = f"{one['left']:,}" if "left" in one else ""
    difference = f"{one['difference']:.1g}" if "difference" in one else ""
    reason = re.sub(r"[|\n<>]", " ", one.get("reason", ""))
    what = one["outcome"] if one["outcome"] == "pruned" else f"{one['outcome']}: {reason[:240]}"
    size = f"{one['parameters']:,}" if "parameters" in one else ""
    return [backend, one["name"], one["source"], size, left, difference, what]
