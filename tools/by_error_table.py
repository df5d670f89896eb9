"""The table of removals by error (`experiments/by_error/run.sh`)."""

from __future__ import annotations

from pathlib import Path

from secateur.base.files import read_json
from secateur.evaluate.table import pipe_table

RESULTS = Path(__file__).resolve().parent.parent / "experiments" / "by_error" / "results"


def by_error_table() -> list[str]:
    """Every accepted removal, with the error rates before and after it."""
    head = ["model", "removed", "units", "training speakers, %", "held-out speakers, %", "sets to keep, %"]
    rows = []
    for path in sorted(RESULTS.glob("*.json")):
        run = read_json(path)
        for one in run["removed_sites"]:
            kept = ", ".join(f"{name} {_change(values)}" for name, values in one["kept"].items())
            changes = [_change(one[clips]) for clips in ("selected", "held_out")]
            rows.append([path.stem, f"`{one['site']}`", str(one["units"]), *changes, kept])
        if not run["removed_sites"]:
            test = f"test {100 * run['before']['test']:.1f}, unchanged" if "before" in run else ""
            rows.append([path.stem, "nothing", "0", "", test, ""])
    return [*pipe_table(head, rows), ""]


def controls_table() -> list[str]:
    """What lowers the error without training, and random removals of as many units: differences with intervals."""
    head = ["model", "set", "system", "error rate, %", "against the model as published, points (95 %)"]
    rows = []
    for path in sorted((RESULTS / "controls").glob("*.json")):
        measured = read_json(path)
        for name, systems in measured["results"].items():
            for system, one in systems.items():
                if "delta" in one:
                    ends = " to ".join(_points(one[end]) for end in ("low", "high"))
                    compared = f"{_points(one['delta'])} ({ends})"
                elif system == "random removals":
                    compared = f"five draws: {100 * one['low']:.1f} to {100 * one['high']:.1f} %"
                else:
                    compared = ""
                rows.append([measured["model"], name, system, f"{100 * one['rate']:.1f}", compared])
    return [*pipe_table(head, rows), ""]


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _change(rates: list[float]) -> str:
    return f"{100 * rates[0]:.1f} → {100 * rates[1]:.1f}"
