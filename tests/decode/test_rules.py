"""The rules on logits against the ones of transformers, on random logits and lawful histories."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from secateur.decode.rules import Rules, log_sum_exp, suppress_mask, timestamp_rules
from secateur.text.tokens import Tokens

# 0..19 text, 20 end, 21 start, 22 previous, 23 no_timestamps, 24.. timestamps
TOKENS = Tokens(
    start=21, end=20, no_timestamps=23, timestamps=24, timestamp_count=100, previous=22, suppress=(3, 22),
    suppress_at_start=(5, 20),
)  # fmt: skip
VOCABULARY = 124


def test_special_tokens_and_the_suppress_list_are_never_allowed() -> None:
    mask = suppress_mask(TOKENS, VOCABULARY, timestamps=False)
    allowed = set(np.flatnonzero(mask == 0).tolist())
    assert allowed == set(range(21)) - {3}
    with_times = suppress_mask(TOKENS, VOCABULARY, timestamps=True)
    assert set(np.flatnonzero(with_times == 0).tolist()) == allowed | set(range(24, 124))


def test_the_first_token_is_neither_blank_nor_the_end() -> None:
    rules = Rules.of(TOKENS, VOCABULARY, timestamps=False)
    logits = np.zeros((2, VOCABULARY), np.float32)
    first = rules.apply(logits, np.zeros((2, 0), np.int64))
    later = rules.apply(logits, np.ones((2, 1), np.int64))
    assert np.isneginf(first[:, [5, 20]]).all()
    assert np.isfinite(later[:, [5, 20]]).all()
    assert (logits == 0).all()  # the input is not changed


@pytest.mark.parametrize(
    "history",
    [[], [24], [24, 7], [30, 7, 8, 35], [24, 7, 35, 35], [24, 7, 35, 36, 9], [24, 7, 35, 36, 9, 60], [24, 7, 8, 9, 1]],
)
def test_timestamp_rules_equal_those_of_transformers(history: list[int]) -> None:
    torch = pytest.importorskip("torch")
    processors = pytest.importorskip("transformers.generation.logits_process")
    theirs = processors.WhisperTimeStampLogitsProcessor(
        SimpleNamespace(
            no_timestamps_token_id=23, eos_token_id=20, bos_token_id=20, max_initial_timestamp_index=50,
            _detect_timestamp_from_logprob=True,
        ),
        begin_index=1,
    )  # fmt: skip
    random = np.random.default_rng(len(history))
    for spread in (0.5, 3.0):  # flat logits: the timestamps' sum wins; peaked ones: text may
        logits = (spread * random.standard_normal((8, VOCABULARY))).astype(np.float32)
        logits[:, 21:24] = -np.inf
        ids = torch.tensor([[21, *history]] * 8)
        expected = theirs(ids, torch.from_numpy(logits.copy())).numpy()
        found = timestamp_rules(logits, np.array([history] * 8, np.int64).reshape(8, -1), TOKENS)
        assert np.array_equal(np.isneginf(found), np.isneginf(expected))


def test_rows_with_different_pasts_get_their_own_rules() -> None:
    logits = np.zeros((2, VOCABULARY), np.float32)
    found = timestamp_rules(logits, np.array([[24, 7, 40], [24, 7, 8]]), TOKENS)
    assert np.isneginf(found[0, : TOKENS.end]).all()  # a segment ended: a timestamp or the end of text
    assert np.isneginf(found[0, 24:40]).all()
    assert np.isfinite(found[0, 40:]).all()
    assert np.isneginf(found[1, 24]).all()  # a segment cannot end where it began
    assert np.isfinite(found[1, 25:]).all()


def test_log_sum_exp_is_exact_for_large_logits() -> None:
    logits = np.array([[1000.0, 1000.0], [-np.inf, 3.0]], np.float32)
    assert log_sum_exp(logits) == pytest.approx([1000 + np.log(2), 3.0])
