"""The table of jobs on models of published sizes, from `benchmarks/large.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from secateur.base.files import read_json

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "large.json"


def verdict(line: dict[str, Any]) -> str:
    """What came of a job, and of its program where one ran what was written."""
    if line["exit"] != 0:
        return f"failed ({line['last_line'][:80]})" if line["exit"] != -9 else "stopped at its time limit"
    peer = line.get("run_by_its_program")
    if peer is None:
        return "done"
    return "done, its program runs it" if peer["exit"] == 0 else f"done, its program fails ({peer['last_line'][:60]})"


def table() -> list[str]:
    """One line a model and job."""
    values = read_json(RESULTS)
    lines = [
        "| model | stored, GB | job | peak memory, GB | times what is stored | s | written, GB | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, entry in values["models"].items():
        for job, line in entry["jobs"].items():
            written = f"{line['written_gb']:.2f}" if line["written_gb"] else ""
            lines.append(
                f"| {name} | {entry['stored_gb']:.2f} | {job} | {line['peak_gb']:.2f} | {line['times_stored']:.1f} "
                f"| {line['seconds']:.0f} | {written} | {verdict(line)} |"
            )
    loads = [line["load"] for entry in values["models"].values() for line in entry["jobs"].values()]
    dates = sorted({line["date"] for entry in values["models"].values() for line in entry["jobs"].values()})
    machine = values["machine"]
    lines += ["", f"{', '.join(dates)}; {machine['cores']} cores of {machine['cpu']}, one thread a job, load average "
              f"{min(loads):.0f} to {max(loads):.0f} after a job: seconds are upper bounds.", ""]  # fmt: skip
    return lines
