"""Transcripts in simplified characters, with what sounds right written right; other languages stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("opencc")
pytest.importorskip("pypinyin")
pytest.importorskip("jieba")
pytest.importorskip("wetext")

from secateur.models.decoding.segments import Segment, Word
from secateur.serve.chinese import rewriter
from secateur.serve.transcript import Transcript
from secateur.text.word_model import learn_words


def transcript(text: str, language: str | None = "zh") -> Transcript:
    words = (Word(text[:2], 0.0, 0.4, 0.9),)
    return Transcript(text, language, (Segment(0.0, 1.0, text, -0.1, None, (1, 2), words=words),), 1.0)


def test_chinese_is_rewritten_whole_and_in_segments(tmp_path: Path) -> None:
    learn_words(["我在银行工作"]).write(tmp_path / "words.json")
    found = rewriter(True, tmp_path / "words.json")(transcript("臺灣，我在銀航工作。"))
    assert found.text == found.segments[0].text == "台湾，我在银行工作。"
    assert found.segments[0].words[0].text == "台湾" and found.segments[0].tokens == (1, 2)
    assert rewriter(False, tmp_path / "words.json")(transcript("我在银航工作", None)).text == "我在银行工作"


def test_other_languages_stay() -> None:
    japanese = transcript("臺灣の銀行", "ja")
    assert rewriter(True, None)(japanese) is japanese
