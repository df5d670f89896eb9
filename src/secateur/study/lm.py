"""A study's arms decoded with a language model: weights chosen on dev, the tests decoded with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.options import Settings, option
from ..base.progress import say
from ..data.job import JobData
from ..data.manifest import Utterance
from ..decode.ctc.beam import BeamDecoder, BeamOptions
from ..decode.fusion import BEAM as FUSION_BEAM
from ..decode.fusion import spoken
from ..evaluate.decoded import PLAIN, decoded
from ..evaluate.result import write_result
from ..evaluate.run import evaluate, with_cost
from ..evaluate.scoring import batch_seconds
from ..families.ctc.task import log_probs_bank
from ..lm.estimate import train_ngram
from ..lm.ngram import LanguageModel, Mixture, NGram
from ..lm.tables import read_ngram, write_ngram
from ..lm.word_tree import make_lexicon
from ..models.family import family_of
from ..runtime.recogniser import recogniser_of
from .lm_weights import tune, weigh

LM = "lm"  # results are `set@lm`, as those of disturbed sets are `set@condition`


@dataclass(frozen=True)
class StudyLm(Settings):
    """Which arms are decoded with a language model, and with which; several are mixed evenly."""

    arms: tuple[str, ...] = option((), "Decode the tests of these arms with a language model as well.")
    files: tuple[str, ...] = option(
        (), "Mix these models (of `secateur lm`, ARPA or PocketSphinx), relative to the data folder."
    )
    order: int = option(
        3,
        "Estimate a model of the training transcripts with n-grams up to this length; 0: none.",
        unit="words",
        least=0,
    )
    beam: int = option(32, "Search with this many beams.", unit="beams", least=1)
    outputs: bool = option(
        False, "Keep every CTC arm's outputs on dev and tests, to be decoded elsewhere (`study.reading`)."
    )


def language_model(settings: StudyLm, texts: Sequence[str], data_folder: Path) -> LanguageModel:
    """The study's language model.

    Raises:
        SecateurError: there is none, or a file cannot be read.
    """
    models = [read_ngram(data_folder / name) for name in settings.files]
    if settings.order:
        models.append(train_ngram(texts, settings.order))
    if not models:
        raise SecateurError("[lm]: name files, or an order above 0 for a model of the training transcripts")
    return models[0] if len(models) == 1 else Mixture(models)


def score_with_lm(
    settings: StudyLm, model: Any, text: Any, data: JobData, tests: Sequence[str], texts: Sequence[str],
    data_folder: Path, folder: Path, arm: str,
) -> dict[str, float]:  # fmt: skip
    """Error rates by `set@lm`; results are written to `folder`. An encoder-decoder searches with shallow fusion.

    Raises:
        SecateurError: there is no language model.
    """
    fused = not family_of(model.config).by_frame
    lm = language_model(settings, [spoken(text) for text in texts] if fused else texts, data_folder)
    if fused:
        return _score_fused(settings, lm, model, text, data, tests, folder, arm)
    lexicon = make_lexicon(text, lm.words, lm.unigrams.tolist())

    def decoder(**weights: float) -> BeamDecoder:
        return BeamDecoder(text, lm, BeamOptions(settings.beam, **weights), lexicon)

    def outputs_of(name: str, utterances: list[Utterance]) -> list[Any]:
        bank = data.bank(name, utterances, model.config.front_end.sample_rate)
        return log_probs_bank(model, bank, batch_seconds(data.device))

    trials = weigh(outputs_of("dev", data.dev), data.dev, decoder)
    best = min(trials, key=lambda t: t.rate)
    chosen = ", ".join(f"{name} {value:g}" for name, value in best.weights.items())
    say(f"{arm}: read with {chosen}: dev {100 * best.rate:.2f}")
    read, rates = decoder(**best.weights), {f"dev@{LM}": best.rate}
    for test in tests:
        outputs = outputs_of(test, data.tests[test])
        result = evaluate(
            lambda _, outputs=outputs: read.many(outputs),  # type: ignore[misc]
            data.tests[test],
            model=arm,
            data=f"{test}@{LM}",
            settings={**best.weights, "beam": settings.beam},
        )
        write_result(folder / f"{test}@{LM}.json", with_cost(result, model.config))
        rates[f"{test}@{LM}"] = result.rate
    return rates


def _score_fused(
    settings: StudyLm, lm: LanguageModel, model: Any, text: Any, data: JobData, tests: Sequence[str], folder: Path,
    arm: str,
) -> dict[str, float]:  # fmt: skip
    """The same of an encoder-decoder: the search itself asks the language model, word by word."""
    if not isinstance(lm, NGram):
        raise SecateurError("[lm]: an encoder-decoder searches with one language model: name one file, or an order")
    path = folder.parent / "lm.npz"
    write_ngram(path, lm)
    recogniser = recogniser_of(model.config)(model.to(data.device), text)
    options, trials = tune(recogniser, data.dev, replace(PLAIN, lm=(path,), beam=FUSION_BEAM))
    best = min(trials, key=lambda t: t.rate)
    say(f"{arm}: lm_weight {best.lm_weight:g}, word_bonus {best.word_bonus:g}: dev {100 * best.rate:.2f}")
    rates = {f"dev@{LM}": best.rate}
    for test in tests:
        result = evaluate(
            decoded(recogniser, options, label=f"{arm}: {test}, language model"),
            data.tests[test],
            model=arm,
            data=f"{test}@{LM}",
            settings={"lm_weight": best.lm_weight, "word_bonus": best.word_bonus, "beam": FUSION_BEAM},
        )
        write_result(folder / f"{test}@{LM}.json", with_cost(result, model.config))
        rates[f"{test}@{LM}"] = result.rate
    return rates
