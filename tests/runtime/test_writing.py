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
from secateur.decode.segments import Segment, Transcript, Word
from secateur.runtime.writing import WritingSettings, pauses, rewriter
from secateur.text.word_model import learn_words

DEV = Path(secateur.__file__).parent / "data" / "bundled" / "dev.jsonl"


def transcript(text: str, language: str | None = "zh") -> Transcript:
    words = (Word(text[:2], 0.0, 0.4, 0.9),)
    return Transcript(text, language, (Segment(0.0, 1.0, text, -0.1, None, (1, 2), words=words),), 1.0)


def test_chinese_is_rewritten_whole_and_in_segments(tmp_path: Path) -> None:
    learn_words(["我在银行工作"]).write(tmp_path / "words.json")
    found = rewriter(WritingSettings(simplified=True, correct=tmp_path / "words.json"))(
        transcript("臺灣，我在銀航工作。")
    )
    assert found.text == found.segments[0].text == "台湾，我在银行工作。"
    assert found.segments[0].words[0].text == "台湾" and found.segments[0].tokens == (1, 2)
    assert (
        rewriter(WritingSettings(correct=tmp_path / "words.json"))(transcript("我在银航工作", None)).text
        == "我在银行工作"
    )


def test_other_languages_stay() -> None:
    japanese = transcript("臺灣の銀行", "ja")
    write = rewriter(WritingSettings(simplified=True))
    assert write is not None and write(japanese) is japanese


def test_settings_that_a_language_has_no_use_for_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    write = rewriter(WritingSettings(simplified=True, write_numbers=True, punctuate=True))
    assert write is not None and write(transcript("vingt et un", "fr")).text == "vingt et un"
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"secateur: --{name} does nothing to text in 'fr'" for name in ("punctuate", "simplified", "write-numbers")
    ]


def test_a_recogniser_and_its_streams_give_what_is_rewritten() -> None:
    import asyncio

    pytest.importorskip("fastapi")
    pytest.importorskip("prometheus_client")
    from secateur.decode.options import DecodingOptions
    from secateur.runtime.recogniser import Recogniser
    from secateur.server.http.engine import Engine
    from secateur.server.http.stream_session import StreamSession, options_of

    clip = next(iter(read_manifest(DEV)))
    recogniser = Recogniser.load(threads=1)
    plain = recogniser.transcribe(clip.audio).text
    recogniser.rewrite = lambda t: replace(t, text=t.text.upper())
    assert plain != plain.upper() == recogniser.transcribe(clip.audio).text
    audio = recogniser.samples(clip.audio)
    given = (np.concatenate([audio, np.zeros(24000, np.float32)]) * 32767).astype("<i2").tobytes()

    async def heard() -> list[str]:
        how = options_of("en", DecodingOptions())
        hearing = StreamSession(Engine({"en": recogniser}), recogniser, recogniser.sample_rate, how)
        events = [event async for event in hearing.feed(given)]
        return [event.text for event in [*events, *[e async for e in hearing.finish()]]]

    texts = asyncio.run(heard())
    assert texts and all(text == text.upper() for text in texts) and any(texts)


def test_numbers_and_marks_are_written_as_asked() -> None:
    settings = WritingSettings(write_numbers=True, punctuate=True)
    write = rewriter(settings)
    assert write is not None
    assert write(transcript("二零二六年十一月三十号下午三点半开会")).text == "2026年11月30日下午3点半开会。"
    assert write(transcript("twenty five percent", "en")).text == "25%"
    assert write(transcript("vingt-cinq", "fr")).text == "vingt-cinq"
    assert rewriter(WritingSettings()) is None and rewriter(WritingSettings(), ["GPS"]) is None


def test_expected_words_are_written_and_kept_from_correction(tmp_path: Path) -> None:
    learn_words(["我在银行工作"]).write(tmp_path / "words.json")
    write = rewriter(WritingSettings(correct=tmp_path / "words.json"), ["银航"])
    assert write is not None and write(transcript("我在银航工作")).text == "我在银航工作"
    write = rewriter(WritingSettings(), ["张三丰"])
    assert write is not None and write(transcript("我认识张三峰")).text == "我认识张三丰"


def test_pauses_stand_before_the_words_behind_them() -> None:
    words = tuple(Word(c, at, at + 0.2, 0.9) for c, at in zip("今天来了", (0.0, 0.2, 1.0, 1.2), strict=True))
    segment = Segment(0.0, 1.4, "今天来了", -0.1, None, (), words=words)
    found = pauses("今天来了", [segment])
    assert found[2] == pytest.approx(0.6) and found[1] == found[3] == pytest.approx(0.0)
