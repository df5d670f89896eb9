"""Shallow fusion: a Whisper's beam search that also asks an n-gram model of words (Gulcehre et al. 2015, 1503.03535).

A hypothesis's score is its log probability plus, for every word that it has completed, `weight` * log P(word | words
before) + `bonus`. A word that is still being spelled counts with the likeliest word it can become, so that the model is
heard before the word is whole. Words are compared as they are spoken: lower case, without punctuation.

Only a hypothesis's likeliest continuations are asked about, so the cost does not depend on the vocabulary: see
`CANDIDATES`.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from ..lm.ngram import END, KEPT, LanguageModel
from ..lm.tables import read_models
from ..lm.word_tree import StateCache, is_word, state_cache_of
from ..text.tokenizer import Tokenizer
from .options import DecodingOptions

CANDIDATES = 24  # continuations of a hypothesis that the language model may bring forward
BEAM, WEIGHT, BONUS = 5, 0.2, 0.5  # where the options do not say
SPACELESS = "\u3040-\u30ff\u3400-\u9fff"  # kana and Han: each character counts as a word
WORD = re.compile(rf"[{SPACELESS}]|[^\W_{SPACELESS}]+(?:['’][^\W_{SPACELESS}]+)*")


class Spelling(NamedTuple):
    """What fusion knows of a hypothesis: the language model's state (a number), the bytes since the last whole word,
    and what these already count for."""

    state: int = 0
    pending: bytes = b""
    ahead: float = 0.0


class WordFusion:
    """One language model and tokenizer with their weights; searches share it."""

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, weight: float = WEIGHT, bonus: float = BONUS,
        unknown: float | None = None,
    ) -> None:  # fmt: skip
        self.model, self.weight, self.bonus = model, weight, bonus
        self.unknown = weight * model.unknown + bonus if unknown is None else unknown
        self.walk: StateCache = state_cache_of(model)
        self.bytes = bytes_of(tokenizer)
        self.prefixes = prefixes_of(model)
        self.start = Spelling()
        self._known: dict[tuple[Spelling, int], tuple[float, Spelling]] = {}

    def after(self, spelling: Spelling, token: int) -> tuple[float, Spelling]:
        """What `token` adds to the score, and what is known then; special tokens add nothing."""
        spelled = self.bytes.get(token)
        if spelled is None:
            return 0.0, spelling
        key = (spelling, token)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            known = self._known[key] = self._after(spelling, spelled)
        return known

    def end(self, spelling: Spelling) -> float:
        """What the end of the text adds: the last word, and that the sentence ends."""
        state, score = self._words(spelling.state, WORD.findall(spelling.pending.decode(errors="replace")))
        last = self.model.numbers.get(END, -1)
        ending = self.weight * self.walk.step(self.model, state, last)[0] if last >= 0 else 0.0
        return score + ending - spelling.ahead

    def _after(self, spelling: Spelling, spelled: bytes) -> tuple[float, Spelling]:
        pending = spelling.pending + spelled
        text = pending.decode(errors="replace")
        words = list(WORD.finditer(text))
        whole = [word for word in words if _is_whole(word, text)]  # all, or all but the last
        state, score = self._words(spelling.state, [word[0] for word in whole])
        if len(whole) < len(words):
            ahead = self._ahead(words[-1][0])
            pending = pending[len(text[: words[-1].start()].encode()) :]
        else:
            ahead = 0.0
            pending = pending[-3:] if text.endswith("\ufffd") else b""  # a character whose bytes are not all there
        return score + ahead - spelling.ahead, Spelling(state, pending, ahead)

    def _words(self, state: int, words: Sequence[str]) -> tuple[int, float]:
        """The state after `words`, and what they count for."""
        total = 0.0
        for word in words:
            number = self.prefixes.numbers.get(plain(word), -1)
            score, state = self.walk.step(self.model, state, number)
            total += self.unknown if number < 0 else self.weight * score + self.bonus
        return state, total

    def _ahead(self, prefix: str) -> float:
        """What the likeliest word that begins so counts for, without context; an unknown one where there is none."""
        best = self.prefixes.best(plain(prefix))
        return self.unknown if best is None else max(self.weight * best + self.bonus, self.unknown)


class Prefixes:
    """The best unigram log probability among a language model's words with a given beginning."""

    def __init__(self, model: LanguageModel) -> None:
        unigrams = np.asarray(model.unigrams)
        rising = sorted((i for i, word in enumerate(model.words) if is_word(word)), key=lambda i: unigrams[i])
        self.numbers = {plain(model.words[i]): i for i in rising}  # of several spellings the likeliest
        self.words = sorted(self.numbers)
        self.log_probs = unigrams[[self.numbers[word] for word in self.words]]
        self._known: dict[str, float | None] = {}

    def best(self, prefix: str) -> float | None:
        """None: no word begins so."""
        try:
            return self._known[prefix]
        except KeyError:
            first, last = bisect_left(self.words, prefix), bisect_left(self.words, prefix + "\U0010ffff")
            best = float(self.log_probs[first:last].max()) if last > first else None
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[prefix] = best
            return best


_prefixes: WeakKeyDictionary[LanguageModel, Prefixes] = WeakKeyDictionary()
_bytes: WeakKeyDictionary[Tokenizer, dict[int, bytes]] = WeakKeyDictionary()
_fusions: WeakKeyDictionary[Tokenizer, dict[object, WordFusion]] = WeakKeyDictionary()
_lock = threading.Lock()
_models = lru_cache(maxsize=4)(read_models)


def prefixes_of(model: LanguageModel) -> Prefixes:
    """The model's table of beginnings, made once."""
    with _lock:
        if model not in _prefixes:
            _prefixes[model] = Prefixes(model)
        return _prefixes[model]


def bytes_of(tokenizer: Tokenizer) -> dict[int, bytes]:
    """The bytes of every text token, read once."""
    with _lock:
        if tokenizer not in _bytes:
            _bytes[tokenizer] = tokenizer.spelled()
        return _bytes[tokenizer]


def fusion_of(options: DecodingOptions, tokenizer: Tokenizer) -> WordFusion | None:
    """The fusion that `options` ask for; None: no language model.

    Raises:
        SecateurError: a language model that cannot be read.
    """
    if not options.lm:
        return None
    model = language_model(options.lm, options.lm_shares)
    weight = WEIGHT if options.lm_weight is None else options.lm_weight
    bonus = BONUS if options.word_bonus is None else options.word_bonus
    key = (options.lm, options.lm_shares, weight, bonus, options.unknown)
    with _lock:
        fusion = _fusions.setdefault(tokenizer, {}).get(key)
    if fusion is None or fusion.walk.full:
        fusion = WordFusion(model, tokenizer, weight, bonus, options.unknown)
        with _lock:
            _fusions[tokenizer][key] = fusion
    return fusion


def language_model(paths: Sequence[Path], shares: Sequence[float]) -> LanguageModel:
    """The language model in files, read once."""
    return _models(tuple(paths), tuple(shares))


def _is_whole(word: re.Match[str], text: str) -> bool:
    """Whether nothing can be added to `word`: more follows (an apostrophe alone may be part of it), or it is one
    character that is a word."""
    after = text[word.end() :]
    return bool(after and after not in ("'", "’")) or re.match(f"[{SPACELESS}]", word[0]) is not None


def plain(word: str) -> str:
    """A word as it is compared: lower case, without punctuation around it."""
    return "".join(WORD.findall(word.replace("’", "'"))).lower()


def spoken(text: str) -> str:
    """The words of a text, as fusion compares them, with spaces between: what a language model is estimated on."""
    return " ".join(plain(word) for word in WORD.findall(text))
