"""How much a language model should weigh: a search from coarse to fine on a development set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.progress import track
from ..data.manifest import Utterance
from ..decode.ctc.beam import BeamDecoder
from ..decode.options import DecodingOptions
from ..evaluate.error_rate import count_errors, metric_for, total
from ..lm.mix import shares
from ..lm.tables import read_ngram
from ..models.family import family_of
from ..runtime.recogniser import Recogniser
from ..text.normalise import normaliser

START = (0.8, -1.0, 1.0)  # weight, word bonus and blank penalty that the search starts from
STEPS = (0.4, 1.0, 0.5)  # how far it looks around; twice halved
HALVED = 2
TOGETHER = 16  # clips in a batch of the network


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

    Several models are first mixed in the shares that fit the transcripts best, unless `options` say in which. The
    network runs once for every clip.

    Raises:
        SecateurError: not a CTC model, or no language model.
    """
    if not family_of(recogniser.config).by_frame or not options.lm:
        raise SecateurError("weights of a language model are tuned for a CTC model with --lm")
    network = recogniser.by_frame
    if len(options.lm) > 1 and not options.lm_shares:
        fitted = shares([read_ngram(path) for path in options.lm], [u.text for u in utterances])
        options = replace(options, lm_shares=tuple(round(share, 4) for share in fitted))
    audios = [recogniser.samples(u) for u in utterances]
    order = sorted(range(len(audios)), key=lambda i: len(audios[i]))
    outputs = []
    for start in track(range(0, len(order), TOGETHER), "hearing the clips to tune on"):
        outputs += network.log_probs([audios[i] for i in order[start : start + TOGETHER]])
    labelled = [utterances[i] for i in order]
    trials = weigh(outputs, labelled, lambda **weights: network.decoder(replace(options, **weights)))
    best: dict[str, Any] = min(trials, key=lambda t: t.rate).weights
    return replace(options, **best), trials


def weigh(
    outputs: Sequence[NDArray[np.floating]], utterances: Sequence[Utterance], decoder: Callable[..., BeamDecoder]
) -> list[WeightTrial]:
    """Error rates around the best weights; `outputs` are the clips' log probabilities (frames, units).

    `decoder` takes `Tried.weights` by name. Pattern search (Hooke and Jeeves 1961), one weight after the other: a step
    up or down is taken as long as one makes fewer errors; then the steps are halved. The beam should be the one that
    will be used: much narrower ones prefer other weights.
    """
    clean = normaliser(utterances[0].language)
    metric = metric_for(utterances[0].language)
    references = [clean(u.text) for u in utterances]
    trials: dict[Weights, WeightTrial] = {}

    def rate(weights: Weights) -> float:
        if weights not in trials:
            point = WeightTrial(*weights, 0.0)
            texts = decoder(**point.weights).many(outputs)
            counts = [count_errors(r, clean(text), metric) for r, text in zip(references, texts, strict=True)]
            trials[weights] = replace(point, rate=total(counts).rate)
        return trials[weights].rate

    point, steps = START, STEPS
    for _ in track(range(HALVED + 1), "weighing the language model"):
        moved = True
        while moved:
            before = point
            for which, step in enumerate(steps):
                for signed in (step, -step):
                    weight, bonus, blank = (round(x + signed * (i == which), 4) for i, x in enumerate(point))
                    candidate = (weight, bonus, blank)
                    if candidate[0] > 0 and rate(candidate) < rate(point):
                        point = candidate
                        break
            moved = point != before
        steps = (steps[0] / 2, steps[1] / 2, steps[2] / 2)
    return list(trials.values())
