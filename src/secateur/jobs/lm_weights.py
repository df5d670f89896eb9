"""How much a language model should weigh: a small grid on a development set."""

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

WEIGHTS = (0.3, 0.5, 0.8, 1.2)
BONUSES = (0.0, 1.0, 2.0)
BEAM = 8  # hypotheses while weights are tried: which are best hardly depends on it
TOGETHER = 16  # clips that the network hears at once


@dataclass(frozen=True)
class Tried:
    """One place of the grid and its error rate."""

    lm_weight: float
    word_bonus: float
    rate: float


def tune(
    recogniser: Recogniser, utterances: Sequence[Utterance], options: DecodingOptions
) -> tuple[DecodingOptions, list[Tried]]:
    """`options` with the language model's weight and word bonus that make the fewest errors; and the whole grid.

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
    tried = weigh(heard, told, lambda w, b: recogniser.decoder(replace(options, beam=BEAM, lm_weight=w, word_bonus=b)))
    best = min(tried, key=lambda t: t.rate)
    return replace(options, lm_weight=best.lm_weight, word_bonus=best.word_bonus), tried


def weigh(
    heard: Sequence[NDArray[np.floating]], utterances: Sequence[Utterance],
    decoder: Callable[[float, float], BeamDecoder],
) -> list[Tried]:  # fmt: skip
    """The error rate at every place of the grid; `heard` are the clips' log probabilities (frames, units)."""
    clean = normaliser(utterances[0].language)
    metric = metric_for(utterances[0].language)
    references = [clean(u.text) for u in utterances]
    tried = []
    for weight, bonus in track([(w, b) for w in WEIGHTS for b in BONUSES], "weighing the language model"):
        read = decoder(weight, bonus)
        counts = [count_errors(r, clean(read(h)), metric) for r, h in zip(references, heard, strict=True)]
        tried.append(Tried(weight, bonus, total(counts).rate))
    return tried
