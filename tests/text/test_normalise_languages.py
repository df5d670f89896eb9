"""Normalisation by language, case by case: `normalise_cases.tsv` names what differs and the source."""

from __future__ import annotations

from pathlib import Path

import pytest

from secateur.evaluate.error_rate import compare_texts
from secateur.text.languages import languages
from secateur.text.normalise import default_scheme, explained, normaliser

pytest.importorskip("kaldialign")
pytest.importorskip("whisper_normalizer")

CASES = [
    line.split("\t")
    for line in Path(__file__).with_name("normalise_cases.tsv").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "cases" / "normalise.tsv"


@pytest.mark.parametrize(("language", "reference", "hypothesis", "errors", "words", "what"), CASES)
def test_a_reader_of_the_language_counts_so(
    language: str, reference: str, hypothesis: str, errors: str, words: str, what: str
) -> None:
    if language == "yue":
        pytest.importorskip("wetext")
        pytest.importorskip("opencc")
    found = compare_texts(reference, hypothesis, language)
    assert (found.counts.errors, found.counts.reference) == (int(errors), int(words)), (what, found)


def test_every_script_of_the_table_is_tried() -> None:
    wanted = "hi bn ta te kn ml si gu pa or th lo km my bo ar fa ur he am hy tr az ja ko yue el ru uk sr ro vi"
    assert set(wanted.split()) <= {case[0] for case in CASES}


@pytest.mark.parametrize("code", sorted(languages()))
def test_punctuation_alone_is_no_word_in_any_language(code: str) -> None:
    if languages()[code].by_characters:
        pytest.importorskip("wetext")
        pytest.importorskip("opencc")
    clean = normaliser(code)
    for signs in ("...", "…", "—", "?!", "।", "။", "។", "։", "።", "、。", "؟", "«»"):
        assert clean(signs) == "", (code, signs)
    assert explained(code).startswith(languages()[code].name)


@pytest.mark.parametrize("code", [c for c in sorted(languages()) if not languages()[c].by_characters])
def test_normalising_twice_changes_nothing(code: str) -> None:
    clean = normaliser(code)
    for language, reference, hypothesis, *_ in CASES:
        if language == code:
            for text in (reference, hypothesis):
                assert clean(clean(text)) == clean(text)
    assert clean("Word 123") == clean("word 123") != ""


def test_defaults_say_where_whisper_is_wrong() -> None:
    assert {default_scheme(code) for code in ("en", "de", "fr", "es", "pl")} == {"whisper"}
    assert {default_scheme(code) for code in ("hi", "th", "ar", "tr", "zh", "ja", "km")} == {"language"}
    assert "Whisper's rules are wrong here" in explained("hi")
    assert "Whisper" in explained("de") and "basic" in explained("de")


def test_whisper_can_be_asked_for_anywhere() -> None:
    found = compare_texts("नमस्ते दुनिया", "नमस्त दुनय", "hi", "whisper")
    assert found.counts.reference == 5  # words fall apart: published figures were counted so


@pytest.mark.parametrize(
    ("language", "reference", "hypothesis", "errors", "words"),
    [
        ("en", "Hello, World.", "hello world", 2, 2),
        ("en", "“Yes” – he said", '"Yes" - he said', 0, 4),
        ("de", "Das Haus", "das Haus", 1, 2),
        ("zh", "你好，世界。", "你好,世界。", 0, 6),
        ("zh", "你好，世界。", "你好世界", 2, 6),
        ("fr", "Élève", "Élève", 0, 1),
    ],
)
def test_case_and_punctuation_count_when_asked_for(
    language: str, reference: str, hypothesis: str, errors: int, words: int
) -> None:
    counts = compare_texts(reference, hypothesis, language, "cased").counts
    assert (counts.errors, counts.reference) == (errors, words)


def test_nothing_is_done_when_nothing_is_asked_for() -> None:
    assert normaliser("en", "none")(" It’s  FINE… ") == "It’s FINE…"


@pytest.mark.parametrize("mark", ["\u2019", "\u2018", "\u02bc", "\uff07"])
def test_any_apostrophe_is_one_in_english_by_its_habits(mark: str) -> None:
    clean = normaliser("en", "language")
    assert clean(f"I{mark}m late, don{mark}t wait") == clean("I'm late, don't wait") == "i am late do not wait"
    assert "apostrophes" in explained("en", "language") and "Whisper's English rules" in explained("en")
