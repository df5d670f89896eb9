"""The table of jobs on models of published sizes, from `benchmarks/large.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "large.jsonl"


def verdict(line: dict[str, Any]) -> str:
    """What came of a job, and of its program where one ran what was written."""
    if line["exit"] != 0:
        return f"failed ({line['last_line'][:80]})" if line["exit"] != -9 else "stopped at its time limit"
    peer = line.get("run_by_its_program")
    if peer is None:
        return "done"
    return "done, its program runs it" if peer["exit"] == 0 else f"done, its program fails ({peer['last_line'][:60]})"


def table() -> list[str]:
    """One line a model and job, in the order in which the file has them; then where and when."""
    found = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    names = list(dict.fromkeys(line["model"] for line in found))
    lines = [
        "| model | stored, GB | job | peak memory, GB | times stored | of a GPU, GB | s | written, GB | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in sorted(found, key=lambda line: names.index(line["model"])):
        written = f"{line['written_gb']:.2f}" if line["written_gb"] else ""
        times = f"{line['peak_gb'] / line['stored_gb']:.1f}"
        gpu = f"{line['gpu_peak_gb']:.1f}" if "gpu_peak_gb" in line else ""
        lines.append(
            f"| {line['model']} | {line['stored_gb']:.2f} | {line['job']} | {line['peak_gb']:.2f} "
            f"| {times} | {gpu} | {line['seconds']:.0f} | {written} | {verdict(line)} |"
        )
    return [*lines, "", *machines(found), ""]


def machines(found: list[dict[str, Any]]) -> list[str]:
    """A sentence for every kind of machine: dates, cores, threads, what else ran."""
    said = []
    for key in dict.fromkeys((line["cores"], line["cpu"], line["threads"]) for line in found):
        own = [line for line in found if (line["cores"], line["cpu"], line["threads"]) == key]
        dates, gpus = sorted({line["date"] for line in own}), sorted({line["gpu"] for line in own if "gpu" in line})
        beside = f"up to {max(line.get('beside', 0) for line in own)} other cells ran beside a cell"
        if any("load" in line for line in own):
            beside = f"load average {min(x['load'] for x in own):.0f} to {max(x['load'] for x in own):.0f} after a job"
        said.append(
            f"{len(own)} rows: {', '.join(dates)}; {key[0]} cores of {key[1]}{''.join(f', {gpu}' for gpu in gpus)}, "
            f"{key[2]} {'thread' if key[2] == 1 else 'threads'} a job, {beside}: seconds are upper bounds."
        )
    return said
