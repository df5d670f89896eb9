"""OpenAI's vocabulary follows from its number of rows; a tokenizer follows from its tokens alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from secateur.base.errors import SecateurError
from secateur.families.whisper.config import read_config
from secateur.families.whisper.vocabulary import openai_tokens, special_names
from secateur.text.tokenizer import Tokenizer
from secateur.weights.tokenizer_files import read_tokenizer, recovered_merges

TEXTS = ("Prune until it errs less.", "naïve café, 12 o'clock", "日本語 и русский", "  two  spaces", "♪♪ don't")


@pytest.fixture(scope="module")
def real(tiny_en: Path) -> Tokenizer:
    return Tokenizer.read(tiny_en / "tokenizer.json", read_config(tiny_en / "config.json").tokens.end)


def test_tokens_equal_what_openai_published(tiny_en: Path, real: Tokenizer) -> None:
    config = read_config(tiny_en / "config.json")
    published, computed = config.tokens, openai_tokens(config.vocabulary, real)
    assert set(computed.suppress) == set(published.suppress)
    assert len(computed.suppress) == len(published.suppress) == 90
    assert set(computed.suppress_at_start) == set(published.suppress_at_start)
    assert computed.prompt() == published.prompt() == [50257, 50362]
    for name in ("start", "end", "timestamps", "timestamp_count", "transcribe", "translate", "previous", "no_speech"):
        assert getattr(computed, name) == getattr(published, name), name
    assert computed.languages == {}


def test_multilingual_and_large_rows(real: Tokenizer) -> None:
    """Ids that the model cards of base and large-v3 give."""
    base, large = special_names(51865), special_names(51866)
    assert base is not None and large is not None
    assert [base[f"<|{n}|>"] for n in ("endoftext", "startoftranscript", "en", "su")] == [50257, 50258, 50259, 50357]
    assert [base[f"<|{n}|>"] for n in ("translate", "transcribe", "notimestamps")] == [50358, 50359, 50363]
    assert [large[f"<|{n}|>"] for n in ("yue", "translate", "notimestamps")] == [50358, 50359, 50364]
    assert base["<|30.00|>"] == 51864 and large["<|30.00|>"] == 51865
    assert openai_tokens(51866, real).prompt("yue") == [50258, 50358, 50360, 50364]
    for rows in (51863, 51867, 1000, 0):
        assert special_names(rows) is None
        with pytest.raises(ValueError, match=str(rows)):
            openai_tokens(rows, real)


def test_merges_are_recovered_from_the_order_of_tokens(real: Tokenizer) -> None:
    model = json.loads(real.definition)["model"]
    merges = [tuple(m.split(" ") if isinstance(m, str) else m) for m in model["merges"]]
    assert recovered_merges(model["vocab"]) == merges
    assert len(merges) == 50000


def test_tokens_that_no_merges_make_are_refused() -> None:
    with pytest.raises(ValueError, match="'abc'"):
        recovered_merges({"a": 0, "b": 1, "c": 2, "abc": 3})


@pytest.mark.parametrize("kind", ["vocab.json", "vocabulary.json", "vocabulary.txt"])
def test_every_file_gives_the_same_tokenizer(kind: str, real: Tokenizer, tmp_path: Path) -> None:
    model = json.loads(real.definition)["model"]
    words = {**model["vocab"], **(special_names(51864) or {})}
    listed = sorted(words, key=words.__getitem__)
    if kind == "vocab.json":
        (tmp_path / kind).write_text(json.dumps(model["vocab"]))
        (tmp_path / "added_tokens.json").write_text(json.dumps(special_names(51864)))
        merges = (m if isinstance(m, str) else " ".join(m) for m in model["merges"])
        (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    else:
        text = json.dumps(listed) if kind.endswith("json") else "\n".join(listed)
        (tmp_path / kind).write_text(text, encoding="utf-8")
    tokenizer, special = read_tokenizer(tmp_path)
    assert special == special_names(51864)
    assert tokenizer.end == 50256
    for text in TEXTS:
        assert tokenizer.encode(text) == real.encode(text)
        assert tokenizer.decode(tokenizer.encode_exactly(text)) == text


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("tokenizer.json", "{}", "not a Whisper tokenizer"),
        ("tokenizer.json", "[1]", "expected a table|not a byte-level BPE"),
        ("tokenizer.json", '{"added_tokens": [{"id": 1}]}', "not a byte-level BPE"),
        ("tokenizer.json", '{"added_tokens": [{"content": "<|endoftext|>", "id": 1}]}', "not a tokenizer"),
        ("vocabulary.txt", "a\nb\nabc\n<|endoftext|>", "'abc' is not made of two older tokens"),
        ("vocabulary.json", '{"a": "x"}', "not a byte-level BPE"),
        ("vocab.json", '{"a": 0', "not valid JSON"),
    ],
)
def test_foreign_tokenizer_files_are_named(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SecateurError, match=words) as caught:
        read_tokenizer(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
