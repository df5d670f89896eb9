"""How much a language model should weigh: a search from coarse to fine on a development set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.progress import say, track
from ..data.manifest import Utterance, evenly
from ..decode.ctc.beam import BeamDecoder
from ..decode.fusion import BEAM as FUSION_BEAM
from ..decode.fusion import BONUS, WEIGHT
from ..decode.options import DecodingOptions
from ..evaluate.decoded import decoded
from ..evaluate.error_rate import count_errors, metric_for, total
from ..lm.ngram import shares
from ..lm.tables import read_ngram
from ..models.family import family_of
from ..runtime.recogniser import Recogniser
from ..text.normalise import normaliser

START = (0.8, -1.0, 1.0)  # weight, word bonus and blank penalty that the search starts from
STEPS = (0.4, 1.0, 0.5)  # how far it looks around; twice halved
HALVED = 2
TOGETHER = 16  # clips in a batch of the network
FUSED_STEPS = (0.1, 0.5, 0.0)  # the same of an encoder-decoder
FUSED_CLIPS = 150  # that an encoder-decoder is tuned on


Weights = tuple[float, float, float]


@dataclass(frozen=True)
class WeightTrial:
    """One choice of weights and its error rate."""

    lm_weight: float
    word_bonus: float
    blank_penalty: float
    rate: float

    @property
    def weights(self) -> dict[str, float]:
        """Without the rate, as options have them."""
        return {"lm_weight": self.lm_weight, "word_bonus": self.word_bonus, "blank_penalty": self.blank_penalty}


def tune(
    recogniser: Recogniser, utterances: Sequence[Utterance], options: DecodingOptions
) -> tuple[DecodingOptions, list[WeightTrial]]:
    """`options` with the weight, word bonus and blank penalty that make the fewest errors; and all that was tried.

    Several models are first mixed in the shares that fit the transcripts best, unless `options` say in which. A CTC
    network runs once for every clip; an encoder-decoder decodes the clips anew with every choice, `FUSED_CLIPS` of them
    at the most, and has no blank.

    Raises:
        SecateurError: no language model.
    """
    if not options.lm:
        raise SecateurError("weights of a language model are tuned with --lm")
    if len(options.lm) > 1 and not options.lm_shares:
        fitted = shares([read_ngram(path) for path in options.lm], [u.text for u in utterances])
        options = replace(options, lm_shares=tuple(round(share, 4) for share in fitted))
    if not family_of(recogniser.config).by_frame:
        return _tune_fusion(recogniser, utterances, options)
    network = recogniser.by_frame
    audios = [recogniser.samples(u) for u in utterances]
    order = sorted(range(len(audios)), key=lambda i: len(audios[i]))
    outputs = []
    for start in track(range(0, len(order), TOGETHER), "hearing the clips to tune on"):
        outputs += network.log_probs([audios[i] for i in order[start : start + TOGETHER]])
    labelled = [utterances[i] for i in order]
    trials = weigh(outputs, labelled, lambda **weights: network.decoder(replace(options, **weights)))
    best: Json = min(trials, key=lambda t: t.rate).weights
    return replace(options, **best), trials


def _tune_fusion(
    recogniser: Recogniser, utterances: Sequence[Utterance], options: DecodingOptions
) -> tuple[DecodingOptions, list[WeightTrial]]:
    """`tune` for encoder-decoders: weight and word bonus of shallow fusion."""
    clips = evenly(utterances, FUSED_CLIPS)

    def texts(lm_weight: float, word_bonus: float, blank_penalty: float) -> list[str]:
        weighed = replace(options, lm_weight=lm_weight, word_bonus=word_bonus)
        return decoded(recogniser, weighed, label="")(clips)

    plain = replace(options, lm=(), beam=options.beam if options.beam > 1 else FUSION_BEAM)
    reference = WeightTrial(0.0, 0.0, 0.0, _rate(decoded(recogniser, plain, label="")(clips), clips))
    trials = [reference, *_search(texts, clips, (WEIGHT, BONUS, 0.0), FUSED_STEPS)]
    best = min(trials, key=lambda t: t.rate)
    if best is reference:
        say("the language model makes no fewer errors on these clips: it is weighted by 0")
        return replace(options, lm_weight=0.0, word_bonus=0.0), trials
    return replace(options, lm_weight=best.lm_weight, word_bonus=best.word_bonus), trials


def _rate(texts: Sequence[str], utterances: Sequence[Utterance]) -> float:
    """The error rate of texts."""
    clean, metric = normaliser(utterances[0].language), metric_for(utterances[0].language)
    counts = [count_errors(clean(u.text), clean(text), metric) for u, text in zip(utterances, texts, strict=True)]
    return total(counts).rate


def weigh(
    outputs: Sequence[NDArray[np.floating]], utterances: Sequence[Utterance], decoder: Callable[..., BeamDecoder]
) -> list[WeightTrial]:
    """Error rates around the best weights; `outputs` are the clips' log probabilities (frames, units).

    `decoder` takes `Tried.weights` by name. Pattern search (Hooke and Jeeves 1961), one weight after the other: a step
    up or down is taken as long as one makes fewer errors; then the steps are halved. The beam should be the one that
    will be used: much narrower ones prefer other weights.
    """

    def texts(lm_weight: float, word_bonus: float, blank_penalty: float) -> list[str]:
        weights = {"lm_weight": lm_weight, "word_bonus": word_bonus, "blank_penalty": blank_penalty}
        return decoder(**weights).many(outputs)

    return _search(texts, utterances, START, STEPS)


def _search(
    texts: Callable[..., list[str]], utterances: Sequence[Utterance], start: Weights, steps: Weights
) -> list[WeightTrial]:
    """The pattern search of `weigh`; `texts` takes the three weights. A step of 0 leaves a weight as it is."""
    trials: dict[Weights, WeightTrial] = {}

    def rate(weights: Weights) -> float:
        if weights not in trials:
            trials[weights] = WeightTrial(*weights, _rate(texts(*weights), utterances))
        return trials[weights].rate

    point = start
    for _ in track(range(HALVED + 1), "weighing the language model"):
        moved = True
        while moved:
            before = point
            for which, step in enumerate(steps):
                for signed in (step, -step) if step else ():
                    weight, bonus, blank = (round(x + signed * (i == which), 4) for i, x in enumerate(point))
                    candidate = (weight, bonus, blank)
                    if candidate[0] > 0 and rate(candidate) < rate(point):
                        point = candidate
                        break
            moved = point != before
        steps = (steps[0] / 2, steps[1] / 2, steps[2] / 2)
    return list(trials.values())
