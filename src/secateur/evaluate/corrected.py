"""A result as it would be with every hypothesis rewritten, and the rewriting chosen on another set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..base.errors import SecateurError
from ..text.normalise import normaliser
from .error_rate import count_errors, total
from .result import Result, Row
from .run import summarise

HEARD = "pinyin_heard"  # the extra in which rows carry what a pinyin head heard
Rewrite = Callable[[Row], str]


def corrected(result: Result, rewrite: Rewrite, name: str | None = None) -> Result:
    """`result` with `rewrite` applied to every row (whose texts are normalised), counted again.

    Raises:
        SecateurError: the result has no rows.
    """
    if not result.rows:
        raise SecateurError(f"the result of '{result.model}' has no rows: evaluate again and keep them")
    normalise = normaliser(result.language)
    rows = []
    for row in result.rows:
        text = normalise(rewrite(row))
        rows.append(replace(row, hypothesis=text, counts=count_errors(row.reference, text, result.metric)))
    return summarise(
        rows, model=name or f"{result.model}, corrected", data=result.data, language=result.language,
        metric=result.metric, seconds_compute=result.seconds_compute, parameters=result.parameters, macs=result.macs,
        size=result.bytes, settings=result.settings,
    )  # fmt: skip


def choose(result: Result, rewrites: Mapping[float, Rewrite]) -> tuple[float, dict[float, float]]:
    """The key of the rewriting that leaves the fewest errors in `result` (a dev set), and the error rate of each.

    Of equal ones the largest key, which changes least, wins.
    """
    rates = {
        key: total(count_errors(r.reference, rewrite(r), result.metric) for r in result.rows).rate
        for key, rewrite in rewrites.items()
    }
    return min(rates, key=lambda key: (rates[key], -key)), rates
