"""A study's outcome as a table: for the terminal, for Markdown documents, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...evaluate.breakdown import label
from ...evaluate.table import pipe_table, points, text_table
from .outcome import ArmOutcome, Outcome


def headings(outcome: Outcome) -> list[str]:
    """Column titles: the arm, what was removed, the tests, what it took."""
    tests = [t for name in outcome.study.tests for t in (f"{name}, %", "against control, points (95 %)", "P(better)")]
    return ["arm", "seeds", "weights gone", "values gone", "dev, %", *tests, "ratio", "p (Holm)", "PFLOP", "training s"]


def cells(outcome: Outcome, arm: ArmOutcome) -> list[str]:
    """One row."""
    row = [arm.arm, str(len(arm.seeds)), f"{100 * arm.removed_weights:.0f} %", f"{100 * arm.removed:.0f} %"]
    row.append(f"{100 * arm.dev:.1f}")
    for name in outcome.study.tests:
        found = arm.sets[name]
        spread = "" if found.deviation is None else f" ± {100 * found.deviation:.1f}"
        row.append(f"{100 * found.rate:.1f}{spread}")
        d = found.against
        signed = "" if d is None else f"{points(d.delta)} ({points(d.low)} to {points(d.high)})"
        row += [signed, "" if d is None else f"{d.b_better:.3f}"]
    first = arm.sets[outcome.study.domain]
    row.append("" if first.against is None else f"{arm.ratio:.3f}")
    row.append("" if first.adjusted is None else f"{first.adjusted:.3f}")
    return [*row, f"{arm.flops / 1e15:.1f}" if arm.flops else "0", f"{arm.seconds:.0f}"]


def text(outcome: Outcome) -> str:
    """Aligned columns, arms by dev."""
    return text_table(headings(outcome), [cells(outcome, arm) for arm in outcome.arms])


def markdown(outcome: Outcome) -> list[str]:
    """Lines of a Markdown table, arms by dev."""
    return pipe_table(headings(outcome), [cells(outcome, arm) for arm in outcome.arms])


def robustness(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """Error rates in domain under every disturbance, with the difference from the control; empty without any."""
    first = outcome.study.domain
    names = [c for c in outcome.study.conditions if any(f"{first}@{c}" in a.sets for a in outcome.arms)]
    rows = []
    for arm in (a for a in outcome.arms if a.arm in outcome.study.robust):
        row = [arm.arm]
        for key in (first, *(f"{first}@{name}" for name in names)):
            found = arm.sets.get(key)
            if found is None:
                row.append("")
            else:
                change = "" if found.against is None else f" ({points(found.against.delta)})"
                row.append(f"{100 * found.rate:.1f}{change}")
        rows.append(row)
    return (["arm", "as recorded", *names], rows) if names else ([], [])


def speaker_groups(outcome: Outcome, names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Error rates in domain of the arms `names` by what the manifest says of speakers (gender, tens of age, accent)."""
    data = outcome.study.domain
    clips = outcome.clips[data]
    members: dict[tuple[str, str], list[int]] = {}
    for i, extras in enumerate(clips.extras):
        for key, value in extras.items():
            members.setdefault((key, label(value)), []).append(i)
    rows = []
    for (key, value), which in sorted(members.items()):
        words = sum(clips.words[i] for i in which)
        row = [f"{key}: {value}", str(len({clips.speakers[i] for i in which})), str(words)]
        for name in names:
            found = [r.errors[data] for r in outcome.runs if r.arm == name]
            rate = sum(errors[i] for errors in found for i in which) / max(words * len(found), 1)
            row.append(f"{100 * rate:.1f}")
        rows.append(row)
    return ["speakers", "how many", "words", *names], rows


def as_values(outcome: Outcome) -> list[dict[str, Any]]:
    """Plain values, for JSON."""
    found = []
    for arm in outcome.arms:
        sets = {}
        for name, s in arm.sets.items():
            sets[name] = {"rate": s.rate, "sd": s.deviation, "interval": s.interval, "p_holm": s.adjusted}
            if s.against is not None:
                d = s.against
                sets[name] |= {"delta": d.delta, "delta_interval": (d.low, d.high), "p_better": d.b_better}
        found.append({
            "arm": arm.arm, "control": arm.control, "seeds": arm.seeds, "dev": arm.dev, "sets": sets,
            "removed": arm.removed, "removed_weights": arm.removed_weights, "steps": arm.steps, "flops": arm.flops,
            "seconds": arm.seconds, "ratio": arm.ratio, "reached": arm.reached,
        })  # fmt: skip
    return found
