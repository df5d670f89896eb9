"""Counts against a textbook Levenshtein, and what counts as a unit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.base.errors import SecateurError
from secateur.evaluate.error_rate import Counts, align, confusions, count_errors, metric_for, total, units

pytest.importorskip("kaldialign")

SENTENCES = st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join)


def levenshtein(left: list[str], right: list[str]) -> int:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


@given(SENTENCES, SENTENCES)
def test_errors_are_the_edit_distance(reference: str, hypothesis: str) -> None:
    counts = count_errors(reference, hypothesis)
    assert counts.errors == levenshtein(reference.split(), hypothesis.split())
    assert counts.reference == len(reference.split())
    assert counts.insertions - counts.deletions == len(hypothesis.split()) - len(reference.split())


@given(SENTENCES, SENTENCES)
def test_alignment_spells_both_texts(reference: str, hypothesis: str) -> None:
    pairs = align(reference, hypothesis)
    assert [left for left, _ in pairs if left is not None] == reference.split()
    assert [right for _, right in pairs if right is not None] == hypothesis.split()


def test_known_counts() -> None:
    assert count_errors("turn the light on", "turn a light on now") == Counts(1, 0, 1, 4)
    assert count_errors("turn the light on", "") == Counts(0, 4, 0, 4)
    assert count_errors("打开 客厅的灯", "打开客厅灯", "cer") == Counts(0, 1, 0, 6)


def test_corpus_rate_is_a_ratio_of_sums() -> None:
    summed = total([count_errors("a", "b"), count_errors("a b c d e f g h i", "a b c d e f g h i")])
    assert summed.rate == pytest.approx(0.1)  # the mean of the two rates would be 0.5
    assert math.isnan(total([]).rate)


def test_confusions_are_ranked() -> None:
    found = confusions([("sheep ship", "ship ship"), ("sheep", "ship"), ("the end", "end"), ("end", "end now")])
    assert found[0] == (("sheep", "ship"), 2)
    assert {pair for pair, _ in found[1:]} == {("the", None), (None, "now")}
    assert len(confusions([("a b c", "x y z")], most=2)) == 2


def test_metric_by_language() -> None:
    assert [metric_for(language) for language in ("en", "zh-CN", "ja", "de")] == ["wer", "cer", "cer", "wer"]
    with pytest.raises(SecateurError, match="known: wer, cer, mer"):
        units("a", "ter")  # type: ignore[arg-type]


def test_text_that_switches_scripts_counts_words_and_characters() -> None:
    assert units("我用 wifi 打开 the light", "mer") == ["我", "用", "wifi", "打", "开", "the", "light"]
    assert units("เปิด TV ខ្មែរ", "mer") == [*"เปิด", "TV", *"ខ្មែរ"]
    assert count_errors("打开wifi", "打开 wi-fi", "mer") == Counts(1, 0, 0, 3)


@pytest.mark.parametrize(("hypothesis", "insertions"), [("", 0), ("thank you", 2)])
def test_an_empty_reference_has_insertions_and_no_rate(hypothesis: str, insertions: int) -> None:
    counts = count_errors("", hypothesis)
    assert counts == Counts(0, 0, insertions, 0) and math.isnan(counts.rate)
    assert total([counts, count_errors("one two", "one two")]).rate == insertions / 2
