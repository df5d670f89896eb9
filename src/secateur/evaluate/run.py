"""Evaluate anything that turns clips into texts: transcribe, normalise, count, resample."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base.errors import SecateurError
from ..base.version import __version__
from ..models.family import Config, family_of
from ..text.normalise import normaliser
from .bootstrap import LEVEL, RESAMPLES, rate_interval
from .error_rate import Metric, count_errors, metric_for, total
from .result import Result, Row
from .sounds import has_sounds, measure_sounds

if TYPE_CHECKING:
    from ..data.manifest import Utterance

TOKENS_A_WORD = 1.3  # English under Whisper's BPE

Transcribe = Callable[[list["Utterance"]], list[str]]


def evaluate(
    transcribe: Transcribe,
    utterances: Sequence[Utterance],
    *,
    model: str,
    data: str,
    metric: Metric | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    size: int | None = None,
    settings: dict[str, Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Result:
    """Run `transcribe` over `utterances` and return everything that was found.

    `metric` defaults to what the clips' language is measured in (`metric_for`); all clips must share one language.
    For the phone error rate ("per") both transcripts and what `transcribe` gives are phones; nothing is normalised.
    `size` is the model's bytes on disk. Computing time is the wall clock around `transcribe`, reading audio included.

    Raises:
        SecateurError: no clips, a clip without transcript, several languages, or not one text a clip comes back.
    """
    _check(utterances)
    language = utterances[0].language
    chosen = metric or metric_for(language)
    normalise = (lambda phones: phones) if chosen == "per" else normaliser(language)
    start = time.perf_counter()
    texts = transcribe(list(utterances))
    seconds = time.perf_counter() - start
    if len(texts) != len(utterances):
        raise SecateurError(f"{model}: {len(texts)} texts came back for {len(utterances)} clips")
    rows = []
    for utterance, text in zip(utterances, texts, strict=True):
        reference, hypothesis = normalise(utterance.text), normalise(text)
        counts = count_errors(reference, hypothesis, chosen)
        rows.append(
            Row(
                utterance.id, utterance.speaker, utterance.duration, reference, hypothesis, counts,
                {key: value for key, value in utterance.extras.items() if isinstance(value, str | int | float)},
            )
        )  # fmt: skip
    used = {"version": __version__, "level": LEVEL, "resamples": resamples, "seed": seed, **(settings or {})}
    return summarise(
        rows, model=model, data=data, language=language, metric=chosen, seconds_compute=seconds,
        parameters=parameters, macs=macs, size=size, settings=used, resamples=resamples, seed=seed,
    )  # fmt: skip


def summarise(
    rows: Sequence[Row], *, model: str, data: str, language: str, metric: Metric, seconds_compute: float,
    parameters: int | None = None, macs: int | None = None, size: int | None = None,
    settings: dict[str, Any] | None = None, resamples: int = RESAMPLES, seed: int = 0,
) -> Result:  # fmt: skip
    """The result over counted rows.

    Raises:
        SecateurError: no row has a reference.
    """
    summed = total(row.counts for row in rows)
    speakers = [row.speaker for row in rows]
    interval = rate_interval(
        [row.counts.errors for row in rows], [row.counts.reference for row in rows], speakers,
        resamples=resamples, seed=seed,
    )  # fmt: skip
    audio = sum(row.seconds for row in rows)
    texts = [(row.reference, row.hypothesis) for row in rows]
    sounds = measure_sounds(texts, speakers, resamples, seed) if has_sounds(language) else None
    return Result(
        model=model, data=data, language=language, metric=metric, rate=summed.rate, interval=interval,
        substitutions=summed.substitutions, deletions=summed.deletions, insertions=summed.insertions,
        words=summed.reference, utterances=len(rows), speakers=len({s for s in speakers if s}),
        seconds_audio=round(audio, 3), seconds_compute=round(seconds_compute, 3), rtf=round(seconds_compute / audio, 5),
        parameters=parameters, macs=macs, bytes=size, sounds=sounds, settings=settings or {}, rows=tuple(rows),
    )  # fmt: skip


def with_cost(result: Result, config: Config) -> Result:
    """`result` with the model's parameters, and its multiply-accumulates for the mean clip and transcript."""
    family = family_of(config)
    tokens = round(TOKENS_A_WORD * result.words / result.utterances)
    macs = family.macs(config, result.seconds_audio / result.utterances, tokens, None)
    return replace(result, parameters=family.parameters(config), macs=macs)


def _check(utterances: Sequence[Utterance]) -> None:
    if not utterances:
        raise SecateurError("there are no clips to evaluate")
    for utterance in utterances:
        if not utterance.text:
            raise SecateurError(f"clip '{utterance.id}' has no transcript: an error rate needs one for every clip")
    languages = sorted({utterance.language for utterance in utterances})
    if len(languages) > 1:
        raise SecateurError(f"the clips are in several languages ({', '.join(languages[:5])}): evaluate one at a time")
