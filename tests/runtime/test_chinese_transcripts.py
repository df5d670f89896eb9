"""Transcripts in simplified characters, with what sounds right written right; other languages stay as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("opencc")
pytest.importorskip("pypinyin")
pytest.importorskip("jieba")
pytest.importorskip("wetext")

import secateur
from secateur.data.manifest import read_manifest
from secateur.decode.segments import Segment, Word
from secateur.runtime.chinese import rewriter
from secateur.runtime.transcript import Transcript
from secateur.text.word_model import learn_words

DEV = Path(secateur.__file__).parent / "data" / "bundled" / "dev.jsonl"


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


def test_a_recogniser_and_its_streams_give_what_is_rewritten() -> None:
    import asyncio

    pytest.importorskip("fastapi")
    pytest.importorskip("prometheus_client")
    from secateur.decode.options import DecodingOptions
    from secateur.runtime.recogniser import Recogniser
    from secateur.server.http.engine import Engine
    from secateur.server.http.hearing import Hearing, options_of

    clip = next(iter(read_manifest(DEV)))
    recogniser = Recogniser.load(threads=1)
    plain = recogniser.transcribe(clip.audio).text
    recogniser.rewrite = lambda t: replace(t, text=t.text.upper())
    assert plain != plain.upper() == recogniser.transcribe(clip.audio).text
    audio = recogniser.samples(clip.audio)
    given = (np.concatenate([audio, np.zeros(24000, np.float32)]) * 32767).astype("<i2").tobytes()

    async def heard() -> list[str]:
        how = options_of("en", DecodingOptions())
        hearing = Hearing(Engine({"en": recogniser}), recogniser, recogniser.sample_rate, how)
        events = [event async for event in hearing.feed(given)]
        return [event.text for event in [*events, *[e async for e in hearing.finish()]]]

    texts = asyncio.run(heard())
    assert texts and all(text == text.upper() for text in texts) and any(texts)
