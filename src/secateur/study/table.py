"""A study's outcome as a table: for the terminal, for Markdown documents, as plain values."""

from __future__ import annotations

from collections.abc import Sequence

from ..base.files import Json
from ..base.options import to_dict
from ..evaluate.bootstrap import Difference
from ..evaluate.breakdown import label
from ..evaluate.table import pipe_table, points, text_table
from .lm import LM
from .outcome import ArmOutcome, Outcome


def headings(outcome: Outcome) -> list[str]:
    """Column titles: the arm, what was removed, the tests (in pinyin, too, if that was counted), what it took."""
    tests = []
    for name in outcome.study.tests:
        tests += [f"{name}, %", "against control, points (95 %)", "P(better)"]
        if _in_pinyin(outcome, name):
            tests += ["pinyin, %", "against control, points (95 %)", "tones, %"]
    head = ["arm", "seeds", "weights pruned", "parameters removed"]
    if _zeros_counted(outcome):
        head.append("parameters removed or zero")
    return [*head, "dev, %", *tests, "ratio", "p (Holm)", "PFLOP", "training s"]


def cells(outcome: Outcome, arm: ArmOutcome) -> list[str]:
    """The cells of an arm's row, in the order of the headings."""
    row = [arm.arm, str(len(arm.seeds)), f"{100 * arm.removed_weights:.0f} %", f"{100 * arm.removed:.0f} %"]
    if _zeros_counted(outcome):
        row.append("" if arm.removed_or_zero is None else f"{100 * arm.removed_or_zero:.0f} %")
    row.append(f"{100 * arm.dev:.1f}")
    for name in outcome.study.tests:
        outcome_of_set = arm.sets[name]
        d = outcome_of_set.against
        row += [
            _spread(outcome_of_set.rate, outcome_of_set.deviation),
            _signed(d),
            "" if d is None else f"{d.b_better:.3f}",
        ]
        if _in_pinyin(outcome, name):
            p = outcome_of_set.pinyin
            row += (
                ["", "", ""] if p is None else [_spread(p.rate, p.deviation), _signed(p.against), f"{100 * p.tone:.1f}"]
            )
    first = arm.sets[outcome.study.domain]
    row.append("" if first.against is None else f"{arm.ratio:.3f}")
    row.append("" if first.adjusted is None else f"{first.adjusted:.3f}")
    return [*row, f"{arm.flops / 1e15:.1f}" if arm.flops else "0", f"{arm.seconds:.0f}"]


def _spread(rate: float, deviation: float | None) -> str:
    """A rate and how far seeds are from each other."""
    return f"{100 * rate:.1f}" + ("" if deviation is None else f" ± {100 * deviation:.1f}")


def _signed(d: Difference | None) -> str:
    """A difference with its interval."""
    return "" if d is None else f"{points(d.delta)} ({points(d.low)} to {points(d.high)})"


def _in_pinyin(outcome: Outcome, test: str) -> bool:
    return any(arm.sets[test].pinyin is not None for arm in outcome.arms if test in arm.sets)


def _zeros_counted(outcome: Outcome) -> bool:
    return any(arm.removed_or_zero is not None for arm in outcome.arms)


def text(outcome: Outcome) -> str:
    """Aligned columns, arms by dev."""
    return text_table(headings(outcome), [cells(outcome, arm) for arm in outcome.arms])


def markdown(outcome: Outcome) -> list[str]:
    """Lines of a Markdown table, arms by dev."""
    return pipe_table(headings(outcome), [cells(outcome, arm) for arm in outcome.arms])


def robustness(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """Error rates in domain under every disturbance and, as "lm", with a language model; differences from the control.

    Empty without any.
    """
    first = outcome.study.domain
    names = [c for c in (*outcome.study.conditions, LM) if any(f"{first}@{c}" in a.sets for a in outcome.arms)]
    rows = []
    for arm in (a for a in outcome.arms if a.arm in (*outcome.study.robust, *outcome.study.lm.arms)):
        row = [arm.arm]
        for key in (first, *(f"{first}@{name}" for name in names)):
            outcome_of_set = arm.sets.get(key)
            if outcome_of_set is None:
                row.append("")
            else:
                change = "" if outcome_of_set.against is None else f" ({points(outcome_of_set.against.delta)})"
                row.append(f"{100 * outcome_of_set.rate:.1f}{change}")
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
            errors_of_arm = [r.errors[data] for r in outcome.runs if r.arm == name]
            rate = sum(errors[i] for errors in errors_of_arm for i in which) / max(words * len(errors_of_arm), 1)
            row.append(f"{100 * rate:.1f}")
        rows.append(row)
    return ["speakers", "how many", "words", *names], rows


def as_values(outcome: Outcome) -> list[Json]:
    """Plain values, for JSON."""
    values = []
    for arm in outcome.arms:
        sets = {}
        for name, s in arm.sets.items():
            sets[name] = {"rate": s.rate, "sd": s.deviation, "interval": s.interval, "p_holm": s.adjusted}
            if s.against is not None:
                d = s.against
                sets[name] |= {"delta": d.delta, "delta_interval": (d.low, d.high), "p_better": d.b_better}
            if s.pinyin is not None:
                sets[name] |= {"pinyin": to_dict(s.pinyin)}
        values.append({
            "arm": arm.arm, "control": arm.control, "seeds": arm.seeds, "dev": arm.dev, "sets": sets,
            "removed": arm.removed, "removed_weights": arm.removed_weights, "removed_or_zero": arm.removed_or_zero,
            "steps": arm.steps, "flops": arm.flops,
            "seconds": arm.seconds, "ratio": arm.ratio, "reached": arm.reached,
        })  # fmt: skip
    return values
