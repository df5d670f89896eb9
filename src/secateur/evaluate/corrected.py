"""A result with every hypothesis corrected by sound, with costs chosen on another set."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.progress import track
from ..text.by_sound import BySound, Competition
from ..text.normalise import normaliser
from ..text.rescore import RescoringWeights, weights_of
from .alternatives import has_alternatives
from .compare import compare_results
from .error_rate import Counts, count_errors, total
from .rescored import ATTENTION, LONG, candidates_of, chosen_weights, evidence_in, rate_with, rescored, with_rows
from .result import PINYIN_EXTRA, Result

CHANGED = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0)  # nats a changed character, to choose from
BOLD = 3.0  # of them, that with which the head's weight is chosen
HEAD = (0.0, 0.25, 0.5, 1.0, 2.0)  # weights of the head, to choose from
LM = (0.5, 0.65, 0.8)  # shares of a language model, to choose from


@dataclass(frozen=True)
class CostTrial:
    """Costs, and the error rate that a dev set has with them."""

    changed: float
    head: float
    rate: float
    careful: bool = True
    lm: float | None = None  # None: there is no language model


def corrected(result: Result, writer: BySound, name: str | None = None) -> Result:
    """`result` with every row's text (normalised) corrected by `writer`, counted again.

    Raises:
        SecateurError: the result has no rows, or is not of Chinese speech.
    """
    _check(result)
    clean = normaliser(result.language, result.normalise or None)
    rows = []
    for row in track(result.rows, "correcting", len(result.rows), quiet=len(result.rows) < LONG):
        text = clean(writer.correct(row.hypothesis, evidence_in(row)))
        rows.append(replace(row, hypothesis=text, counts=count_errors(row.reference, text, result.metric)))
    return replace(with_rows(result, rows), model=name or f"{result.model}, corrected")


def chosen(dev: Result, writer: BySound) -> tuple[BySound, list[CostTrial]]:
    """`writer` with the costs that leave the fewest errors in a dev set, and all that were tried.

    Of equal ones those that change least win. Where rows carry a head's output, its weight is chosen first, then what
    a changed character costs, and whether words and names stay (`SoundCosts.careful`): weak models write so many that
    are none that it pays to doubt them. A language model's share comes last.

    Raises:
        SecateurError: the result has no rows, or is not of Chinese speech.
    """
    _check(dev)
    evidence = [evidence_in(row) for row in dev.rows]
    trials: list[CostTrial] = []

    def try_all(settings: list[tuple[float, float, bool]], lm: float = writer.costs.lm) -> CostTrial:
        writers = [
            writer.costing(replace(writer.costs, changed=changed, head=head, careful=careful, lm=lm))
            for changed, head, careful in settings
        ]
        counts: list[list[Counts]] = [[] for _ in settings]
        asked = zip(dev.rows, evidence, strict=True)
        for row, one in track(asked, "choosing costs", len(dev.rows), quiet=len(dev.rows) < LONG):
            among: dict[bool, Competition] = {}  # what competes is found once for all that it is weighed by
            for now, some in zip(writers, counts, strict=True):
                careful = now.costs.careful
                if careful not in among:
                    among[careful] = now.competing(row.hypothesis, one)
                some.append(count_errors(row.reference, now.decided(among[careful]), dev.metric))
        share = None if writer.lm is None else lm
        for (changed, head, careful), some in zip(settings, counts, strict=True):
            trials.append(CostTrial(changed, head, total(some).rate, careful, share))
        return min(trials, key=lambda t: (t.rate, not t.careful, -t.changed, t.head))

    head = 0.0
    if any(one is not None for one in evidence):
        head = try_all([(BOLD, weight, False) for weight in HEAD]).head
    known = {(t.changed, t.head, t.careful) for t in trials}
    ways = (False,) if any(one is not None for one in evidence) else (True, False)
    grid = [(cost, head, careful) for careful in ways for cost in CHANGED]
    best = try_all([one for one in grid if one not in known])
    if writer.lm is not None:
        for share in (one for one in LM if one != writer.costs.lm):
            best = try_all([(best.changed, best.head, best.careful)], share)
    share = writer.costs.lm if best.lm is None else best.lm
    costs = replace(writer.costs, changed=best.changed, head=best.head, careful=best.careful, lm=share)
    return writer.costing(costs), trials


def correction(before: Result, writer: BySound, dev: Result | None = None) -> tuple[Result, Json]:
    """`before` corrected, with costs chosen on `dev` if there is one, and what came of it as plain values.

    Where rows carry alternatives, the best of them, by weights that are chosen in the same way, is what is corrected.

    Raises:
        SecateurError: a result has no rows, or is not of Chinese speech; or only one of the two has alternatives.
    """
    _check(before)
    start, best_of = before, None
    if has_alternatives(before.rows):
        start, dev, best_of = _rescoring(before, writer, dev)
    trials: list[CostTrial] = []
    if dev is not None:
        writer, trials = chosen(dev, writer)
    with_head = any(PINYIN_EXTRA in row.extras for row in before.rows)
    after = corrected(start, writer, f"{before.model}, corrected")
    d = compare_results(before, after).difference
    summary: Json = {
        "before": before.rate,
        "rescored": best_of,
        "after": after.rate,
        "changed": writer.costs.changed,
        "careful": writer.costs.careful,
        "head": writer.costs.head if with_head else None,
        "lm": None if writer.lm is None else writer.costs.lm,
        "dev": [asdict(t) for t in trials],
        "difference": {"delta": d.delta, "low": d.low, "high": d.high, "better": d.b_better},
    }
    if before.sounds is not None and after.sounds is not None:
        summary["pinyin"] = {"before": before.sounds.pinyin, "after": after.sounds.pinyin}
    how = {name: summary[name] for name in ("changed", "careful", "head", "lm", "before", "rescored")}
    return replace(after, settings={**after.settings, "corrected": how}), summary


def _rescoring(before: Result, writer: BySound, dev: Result | None) -> tuple[Result, Result | None, Json]:
    """Both results with the best alternative in every row, and weights and rates as plain values."""
    weights: RescoringWeights = weights_of(writer.model)
    if dev is not None:
        _check(dev)
        if not has_alternatives(dev.rows):
            raise SecateurError(
                f"'{before.model}' has alternatives and the dev result has none: evaluate it with --alternatives, too"
            )
        of_dev = candidates_of(dev, writer)
        weights = chosen_weights(dev, of_dev)
        dev = rescored(dev, of_dev, weights)
    candidates = candidates_of(before, writer)
    best = rescored(before, candidates, weights)
    d = compare_results(before, best).difference
    values: Json = {
        "weights": asdict(weights),
        "likeliest": rate_with(before, candidates, ATTENTION),
        "rate": best.rate,
        "dev": None if dev is None else dev.rate,
        "difference": {"delta": d.delta, "low": d.low, "high": d.high, "better": d.b_better},
    }
    return best, dev, values


def weighed(how: Json) -> str:
    """What a correction charged and asked, in a few words, of its summary or the settings of its result."""
    asked = [f"{how['changed']:g} nats a change"]
    asked += [f"pinyin head weighed {how['head']:g}"] if how["head"] is not None else []
    asked += [f"language model's share {how['lm']:g}"] if how.get("lm") is not None else []
    if how.get("rescored") is not None:
        weights = how["rescored"]["weights"]
        asked += [f"alternatives by head {weights['head']:g} and lm {weights['lm']:g}"]
    return ", ".join(asked)


def without_head(result: Result) -> Result:
    """`result` without a pinyin head's output: correction then goes by words alone."""
    rows = (replace(r, extras={k: v for k, v in r.extras.items() if k != PINYIN_EXTRA}) for r in result.rows)
    return replace(result, rows=tuple(rows))


def _check(result: Result) -> None:
    if not result.rows:
        raise SecateurError(f"the result of '{result.model}' has no rows: evaluate again and keep them")
    if result.metric != "cer" or not result.language.startswith("zh"):
        raise SecateurError(f"correction by sound is for Chinese; the result of '{result.model}' is {result.language}")
