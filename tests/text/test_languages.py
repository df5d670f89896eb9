"""Languages under any of their names."""

from __future__ import annotations

import pytest

from secateur.base.errors import SecateurError
from secateur.families.whisper.vocabulary import LANGUAGES
from secateur.text.languages import base_language, by_characters, language, language_tag, languages


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("german", "de"), ("Deutsch", "de"), ("GERMAN", "de"), ("ger", "de"), ("deu", "de"), ("德语", "de"),
        ("iw", "he"), ("in", "id"), ("ji", "yi"), ("yue", "yue"), ("Cantonese", "yue"), ("zh-yue", "yue"),
        ("zh-CN", "zh-CN"), ("zh_TW", "zh-TW"), ("cmn", "zh"), ("cmn_hans_cn", "zh-Hans-CN"), ("Mandarin", "zh"),
        ("en-US", "en-US"), ("en_us", "en-US"), ("English", "en"), ("pt-br", "pt-BR"), ("nb", "no"), ("nb-NO", "no-NO"),
        ("nn", "nn"), ("fil", "tl"), ("jv", "jw"), ("espanol", "es"), ("Français", "fr"), ("فارسی", "fa"),
        ("farsi", "fa"), ("日本語", "ja"), ("<|de|>", "de"), ("de_DE.UTF-8", "de-DE"), ("Chinese (Taiwan)", "zh"),
        ("haitian creole", "ht"), ("flemish", "nl"), ("Myanmar", "my"), ("sr-Latn-RS", "sr-Latn-RS"), ("und", "und"),
        (" en ", "en"),
    ],
)  # fmt: skip
def test_names_are_understood(name: str, tag: str) -> None:
    assert language_tag(name) == tag
    assert language_tag(tag) == tag
    assert base_language(name) == tag.split("-")[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("klingon", "unknown language 'klingon'"), ("germn", "did you mean 'german'"), ("xx", "unknown language 'xx'"),
        ("", "unknown language ''"), ("de/at", "unknown language"), ("en-", "unknown language 'en-'"),
    ],
)  # fmt: skip
def test_unknown_ones_are_one_line(name: str, message: str) -> None:
    with pytest.raises(SecateurError, match=message) as found:
        language_tag(name)
    assert "such as de, zh-CN or yue" in str(found.value)


def test_all_of_whispers_languages_are_there_by_code_and_name() -> None:
    assert tuple(languages())[: len(LANGUAGES)] == LANGUAGES
    names = [language(one.name).code for one in languages().values()]
    assert names == list(languages())


def test_names_mean_one_language() -> None:
    for one in languages().values():
        for name in (one.code, *one.others):
            assert language(name).code == one.code, name


def test_spaces_by_habit() -> None:
    assert all(by_characters(code) for code in ("zh", "yue", "ja", "th", "lo", "km", "my", "bo"))
    assert not any(by_characters(code) for code in ("en", "ko", "vi", "hi", "ar", "am"))
