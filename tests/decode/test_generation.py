"""Thresholds of one model: chosen on clips, applied unless others are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from secateur.base.errors import SecateurError
from secateur.decode.fallback import Decoded
from secateur.decode.generation import Generation, UngatedOutputs, calibrate
from secateur.decode.options import DecodingOptions


def evidence(log_prob: np.ndarray, no_speech: np.ndarray | None = None) -> UngatedOutputs:  # type: ignore[type-arg]
    nothing = np.full(len(log_prob), np.nan)
    return UngatedOutputs(log_prob, nothing if no_speech is None else no_speech, np.ones(len(log_prob)))


def dropped(found: UngatedOutputs, options: DecodingOptions) -> float:
    pairs = zip(found.log_prob.tolist(), found.no_speech.tolist(), strict=True)
    results = [Decoded((1,), "x", p, None if np.isnan(n) else n) for p, n in pairs]
    return float(np.mean([one.silent(options) for one in results]))


def ruined(seed: int) -> tuple[UngatedOutputs, UngatedOutputs]:
    """A model whose no-speech probability never reaches 0.6, as tuning leaves it."""
    random = np.random.default_rng(seed)
    speech = evidence(-random.gamma(1.5, 0.15, 2000), 1 / (1 + np.exp(-random.normal(-2.3, 0.4, 2000))))
    other = evidence(-random.gamma(6, 0.22, 300), 1 / (1 + np.exp(-random.normal(-0.3, 0.4, 300))))
    return speech, other


def test_a_ruined_no_speech_token_still_separates() -> None:
    found = calibrate(*ruined(0))
    options = found.generation.applied(DecodingOptions())
    speech, other = ruined(1)  # clips that were not chosen on
    assert dropped(other, DecodingOptions()) < 0.2  # the thresholds of the reference let nearly everything through
    assert dropped(other, options) > 0.9
    assert dropped(speech, options) <= 0.003
    assert found.lost <= 0.001


def test_a_model_that_tells_speech_apart_gets_a_threshold_between() -> None:
    random = np.random.default_rng(0)
    speech = evidence(-random.uniform(0.05, 0.8, 500), random.uniform(1e-4, 0.02, 500))
    other = evidence(-random.uniform(0.5, 2, 200), random.uniform(0.9, 0.999, 200))
    found = calibrate(speech, other)
    assert (found.lost, found.invented) == (0, 0)
    options = found.generation.applied(DecodingOptions())
    assert not Decoded((1,), "x", -0.3, 0.1).silent(options)
    assert Decoded((1,), "x", -0.9, 0.8).silent(options)


def test_without_a_no_speech_token_the_text_itself_is_judged() -> None:
    random = np.random.default_rng(0)
    speech, other = evidence(-random.uniform(0, 0.5, 400)), evidence(-random.uniform(0.9, 2, 100))
    options = calibrate(speech, other).generation.applied(DecodingOptions())
    assert (dropped(speech, options), dropped(other, options)) == (0, 1)


def test_clips_that_gave_no_text_need_no_threshold() -> None:
    speech, other = ruined(0)
    quiet = replace(other, log_prob=np.full(300, np.nan))
    assert calibrate(speech, quiet).invented == 0


def test_calibration_without_clips() -> None:
    with pytest.raises(SecateurError, match="without speech"):
        calibrate(ruined(0)[0], evidence(np.zeros(0)))


def test_thresholds_that_are_given_win() -> None:
    own = Generation(no_speech_threshold=0.25, no_speech_tilt=0.5)
    assert own.applied(DecodingOptions()).no_speech_threshold == 0.25
    assert own.applied(DecodingOptions(no_speech_threshold=0.9)) == DecodingOptions(no_speech_threshold=0.9)
    assert own.applied(DecodingOptions(calibrated=False)).no_speech_tilt is None
    assert Generation().applied(DecodingOptions()) == DecodingOptions()


def test_prompts_that_cost_words_are_left_out_with_one_warning(capsys: pytest.CaptureFixture[str]) -> None:
    own = Generation(prompts=False)
    asked = DecodingOptions(words=("Ronicky Doone",), condition_on_previous=True)
    for _ in range(2):
        found = own.applied(asked)
        assert (found.words, found.condition_on_previous) == ((), False)
    assert capsys.readouterr().err.count("the words to expect are ignored") <= 1
    assert Generation(previous_text=False).applied(asked).words == asked.words
