"""What makes a result doubtful or silent, and what happens then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from markov_session import END, NO_SPEECH, START, TOKENS, VOCABULARY, MarkovSession, chain

from secateur.base.errors import SecateurError
from secateur.decode.fallback import Decoded, decode
from secateur.decode.options import DecodingOptions
from secateur.families.whisper.config import WhisperConfig


class Letters:
    """Tokens 0..3 are the letters a..d; c is to be a digit."""

    numbers = (2,)

    def decode(self, ids: tuple[int, ...]) -> str:
        return "".join("abcd"[i] for i in ids if i < END)


def run(session: MarkovSession, clips: int, **options: object) -> list[Decoded]:
    state = session.encode(np.zeros((clips, 2, 1), np.float32), None)
    return decode(session, state, [[START]] * clips, Letters(), DecodingOptions(**options), False)  # type: ignore[arg-type]


def test_repetition_is_decoded_again_hotter_and_only_there() -> None:
    tables = chain(0, clips=2)
    tables[0] = -5
    tables[0, :, 0] = 4  # aaaaaaaa...
    tables[1] = -9
    tables[1, START, 1], tables[1, 1, END] = 9, 9  # "b"
    session = MarkovSession(tables)
    found = run(session, 2, no_speech_threshold=None, temperatures=(0.0, 5.0), compression_ratio_threshold=1.5)
    assert (found[1].text, found[1].temperature) == ("b", 0.0)
    assert found[0].temperature == 5.0
    assert len(set(found[0].text)) > 1
    alone = run(MarkovSession(tables[:1]), 1, no_speech_threshold=None, temperatures=(5.0,))
    assert alone[0].tokens == found[0].tokens  # sampling does not depend on the batch


class TimedSession(MarkovSession):
    """With timestamps behind the other tokens."""

    @property
    def config(self) -> WhisperConfig:
        tokens = replace(TOKENS, timestamps=VOCABULARY, timestamp_count=20)
        return replace(super().config, vocabulary=VOCABULARY + 20, tokens=tokens)


@pytest.mark.parametrize("timestamps", [False, True])
def test_a_loop_is_cut_to_its_first_round_with_and_without_timestamps(timestamps: bool) -> None:
    """What the model says goes round in "abc" at every temperature that is tried."""
    size = VOCABULARY + 20
    tables = np.full((1, size, size), -20, np.float32)
    for last, following in ((START, 0), (VOCABULARY, 0), (0, 1), (1, 2), (2, 0)):
        tables[0, last, following] = 20
    tables[0, START, VOCABULARY] = 20  # which only the rules of timestamps allow
    session = TimedSession(tables)
    state = session.encode(np.zeros((1, 2, 1), np.float32), None)
    options = DecodingOptions(no_speech_threshold=None, temperatures=(0.0, 0.2), compression_ratio_threshold=None)
    found = decode(session, state, [[START]], Letters(), options, timestamps)[0]  # type: ignore[arg-type]
    assert found.text == "abc" and found.looped and found.failed
    assert found.tokens == ((VOCABULARY, 0, 1, 2) if timestamps else (0, 1, 2))
    assert len(found.log_probs) == len(found.tokens)


def test_numbers_are_written_as_words_where_that_is_asked_for() -> None:
    tables = chain(3, clips=2)
    tables[:, :, 2] += 2.0
    free, held = (run(MarkovSession(tables), 2, numbers_as_words=words, temperatures=(0.0,)) for words in (False, True))
    assert all("c" in one.text for one in free) and not any("c" in one.text for one in held)
    tables[:, :, 2] = -np.inf
    assert [one.tokens for one in run(MarkovSession(tables), 2, temperatures=(0.0,))] == [one.tokens for one in held]


def test_no_speech_is_the_models_own_probability_at_the_start_token() -> None:
    tables = chain(1, clips=2)
    tables[0, START, NO_SPEECH] = 12
    tables[1, START, NO_SPEECH] = -12
    found = run(MarkovSession(tables), 2)
    row = tables[0, START].astype(np.float64)
    assert found[0].no_speech_prob == pytest.approx(np.exp(row[NO_SPEECH]) / np.exp(row).sum(), rel=1e-4)
    assert found[1].no_speech_prob < 0.01  # type: ignore[operator]


def test_silence_needs_both_no_speech_and_no_trust() -> None:
    options = DecodingOptions()
    doubt = Decoded((1,), "b", avg_logprob=-1.5, no_speech_prob=0.9)
    assert doubt.silent(options)
    assert not doubt.doubtful(options)  # silence is not tried again
    assert not Decoded((1,), "b", avg_logprob=-0.5, no_speech_prob=0.7).silent(options)
    assert not Decoded((1,), "b", avg_logprob=-1.5, no_speech_prob=0.2).silent(options)
    assert Decoded((1,), "b", avg_logprob=-1.5, no_speech_prob=0.2).doubtful(options)
    assert not Decoded((1,), "b", avg_logprob=-1.5, no_speech_prob=None).silent(options)
    # Beyond the reference: hiss that is surely no speech, and noise that failed at every temperature.
    assert Decoded((1,), "you", avg_logprob=-0.5, no_speech_prob=0.9).silent(options)
    assert Decoded((1,), "b", avg_logprob=-1.5, no_speech_prob=0.4, temperature=1.0).silent(options)
    assert not Decoded((1,), "b", avg_logprob=-1.5, no_speech_prob=0.4, temperature=0.8).silent(options)


def test_a_prompt_that_fills_the_context_is_an_error() -> None:
    session = MarkovSession(chain(0, clips=1))
    state = session.encode(np.zeros((1, 2, 1), np.float32), None)
    with pytest.raises(SecateurError, match="text context"):
        decode(session, state, [[START] * 40], Letters(), DecodingOptions(), False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"beam": 0}, {"temperatures": ()}, {"patience": 0}, {"max_tokens": 0}, {"best_of": 0}]
)
def test_impossible_options_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(SecateurError, match=next(iter(wrong))):
        DecodingOptions(**wrong)  # type: ignore[arg-type]
