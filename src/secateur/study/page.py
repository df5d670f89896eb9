"""A study's page: the answer, the table, differences with their intervals, error against what is left, robustness."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ..base.files import write_text
from ..evaluate import plots
from ..evaluate.markup import page, section, table
from .outcome import ArmOutcome, Outcome
from .table import cells, headings, robustness, speaker_groups


def write_page(outcome: Outcome, path: Path) -> None:
    """Write one HTML file that needs nothing from the network."""
    study = outcome.study
    first = study.domain
    trained = [a for a in outcome.arms if not study.arms[a.arm].zero_shot]
    rows = [cells(outcome, arm) for arm in outcome.arms]
    parts = [
        f"<header><h1>{escape(study.name)}</h1><p>{escape(answer(outcome))}</p></header>",
        section("All arms, the best on dev first", "", _table(headings(outcome), rows, "Error rates and costs")),
    ]
    compared = [(a.arm, a.sets[first].against) for a in trained]
    known = [(name, d) for name, d in compared if d is not None]
    if known:
        note = f"Paired over speakers, pooled over seeds. Left of zero: fewer errors than '{study.control}'."
        parts.append(section(f"Against the control, {first}", note, f"<figure>{plots.forest(known)}</figure>"))
        points = [(a.arm, 100 * a.removed_weights, 100 * a.sets[first].rate) for a in trained]
        on_dev = plots.front([(a.arm, a.removed_weights, a.dev) for a in trained])
        drawn = plots.scatter(points, "encoder and decoder weights pruned, %", f"error on {first}, %", on_dev)
        note = (
            "Joined: the Pareto front on dev, where choices are made: no other arm has as few errors there with as "
            "much removed. Every other arm is beaten by one of these."
        )
        parts.append(section("Error against pruning", note, f"<figure>{drawn}</figure>"))
    titles, disturbed = robustness(outcome)
    if titles:
        note = "In brackets: points against the control under the same disturbance."
        parts.append(section("Disturbed speech", note, _table(titles, disturbed, "Error rates of disturbed copies")))
    shown_arms = [study.control, *(a.arm for a in trained if study.arms[a.arm].prune is not None)][:4]
    titles, grouped = speaker_groups(outcome, [name for name in shown_arms if any(r.arm == name for r in outcome.runs)])
    if grouped:
        note = "The control, and the pruned arms that are best on dev."
        parts.append(section(f"By group of speakers, {first}", note, _table(titles, grouped, "Error rates by group")))
    note = "Dev is reached when it is within 2 % of the control's best."
    parts.append(section("Convergence", note, _reached(trained)))
    write_text(path, page(study.name, "\n".join(parts)))


def answer(outcome: Outcome) -> str:
    """One sentence: the pruned arm that is best on dev, against its control on the first test set."""
    study, first = outcome.study, outcome.study.domain
    pruned = [a for a in outcome.arms if study.arms[a.arm].prune is not None and a.sets[first].against is not None]
    if not pruned:
        return "No pruned arm has been compared yet."
    best = pruned[0]
    d = best.sets[first].against
    assert d is not None
    word = "fewer" if d.high < 0 else "more" if d.low > 0 else "neither clearly fewer nor more"
    return (
        f"Chosen on dev, '{best.arm}' ({100 * best.removed_weights:.0f} % of the weights pruned) makes {word} errors "
        f"than '{best.control}' on {first}: {100 * d.b:.1f} % against {100 * d.a:.1f} %, difference "
        f"{100 * d.delta:+.1f} points ({100 * d.low:+.1f} to {100 * d.high:+.1f})."
    )


def _reached(arms: list[ArmOutcome]) -> str:
    rows = [[a.arm, "never" if a.reached is None else f"{100 * a.reached:.0f} %", f"{a.seconds:.0f}"] for a in arms]
    return _table(["arm", "steps until dev is reached", "training, s"], rows, "Convergence")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A table of plain text."""
    return table(titles, [[escape(cell) for cell in row] for row in rows], caption)
