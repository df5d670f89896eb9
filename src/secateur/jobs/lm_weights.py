"""How much a language model should weigh: a search from coarse to fine on a development set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.progress import track
from ..data.manifest import Utterance
from ..evaluate.error_rate import count_errors, metric_for, total
from ..models.decoding.ctc.beam import BeamDecoder
from ..models.decoding.options import DecodingOptions
from ..serve.ctc_recogniser import CtcRecogniser
from ..serve.recogniser import Recogniser
from ..text.normalise import normaliser

START = (0.8, 0.0)  # weight and word bonus that the search starts from
STEPS = (0.4, 1.0)  # how far it looks around; twice halved
HALVED = 2
TOGETHER = 16  # clips that the network hears at once


@dataclass(frozen=True)
class Tried:
    """One place and its error rate."""

    lm_weight: float
    word_bonus: float
    rate: float


def tune(
    recogniser: Recogniser, utterances: Sequence[Utterance], options: DecodingOptions
) -> tuple[DecodingOptions, list[Tried]]:
    """`options` with the language model's weight and word bonus that make the fewest errors; and all that was tried.

    The network hears every clip once.

    Raises:
        SecateurError: not a CTC model, or no language model.
    """
    if not isinstance(recogniser, CtcRecogniser) or not options.lm:
        raise SecateurError("weights of a language model are tuned for a CTC model with --lm")
    audios = [recogniser.samples(u.audio) for u in utterances]
    order = sorted(range(len(audios)), key=lambda i: len(audios[i]))
    heard = []
    for start in track(range(0, len(order), TOGETHER), "hearing the clips to tune on"):
        heard += recogniser.log_probs([audios[i] for i in order[start : start + TOGETHER]])
    told = [utterances[i] for i in order]
    tried = weigh(heard, told, lambda w, b: recogniser.decoder(replace(options, lm_weight=w, word_bonus=b)))
    best = min(tried, key=lambda t: t.rate)
    return replace(options, lm_weight=best.lm_weight, word_bonus=best.word_bonus), tried


def weigh(
    heard: Sequence[NDArray[np.floating]], utterances: Sequence[Utterance],
    decoder: Callable[[float, float], BeamDecoder],
) -> list[Tried]:  # fmt: skip
    """Error rates around the best place; `heard` are the clips' log probabilities (frames, units).

    Pattern search (Hooke and Jeeves 1961): go to the best neighbour as long as one is better, then look nearer by. The
    beam is the one that will be used: narrower ones prefer other weights.
    """
    clean = normaliser(utterances[0].language)
    metric = metric_for(utterances[0].language)
    references = [clean(u.text) for u in utterances]
    tried: dict[tuple[float, float], float] = {}

    def rate(place: tuple[float, float]) -> float:
        if place not in tried:
            texts = decoder(*place).many(heard)
            counts = [count_errors(r, clean(text), metric) for r, text in zip(references, texts, strict=True)]
            tried[place] = total(counts).rate
        return tried[place]

    here, steps = START, STEPS
    for _ in track(range(HALVED + 1), "weighing the language model"):
        moved = True
        while moved:
            around = [(here[0] + x * steps[0], here[1] + y * steps[1]) for x, y in ((-1, 0), (1, 0), (0, -1), (0, 1))]
            near = [(round(w, 3), round(b, 3)) for w, b in around if w > 0]
            best = min([here, *near], key=rate)
            moved, here = best != here, best
        steps = (steps[0] / 2, steps[1] / 2)
    return [Tried(*place, found) for place, found in tried.items()]
