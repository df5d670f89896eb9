"""Tables of what was measured on two GPUs (`experiments/large/run.sh`): steps, memory, hours transcribed an hour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import packed

from secateur.base.files import read_json

FOLDER = Path(__file__).resolve().parent.parent / "experiments" / "large" / "results"
MISSING = ["Not measured yet: `experiments/large/run.sh OUT` on a machine with two GPUs.", ""]


def found(name: str) -> Any:
    """A result file; None where there is none."""
    path = packed.results(FOLDER) / f"{name}.json"
    return read_json(path) if path.exists() else None


def steady(log: list[dict[str, Any]]) -> float:
    """Utterances a second from the first validation to the last but one: without the start and the profile."""
    first, last = log[0], log[-2]
    counts = [e["utterances_per_second"] * e["seconds"] for e in (first, last)]
    return float((counts[1] - counts[0]) / (last["seconds"] - first["seconds"]))


def steps_table() -> list[str]:
    """One GPU beside two: speed, a step's parts, what both ranks hold."""
    runs = {n: found(f"steps{n}") for n in (1, 2)}
    if None in runs.values():
        return MISSING
    speeds = {n: steady(run["log"]) for n, run in runs.items()}
    lines = ["| | one GPU | two GPUs | times |", "|---|---|---|---|"]

    def line(label: str, values: dict[int, float], form: str = ".0f", inverse: bool = False) -> None:
        ratio = values[1] / values[2] if inverse else values[2] / values[1]
        lines.append(f"| {label} | {values[1]:{form}} | {values[2]:{form}} | {ratio:.2f} |")

    line("utterances a second", speeds)
    line("a step, ms", {n: run["step_ms"] for n, run in runs.items()}, inverse=True)
    line("of it the GPU computes, ms", {n: run["gpu_busy_ms"] for n, run in runs.items()}, ".1f", True)
    lines.append(f"| of that sums over both, ms | | {runs[2]['gpu_collectives_ms']:.1f} | |")
    line("kernels a step", {n: run["kernels_a_step"] for n, run in runs.items()})
    for label in runs[1]["host_ms"]:
        line(f"host: {label}, ms", {n: run["host_ms"].get(label, 0.0) or 1e-9 for n, run in runs.items()}, ".1f", True)
    line("dev WER, %", {n: 100 * run["log"][-1]["error"] for n, run in runs.items()}, ".2f")
    ranks = runs[2]["ranks"]
    equal = {key: "equal" if len({rank[key] for rank in ranks}) == 1 else "DIFFER" for key in ("masks", "weights")}
    lines += ["", f"Both ranks at step {ranks[0]['step']}: masks {equal['masks']}, weights {equal['weights']}. "
              f"{runs[1]['device']}, torch {runs[1]['torch']}.", ""]  # fmt: skip
    return lines


def kernels_table() -> list[str]:
    """Where a step's time on the GPU goes."""
    runs = {n: found(f"steps{n}") for n in (1, 2)}
    if None in runs.values():
        return MISSING
    other = {name: ms for name, _, ms in runs[2]["kernels"]}
    lines = ["| kernel | launches a step | ms, one GPU | ms, two |", "|---|---|---|---|"]
    for name, count, ms in runs[1]["kernels"][:12]:
        again = f"{other[name]:.2f}" if name in other else ""
        lines.append(f"| `{name[:70].replace('|', ' ')}` | {count:.0f} | {ms:.2f} | {again} |")
    return [*lines, ""]


def memory_table() -> list[str]:
    """Peaks of adapting and pruning at published sizes."""
    runs = found("memory")
    if runs is None:
        return MISSING
    lines = ["| model | batch | optimiser | layers again | stores off the GPU | GPU limited to | peak reserved "
             "| allocated | s a step | kept | verdict |", "|---|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for run in runs.values():
        s = run["settings"]
        limit = f"{run['cap_gib']:.0f} GiB" if run["cap_gib"] else "all"
        done = run.get("fits")
        lines.append(
            f"| {run['name']} | {s['batch_seconds']:.0f} s | {s['optimizer']} "
            f"| {'yes' if s['gradient_checkpointing'] else 'no'} | {'yes' if s['offload'] else 'no'} | {limit} "
            f"| {run.get('reserved_gib', 0):.1f} GiB | {run.get('allocated_gib', 0):.1f} GiB "
            + (
                f"| {run['seconds_a_step']:.2f} | {100 * run['kept']:.0f} % | fits |"
                if done
                else "| | | out of memory |"
            )
        )
    return [*lines, ""]


def bulk_table() -> list[str]:
    """Hours transcribed an hour."""
    run = found("bulk")
    if run is None:
        return MISSING
    ours, peers = run["ours"], run.get("peers", [])
    lines = [
        "| what | hours of audio | seconds | hours an hour | without the start | WER | ours, the same recordings "
        "| we are faster, with our start; without |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines.append(
        f"| `transcribe --device cuda` | {ours['hours']:.1f} | {ours['seconds']:.0f} | {ours['hours_an_hour']:.0f} "
        f"| {ours['steady_hours_an_hour']:.0f} | {100 * run['wer']['ours']:.2f} | | |"
    )
    for peer in peers:
        lines.append(
            f"| {peer['name']} {peer['version']}, batches of {peer['batch']} | {peer['hours']:.1f} "
            f"| {peer['seconds']:.0f} | {peer['hours_an_hour']:.0f} | | {100 * peer['wer']:.2f} "
            f"| {100 * peer['ours_wer']:.2f} | {peer['times']:.1f}; {peer['steady_times']:.1f} |"
        )
    for problem in run.get("peer_problems", []):
        last = problem["problem"].strip().splitlines()[-1]
        lines += ["", f"{problem['name']} in batches of {problem['batch']} failed: {last}"]
    lines += ["", f"{ours['failed']} of {run['recordings']} recordings failed."]
    return [*lines, ""]


TABLES: dict[str, Callable[[], list[str]]] = {
    "large-steps": steps_table, "large-kernels": kernels_table, "large-memory": memory_table, "large-bulk": bulk_table,
}  # fmt: skip
