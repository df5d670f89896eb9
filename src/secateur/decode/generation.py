"""What decoding must know about one model: thresholds calibrated for it, and what it was not trained to do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.options import changed_fields
from ..base.progress import say_once
from .options import DecodingOptions

THRESHOLDS = (
    "compression_ratio_threshold", "log_prob_threshold", "no_speech_threshold", "no_speech_tilt", "unlikely_threshold",
)  # fmt: skip
TILTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # that calibration tries

MARGIN = 0.2  # log odds at least above the speech that was least like speech: others will be less like it


@dataclass(frozen=True)
class Generation:
    """Part of `export.json`. Thresholds are those of `DecodingOptions`; None: not calibrated, the option's default.

    Attributes:
        prompts: whether expected words and other prompts help; a model that loses words by them is not given any.
        previous_text: whether the text before a window may be its prompt.
        window_seconds: the longest window of a recording that does not fit one; None: what the model holds.
        trusted: mean log probability from which text counts that was decoded from sound without a sign of speech.
    """

    compression_ratio_threshold: float | None = None
    log_prob_threshold: float | None = None
    no_speech_threshold: float | None = None
    no_speech_tilt: float | None = None
    unlikely_threshold: float | None = None
    prompts: bool = True
    previous_text: bool = True
    window_seconds: float | None = None
    trusted: float = -0.5

    def applied(self, options: DecodingOptions) -> DecodingOptions:
        """`options` with this model's thresholds, unless any was given or `calibrated` is off, and no prompt too many.

        Prompts that would cost words are left out, and a warning says so once.
        """
        if options.words and not self.prompts:
            say_once("this model was not trained with prompts and loses words by them: the words to expect are ignored")
            options = replace(options, words=())
        if options.condition_on_previous and not (self.previous_text and self.prompts):
            say_once("this model was not trained with previous text: windows are decoded each by itself")
            options = replace(options, condition_on_previous=False)
        if not options.calibrated or not {one.name for one in changed_fields(options)}.isdisjoint(THRESHOLDS):
            return options
        own = {name: getattr(self, name) for name in THRESHOLDS}
        return replace(options, **{name: value for name, value in own.items() if value is not None})


@dataclass(frozen=True)
class UngatedOutputs:
    """A model's outputs for clips that were decoded without any gate.

    Attributes:
        log_prob: mean log probability of each text (clips,); NaN where nothing was written.
        no_speech: probability of no speech (clips,); NaN where the model gives none.
        repetition: compression ratio of each text (clips,).
    """

    log_prob: NDArray[np.float64]
    no_speech: NDArray[np.float64]
    repetition: NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Thresholds that were chosen, and the shares of clips they err on among those they were chosen on."""

    generation: Generation
    lost: float  # share of speech clips whose text would be dropped
    invented: float  # share of clips without speech that would keep a text


def log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(p / (1 - p)), finite for 0 and 1.

    >>> log_odds(np.array([0.5])).tolist()
    [0.0]
    """
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    odds: NDArray[np.float64] = np.log(clipped) - np.log1p(-clipped)
    return odds


def calibrate(
    speech: UngatedOutputs,
    other: UngatedOutputs,
    lost: float = 0.001,
    invented: float = 0.04,
    base: Generation | None = None,
) -> Calibration:
    """Thresholds that drop at most the share `lost` of `speech` and keep, if possible, at most `invented` of `other`.

    Text is dropped where `log_odds(no_speech) - tilt * log_prob` is above a threshold. The tilt is the one that keeps
    least of `other`; the threshold lies half way between what `lost` and what `invented` allow. A model without a
    no-speech token is judged by `log_prob` alone.

    Raises:
        SecateurError: no clips with text among `speech`, or no clips in `other`.
    """
    base = base or Generation()
    written = ~np.isnan(speech.log_prob)
    if not written.any() or not len(other.log_prob):
        raise SecateurError("calibration needs clips with speech that give text, and clips without speech")
    silent_by_itself = np.isnan(other.log_prob)
    known = not np.isnan(speech.no_speech[written]).any()
    best: tuple[float, float, float, float] | None = None  # kept of other, lost, tilt, threshold
    for tilt in TILTS if known else (1.0,):
        score = _scores(speech, tilt, known)[written]
        noise = np.where(silent_by_itself, np.inf, _scores(other, tilt, known))
        needed = float(np.sort(score)[len(score) - 1 - int(lost * len(score))])  # the lowest that loses no more
        allowed = float(np.sort(noise)[int(invented * len(noise))])  # the highest that keeps no more
        threshold = (needed + min(allowed, needed + 6)) / 2 if allowed > needed + 2 * MARGIN else needed + MARGIN
        kept = float((noise <= threshold).mean())
        gap = allowed - needed
        if best is None or (kept, -gap / (1 + tilt)) < (best[0], best[3]):
            best = (kept, float((score > threshold).mean()), tilt, -gap / (1 + tilt))
            chosen = threshold
    assert best is not None
    if known:
        level = 1 / (1 + np.exp(-chosen))
        generation = replace(base, no_speech_threshold=round(float(level), 6), no_speech_tilt=best[2])
    else:
        generation = replace(base, unlikely_threshold=round(-chosen, 4))
    return Calibration(generation, best[1], best[0])


def _scores(evidence: UngatedOutputs, tilt: float, known: bool) -> NDArray[np.float64]:
    """The higher, the less likely speech."""
    return (log_odds(evidence.no_speech) if known else 0.0) - tilt * np.nan_to_num(evidence.log_prob)
