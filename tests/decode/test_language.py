"""The language that is asked for, in any of its names, against those that a model has."""

from __future__ import annotations

import pytest

from secateur.base.errors import SecateurError
from secateur.decode.options import DecodingOptions
from secateur.decode.prompt import chosen
from secateur.text.tokens import Tokens

ENGLISH = Tokens(start=1, end=0)
SEVERAL = Tokens(
    start=1,
    end=0,
    transcribe=8,
    multilingual=True,
    languages={"en": 2, "de": 3, "he": 4, "zh": 5, "no": 6, "yue": 7},
)


@pytest.mark.parametrize(
    ("asked", "code"),
    [("german", "de"), ("Deutsch", "de"), ("iw", "he"), ("zh-TW", "zh"), ("cmn", "zh"), ("nb", "no"), ("yue", "yue"),
     ("zh-yue", "yue"), ("en_US", "en")],
)  # fmt: skip
def test_a_model_is_told_its_own_code(asked: str, code: str) -> None:
    assert chosen(SEVERAL, asked) == code
    assert SEVERAL.prompt(asked) == SEVERAL.prompt(code)


def test_nothing_asked_is_detected_unless_there_is_one() -> None:
    assert chosen(SEVERAL, None) is None
    assert chosen(ENGLISH, None) == "en"


@pytest.mark.parametrize(
    ("tokens", "asked", "message"),
    [
        (ENGLISH, "german", "this model knows English only, and German .'de'. was asked for: take a multilingual one"),
        (SEVERAL, "fr", "this model does not know French .'fr'.; it knows: de, en, he"),
        (SEVERAL, "klingon", "unknown language 'klingon'"),
    ],
)
def test_what_it_lacks_is_one_line(tokens: Tokens, asked: str, message: str) -> None:
    with pytest.raises(SecateurError, match=message) as found:
        chosen(tokens, asked)
    assert "\n" not in str(found.value)


def test_unknown_languages_are_found_before_the_work() -> None:
    with pytest.raises(SecateurError, match="unknown language 'elvish'"):
        DecodingOptions(language="elvish")
