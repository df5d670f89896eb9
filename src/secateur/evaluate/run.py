"""Evaluate anything that turns clips into texts: transcribe, normalise, count, resample."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.errors import UTTERANCES, SecateurError, several
from ..base.files import Json
from ..base.version import __version__
from ..models.family import Config, family_of
from ..text.languages import base_language
from ..text.normalise import normaliser, scheme_of
from .bootstrap import LEVEL, RESAMPLES, rate_interval
from .breakdown import group_rows
from .error_rate import Metric, compare_texts, metric_for, overall_metric, total
from .result import LanguageRate, Result, Row
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
    settings: Json | None = None,
    normalise: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Result:
    """Run `transcribe` over `utterances` and return the result with all its rows.

    `metric` defaults to what the clips' language is measured in (`metric_for`), `normalise` to the scheme that is right
    for it (`text.normalise`). Of clips in several languages each counts in its own metric, and `Result.languages` has
    their rates. For the phone error rate ("per") both transcripts and what `transcribe` gives are phones; nothing is
    normalised. `size` is the model's bytes on disk. Computing time is the wall clock around `transcribe`, reading audio
    included.

    Raises:
        SecateurError: no clips, a clip without transcript (`"text": ""` is one: nothing is spoken), an unknown language
            or scheme, or not one text a clip comes back.
    """
    _check(several("evaluate", utterances, UTTERANCES))
    codes = {u.language: base_language(u.language) for u in utterances}
    mixed = len(set(codes.values())) > 1
    language = ", ".join(sorted(set(codes.values() if len(codes) > 1 else codes)))
    chosen = metric or overall_metric(codes.values())
    schemes = {code: scheme_of(code, normalise) for code in sorted(set(codes.values()))}
    for code, scheme in schemes.items():
        normaliser(code, scheme)  # a package that is missing is an error before the work
    start = time.perf_counter()
    texts = transcribe(list(utterances))
    seconds = time.perf_counter() - start
    if len(texts) != len(utterances):
        raise SecateurError(f"{model}: {len(texts)} texts came back for {len(utterances)} clips")
    rows = []
    for utterance, text in zip(utterances, texts, strict=True):
        code = codes[utterance.language]
        compared = compare_texts(utterance.text, text, code, schemes[code], metric)
        extras = {key: value for key, value in utterance.extras.items() if isinstance(value, str | int | float)}
        if mixed:
            extras["language"] = code
        rows.append(
            Row(
                utterance.id, utterance.speaker, utterance.duration, compared.reference, compared.hypothesis,
                compared.counts, extras,
            )
        )  # fmt: skip
    used = {"version": __version__, "level": LEVEL, "resamples": resamples, "seed": seed, **(settings or {})}
    return summarise(
        rows, model=model, data=data, language=language, metric=chosen, seconds_compute=seconds,
        parameters=parameters, macs=macs, size=size, settings=used, resamples=resamples, seed=seed,
        normalise="" if chosen == "per" else ", ".join(
            set(schemes.values()) if len(set(schemes.values())) == 1 else [f"{c} {s}" for c, s in schemes.items()]
        ),
    )  # fmt: skip


def summarise(
    rows: Sequence[Row], *, model: str, data: str, language: str, metric: Metric, seconds_compute: float,
    parameters: int | None = None, macs: int | None = None, size: int | None = None,
    settings: Json | None = None, resamples: int = RESAMPLES, seed: int = 0, normalise: str = "",
) -> Result:  # fmt: skip
    """The result over counted rows; rates are nan where no row has a reference word.

    Rows in several languages say which in `extras["language"]`.
    """
    summed = total(row.counts for row in rows)
    speakers = [row.speaker for row in rows]
    interval = _interval(rows, resamples, seed)
    audio = sum(row.seconds for row in rows)
    texts = [(row.reference, row.hypothesis) for row in rows]
    sounds = measure_sounds(texts, speakers, resamples, seed) if "," not in language and has_sounds(language) else None
    return Result(
        model=model, data=data, language=language, metric=metric, rate=summed.rate, interval=interval,
        substitutions=summed.substitutions, deletions=summed.deletions, insertions=summed.insertions,
        words=summed.reference, utterances=len(rows), speakers=len({s for s in speakers if s}),
        seconds_audio=round(audio, 3), seconds_compute=round(seconds_compute, 3),
        rtf=round(seconds_compute / audio, 5) if audio else 0.0, parameters=parameters, macs=macs, bytes=size,
        sounds=sounds, settings=settings or {}, rows=tuple(rows), normalise=normalise,
        languages=_by_language(rows, metric, normalise, resamples, seed) if "," in language else (),
        without_reference=sum(not row.counts.reference for row in rows),
    )  # fmt: skip


def _interval(rows: Sequence[Row], resamples: int, seed: int) -> tuple[float, float]:
    words = [row.counts.reference for row in rows]
    if not sum(words):
        return float("nan"), float("nan")
    errors, speakers = [row.counts.errors for row in rows], [row.speaker for row in rows]
    return rate_interval(errors, words, speakers, resamples=resamples, seed=seed)


def _by_language(
    rows: Sequence[Row], metric: Metric, normalise: str, resamples: int, seed: int
) -> tuple[LanguageRate, ...]:
    """Each language in its own metric; the one with most clips first."""
    schemes = dict(part.split() for part in normalise.split(", ") if " " in part)
    rates = []
    for code, members in group_rows(rows, lambda row: str(row.extras["language"])).items():
        summed = total(row.counts for row in members)
        rates.append(
            LanguageRate(
                code, metric if metric == "per" else metric_for(code), schemes.get(code, normalise), summed.rate,
                _interval(members, resamples, seed), summed.errors, summed.reference, len(members),
                len({row.speaker for row in members if row.speaker}),
            )
        )  # fmt: skip
    return tuple(sorted(rates, key=lambda one: (-one.utterances, one.language)))


def with_cost(result: Result, config: Config) -> Result:
    """`result` with the model's parameters, and its multiply-accumulates for the mean clip and transcript."""
    family = family_of(config)
    tokens = max(round(TOKENS_A_WORD * result.words / result.utterances), 1)
    macs = family.macs(config, result.seconds_audio / result.utterances, tokens, None)
    return replace(result, parameters=family.parameters(config), macs=macs)


def _check(utterances: Sequence[Utterance]) -> None:
    if not utterances:
        raise SecateurError("there are no clips to evaluate")
    for utterance in utterances:
        if not utterance.labelled:
            raise SecateurError(
                f"clip '{utterance.id}' has no transcript: an error rate needs one for every clip "
                '("text": "" says that nothing is spoken)'
            )
