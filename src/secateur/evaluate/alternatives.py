"""The likeliest texts of each clip in the rows of a result, for a choice among them when more is known (`rescored`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ..base.errors import SecateurError
from ..text.normalise import normaliser
from .result import ALTERNATIVES_EXTRA, Result, Row


@dataclass(frozen=True)
class Alternative:
    """A text that a model may have meant, and its log probability under that model."""

    text: str
    log_prob: float


def with_alternatives(result: Result, lists: Sequence[Sequence[Alternative]]) -> Result:
    """`result` with every row's list, likeliest first, as an extra; texts normalised as the row's, each once."""
    rows = []
    for row, listed in zip(result.rows, lists, strict=True):
        clean, likeliest = _normaliser(result, row), dict[str, float]()
        for one in sorted(listed, key=lambda one: -one.log_prob):
            likeliest.setdefault(clean(one.text), round(one.log_prob, 2))
        rows.append(replace(row, extras={**row.extras, ALTERNATIVES_EXTRA: [list(p) for p in likeliest.items()]}))
    return replace(result, rows=tuple(rows))


def alternatives_in(row: Row) -> list[Alternative]:
    """A row's texts, likeliest first; none if they were not kept.

    Raises:
        SecateurError: what stands there is no such list.
    """
    try:
        return [Alternative(str(text), float(score)) for text, score in row.extras.get(ALTERNATIVES_EXTRA, ())]
    except (TypeError, ValueError) as problem:
        raise SecateurError(
            f"clip '{row.id}': its alternatives are not texts with log probabilities: evaluate the model again"
        ) from problem


def has_alternatives(rows: Iterable[Row]) -> bool:
    """Whether any row has some."""
    return any(ALTERNATIVES_EXTRA in row.extras for row in rows)


def without_alternatives(result: Result) -> Result:
    """`result` with its hypotheses alone."""
    rows = (replace(r, extras={k: v for k, v in r.extras.items() if k != ALTERNATIVES_EXTRA}) for r in result.rows)
    return replace(result, rows=tuple(rows))


def _normaliser(result: Result, row: Row) -> Callable[[str], str]:
    """How the texts of a row of `result` were normalised; of several languages each has its own scheme."""
    schemes = dict(part.split() for part in result.normalise.split(", ") if " " in part)
    language = str(row.extras["language"]) if "," in result.language else result.language
    return normaliser(language, schemes.get(language, result.normalise) or None)
