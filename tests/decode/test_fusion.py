"""Shallow fusion: word scores whatever the tokens, words that are being spelled, beams that a language model turns."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from small_models import inputs, small_whisper  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.decode.fallback import decode  # noqa: E402
from secateur.decode.fusion import WordFusion, fusion_of  # noqa: E402
from secateur.decode.options import DecodingOptions  # noqa: E402
from secateur.decode.rules import Rules  # noqa: E402
from secateur.decode.search import beam_search  # noqa: E402
from secateur.families.seq2seq.task import recogniser_of  # noqa: E402
from secateur.lm.estimate import train_ngram  # noqa: E402
from secateur.lm.ngram import END  # noqa: E402
from secateur.lm.tables import write_ngram  # noqa: E402
from secateur.models.device_session import TorchSession  # noqa: E402

TEXTS = [
    "the cat sat on a mat",
    "the cat went home",
    "a cat sat on the mat and then went home",
    "don't go home",
    "打 开 灯",
]
WEIGHT, BONUS = 0.3, 0.7


@pytest.fixture(scope="module")
def fusion() -> WordFusion:
    return WordFusion(train_ngram(TEXTS, 3), small_whisper()[1], WEIGHT, BONUS)


def total(fusion: WordFusion, ids: list[int]) -> float:
    spelling, score = fusion.start, 0.0
    for token in ids:
        gained, spelling = fusion.after(spelling, token)
        score += gained
    return score + fusion.end(spelling)


def expected(fusion: WordFusion, words: list[str]) -> float:
    model, state, score = fusion.model, fusion.model.start(), 0.0
    for word in words:
        number = model.numbers.get(word, -1)
        score += fusion.unknown if number < 0 else WEIGHT * model.score(number, state) + BONUS
        state = model.then(number, state)
    return score + WEIGHT * model.score(model.numbers[END], state)


def test_what_is_remembered_is_bounded(fusion: WordFusion, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["the cat sat on a mat", "a cat went home", "zebras don't go", "打开 the cat"]
    tokens = [small_whisper()[1].encode(text) for text in texts]
    scores = [total(fusion, ids) for ids in tokens]
    for module in ("lm.word_tree", "decode.fusion"):
        monkeypatch.setattr(f"secateur.{module}.KEPT", 3)
    model = train_ngram(TEXTS, 3)
    first = WordFusion(model, small_whisper()[1], WEIGHT, BONUS)
    assert [total(first, ids) for ids in tokens] == pytest.approx(scores)
    assert max(len(first._known), len(first.prefixes._known)) <= 3
    assert WordFusion(model, small_whisper()[1], WEIGHT, BONUS).walk is not first.walk  # which is full


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the cat sat", ["the", "cat", "sat"]),
        ("The cat, sat!", ["the", "cat", "sat"]),
        ("Don't go home.", ["don't", "go", "home"]),
        ("a zebra went-home", ["a", "zebra", "went", "home"]),
        ("dogs' home 25", ["dogs", "home", "25"]),
        ("打开灯", ["打", "开", "灯"]),
        ("打开 the cat", ["打", "开", "the", "cat"]),
        ("...", []),
        ("", []),
    ],
)
def test_a_text_counts_as_its_words_whatever_its_tokens(fusion: WordFusion, text: str, words: list[str]) -> None:
    tokenizer = small_whisper()[1]
    spelled = {spelling: i for i, spelling in tokenizer.spelled().items()}
    by_bytes = [spelled[bytes([byte])] for byte in (" " + text).encode()]
    for ids in (tokenizer.encode(text), by_bytes):
        assert total(fusion, ids) == pytest.approx(expected(fusion, words), abs=1e-4)


def test_a_word_counts_before_it_is_whole_and_an_impossible_one_loses_at_once(fusion: WordFusion) -> None:
    spelled = {spelling: i for i, spelling in small_whisper()[1].spelled().items()}

    def after(text: str) -> float:
        spelling, score = fusion.start, 0.0
        for byte in text.encode():
            gained, spelling = fusion.after(spelling, spelled[bytes([byte])])
            score += gained
        return score

    assert after(" the c") == pytest.approx(after(" the ca")) and after(" the ca") > after(" the cz")
    best = max(fusion.model.unigrams[fusion.model.numbers[w]] for w in ("cat",))
    assert after(" c") == pytest.approx(WEIGHT * best + BONUS, abs=1e-4)


def test_special_tokens_add_nothing(fusion: WordFusion) -> None:
    end = small_whisper()[1].end
    for token in (end, end + 1, end + 5):
        assert fusion.after(fusion.start, token) == (0.0, fusion.start)


def test_no_weight_searches_as_without_and_a_heavy_one_writes_what_the_model_knows() -> None:
    model, tokenizer = small_whisper()
    mel, frames, _ = inputs(model)
    session = TorchSession(model)
    rules = Rules.of(model.config.tokens, model.config.vocabulary, False)
    prompt = np.array([model.config.tokens.prompt()] * 3)

    def search(fusion: WordFusion | None, beam: int = 4) -> list[str]:
        logits, state = session.step(prompt, session.encode(mel.numpy(), frames.numpy()))
        found = beam_search(session, state, logits, rules, 12, beam, fusion=fusion)
        for one in found:
            assert len(one.log_probs) in (len(one.tokens), len(one.tokens) + 1)
        return [tokenizer.decode(one.tokens) for one in found]

    lm = train_ngram(TEXTS, 3)
    assert search(WordFusion(lm, tokenizer, 0.0, 0.0, 0.0)) == search(None)
    heavy = WordFusion(lm, tokenizer, 30.0, 0.0, -400.0)

    def score(texts: list[str]) -> float:
        return sum(total(heavy, tokenizer.encode_exactly(text)) for text in texts)

    assert score(search(heavy, 8)) > score(search(None, 8))


def test_options_reach_the_search_and_greedy_becomes_a_beam(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    path = tmp_path / "lm.npz"
    write_ngram(path, train_ngram(TEXTS, 2))
    options = DecodingOptions(lm=(path,), temperatures=(0.0,), no_speech_threshold=None, max_tokens=8)
    fusion = fusion_of(options, tokenizer)
    assert fusion is not None and fusion_of(options, tokenizer) is fusion
    assert (fusion.weight, fusion.bonus) == (0.2, 0.5) and fusion_of(DecodingOptions(), tokenizer) is None
    mel, frames, _ = inputs(model)
    session = TorchSession(model)
    prompts = [model.config.tokens.prompt()] * 3
    texts = {}
    for name, weight in (("light", 0.0), ("heavy", 20.0)):
        chosen = replace(options, lm_weight=weight, word_bonus=0.0, unknown=-300.0 * (weight > 0))
        state = session.encode(mel.numpy(), frames.numpy())
        texts[name] = [one.text for one in decode(session, state, prompts, tokenizer, chosen, False)]
    assert texts["light"] != texts["heavy"]


def test_a_missing_language_model_is_named_before_anything_is_decoded(tmp_path: Path) -> None:
    recogniser = recogniser_of(*small_whisper())
    with pytest.raises(SecateurError, match=r"nothing\.npz"):
        recogniser.check(DecodingOptions(lm=(tmp_path / "nothing.npz",)))
