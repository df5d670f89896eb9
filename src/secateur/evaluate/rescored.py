"""A result with the best of every clip's alternatives in place of its hypothesis, by weights chosen on another set."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..base.progress import track
from ..text.by_sound import BySound
from ..text.head_evidence import HeadEvidence
from ..text.rescore import RescoringWeights, TextScores, head_scores
from .alternatives import alternatives_in
from .error_rate import count_errors, total
from .result import PINYIN_EXTRA, Result, Row
from .run import summarise

HEAD = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)  # weights to choose from
LM = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
LENGTH = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)  # nats a character
LONG = 100  # clips for which progress is shown
ATTENTION = RescoringWeights(head=0.0, lm=0.0, length=0.0)  # the recogniser's likeliest text

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """A clip's texts, and what speaks for each: columns attention, head, lm, characters (texts, 4)."""

    texts: tuple[str, ...]
    evidence: Floats

    def best(self, weights: RescoringWeights) -> int:
        """The place of the text that scores best; of equal ones the recogniser's likeliest."""
        return int((self.evidence @ [1.0, weights.head, weights.lm, weights.length]).argmax())


def candidates_of(result: Result, writer: BySound) -> list[Candidates]:
    """The scored alternatives of every row; a row without any has its hypothesis alone."""
    scores = TextScores(writer)
    rows = track(result.rows, "rescoring", len(result.rows), quiet=len(result.rows) < LONG)
    return [_candidates(row, scores) for row in rows]


def _candidates(row: Row, scores: TextScores) -> Candidates:
    listed = alternatives_in(row)
    if not listed:
        return Candidates((row.hypothesis,), np.zeros((1, 4)))
    texts = tuple(one.text for one in listed)
    heads = head_scores(texts, evidence_in(row))
    columns = [
        (one.log_prob, head, scores.log_prob(one.text), len(one.text)) for one, head in zip(listed, heads, strict=True)
    ]
    return Candidates(texts, np.array(columns, float))


def chosen_weights(dev: Result, candidates: Sequence[Candidates]) -> RescoringWeights:
    """The weights that leave the fewest errors in a dev set; of equal ones the smallest."""
    with_head = any(PINYIN_EXTRA in row.extras for row in dev.rows)
    errors = [
        np.array([count_errors(row.reference, text, dev.metric).errors for text in one.texts])
        for row, one in zip(dev.rows, candidates, strict=True)
    ]
    table = np.array([[1.0, *weights] for weights in itertools.product(HEAD if with_head else (0.0,), LM, LENGTH)])
    left = sum(each[(one.evidence @ table.T).argmax(0)] for each, one in zip(errors, candidates, strict=True))
    best: list[float] = table[int(np.argmin(left))].tolist()
    return RescoringWeights(*best[1:])


def rescored(result: Result, candidates: Sequence[Candidates], weights: RescoringWeights) -> Result:
    """`result` with every row's best text under `weights`, counted again."""
    rows = []
    for row, one in zip(result.rows, candidates, strict=True):
        text = one.texts[one.best(weights)]
        rows.append(replace(row, hypothesis=text, counts=count_errors(row.reference, text, result.metric)))
    return with_rows(result, rows)


def rate_with(result: Result, candidates: Sequence[Candidates], weights: RescoringWeights) -> float:
    """The error rate of the same, without the rest of a result."""
    return total(
        count_errors(row.reference, one.texts[one.best(weights)], result.metric)
        for row, one in zip(result.rows, candidates, strict=True)
    ).rate


def with_rows(result: Result, rows: Sequence[Row]) -> Result:
    """`result` over rows whose texts have changed, counted again."""
    return summarise(
        rows, model=result.model, data=result.data, language=result.language, metric=result.metric,
        seconds_compute=result.seconds_compute, parameters=result.parameters, macs=result.macs, size=result.bytes,
        settings=result.settings, normalise=result.normalise,
    )  # fmt: skip


def evidence_in(row: Row) -> HeadEvidence | None:
    """The output of a pinyin head for a row's clip, if it is recorded."""
    text = row.extras.get(PINYIN_EXTRA)
    return None if text is None else HeadEvidence.read(str(text))
