"""Searches on a Markov chain, where every answer can be worked out by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from markov_session import END, MarkovSession, chain

from secateur.decode.rules import Rules
from secateur.decode.search import Hypothesis, beam_search, greedy, sample
from secateur.decode.session import Floats, State


def start(session: MarkovSession, clips: int) -> tuple[State, Floats, Rules]:
    state = session.encode(np.zeros((clips, 2, 1), np.float32), None)
    logits, state = session.step(np.full((clips, 1), session.config.tokens.start), state)
    return state, logits, Rules.of(session.config.tokens, session.config.vocabulary, timestamps=False)


def every_ending(session: MarkovSession, clip: int, most: int) -> dict[tuple[int, ...], float]:
    """Log probability of every sequence of at most `most` tokens that ends."""
    found = {}
    for length in range(1, most):
        for tokens in itertools.product(range(END), repeat=length):
            found[tokens] = session.log_prob(clip, tokens)
    return found


def test_greedy_follows_the_likeliest_transition() -> None:
    session = MarkovSession(chain(seed=1, clips=3))
    state, logits, rules = start(session, 3)
    found = greedy(session, state, logits, rules, most=12)
    for clip, hypothesis in enumerate(found):
        expected, at = [], session.config.tokens.start
        while len(expected) < 12:
            allowed = session.tables[clip][at][: END + 1].copy()
            if not expected:
                allowed[END] = -np.inf
            at = int(allowed.argmax())
            if at == END:
                break
            expected.append(at)
        assert list(hypothesis.tokens) == expected
        if len(expected) < 12:
            assert hypothesis.log_prob == pytest.approx(session.log_prob(clip, hypothesis.tokens), abs=1e-4)


def search(name: str, session: MarkovSession, clips: int) -> list[Hypothesis]:
    state, logits, rules = start(session, clips)
    if name == "greedy":
        return greedy(session, state, logits, rules, 15)
    if name == "beam":
        return beam_search(session, state, logits, rules, 15, beam=3)
    return sample(session, state, logits, rules, 15, 0.7, [np.random.default_rng(9) for _ in range(clips)])


@pytest.mark.parametrize("name", ["greedy", "beam", "sample"])
def test_a_batch_gives_every_clip_what_it_gets_alone(name: str) -> None:
    for seed in range(5):
        tables = chain(seed, clips=6)
        batch = search(name, MarkovSession(tables), 6)
        for clip in range(6):
            single = search(name, MarkovSession(tables[clip : clip + 1]), 1)[0]
            assert batch[clip].tokens == single.tokens
            assert batch[clip].log_prob == pytest.approx(single.log_prob, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_wide_beams_find_the_best_of_all_sequences(seed: int) -> None:
    session = MarkovSession(chain(seed, clips=2))
    state, logits, rules = start(session, 2)
    # With patience for every sequence there is, nothing is pruned but what cannot end in time.
    found = beam_search(session, state, logits, rules, most=4, beam=64, patience=100.0, length_penalty=0.0)
    for clip, hypothesis in enumerate(found):
        best = max(every_ending(session, clip, 4).items(), key=lambda item: item[1])
        # A living beam of full length has not paid for its end and may rank higher: it is then longer.
        assert hypothesis.tokens == best[0] or len(hypothesis.tokens) == 4
        assert hypothesis.log_prob >= best[1] - 1e-4


def test_a_beam_never_ranks_below_greedy_on_these_chains() -> None:
    for seed in range(5):
        session = MarkovSession(chain(seed, clips=4))
        state, logits, rules = start(session, 4)
        narrow = beam_search(session, state, logits, rules, 15, beam=1)
        plain = greedy(session, state, logits, rules, 15)
        assert [h.tokens for h in narrow] == [h.tokens for h in plain]


def test_samples_follow_the_probabilities_at_their_temperature() -> None:
    session = MarkovSession(np.repeat(chain(3, clips=1), 4000, axis=0))
    state, logits, rules = start(session, 4000)
    for temperature in (0.5, 1.0):
        found = sample(session, state, logits, rules, 1, temperature, [np.random.default_rng(i) for i in range(4000)])
        counts = np.bincount([h.tokens[0] for h in found], minlength=END) / 4000
        scaled = np.exp(session.tables[0][session.config.tokens.start][:END] / temperature)
        assert counts == pytest.approx(scaled / scaled.sum(), abs=0.03)


def test_most_is_a_limit() -> None:
    tables = chain(0, clips=2)
    tables[:, :, END] = -20.0  # never ends
    session = MarkovSession(tables)
    state, logits, rules = start(session, 2)
    assert [len(h.tokens) for h in greedy(session, state, logits, rules, 7)] == [7, 7]
    assert [len(h.tokens) for h in beam_search(session, state, logits, rules, 7, beam=3)] == [7, 7]
    assert session.steps < 20


def test_the_state_given_stays_usable() -> None:
    session = MarkovSession(chain(2, clips=2))
    state, logits, rules = start(session, 2)
    first = greedy(session, state, logits, rules, 10)
    beam_search(session, state, logits, rules, 10, beam=4)
    assert greedy(session, state, logits, rules, 10) == first
