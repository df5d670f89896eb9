"""Beam search finds what weighing every alignment of every text finds; the lexicon and the language model hold."""

from __future__ import annotations

from collections import defaultdict
from itertools import product

import numpy as np
import pytest

from secateur.base.errors import SecateurError
from secateur.decode.ctc.beam import BeamDecoder, BeamOptions
from secateur.decode.ctc.words import greedy
from secateur.lm.estimate import train_ngram
from secateur.lm.ngram import END, Mixture, NGram
from secateur.lm.word_tree import make_lexicon
from secateur.text.phones import Phones
from secateur.text.pieces import START, Pieces
from secateur.text.units import Inventory, Units

TEXTS = ["ab a ba", "a ab", "ba ba ab", "b a", "ab ab"]
EXACT = {"beam": 5000, "nearest": np.inf, "floor": -np.inf}
INVENTORIES: dict[str, Inventory] = {
    "characters": Units((" ", "a", "b"), spelling="spoken"),
    "pieces": Pieces((START + "a", START + "b", "a", "b"), (-1.0, -1.5, -2.0, -2.0)),
    "phones": Phones({"ab": ("AH B",), "a": ("AH", "B"), "ba": ("B AH",), "b": ("B",)}, phones=(" ", "AH", "B")),
}


def by_hand(log_probs: np.ndarray, units: Inventory, model: NGram | Mixture, options: BeamOptions) -> str:
    """The best text over all alignments, each text by the sum of its alignments."""
    rows: dict[tuple[int, ...], float] = defaultdict(lambda: -np.inf)
    for path in product(range(units.outputs), repeat=len(log_probs)):
        row = tuple(p for i, p in enumerate(path) if p and (i == 0 or path[i - 1] != p))
        rows[row] = np.logaddexp(rows[row], sum(log_probs[t, p] for t, p in enumerate(path)))
    words = ["a", "b", "ab", "ba"]
    spelled = defaultdict(list)
    for count in range(4):
        for text in product(words, repeat=count):
            for ways in product(*(units.spellings(word) for word in text)):
                between = [] if units.boundary is None else [units.boundary]
                row = tuple(u for i, way in enumerate(ways) for u in (between if i else []) + list(way))
                spelled[row].append(text)
                if between and text:
                    spelled[(*row, *between)].append(text)
    best = (-np.inf, "")
    for row, score in rows.items():
        for text in spelled[row]:
            state, value = model.start(), score
            for word in [*text, END]:
                value += options.lm_weight * model.score(model.numbers[word], state)
                state = model.then(model.numbers[word], state)
            best = max(best, (value + options.word_bonus * len(text), " ".join(text)))
    return best[1]


@pytest.mark.parametrize("kind", INVENTORIES)
def test_it_finds_the_best_of_all_texts(kind: str) -> None:
    units, model = INVENTORIES[kind], train_ngram(TEXTS, 2)
    both = Mixture([model, train_ngram(TEXTS[:2], 2, vocabulary=["b", "ba"])], [0.7, 0.3])
    random, found = np.random.default_rng(0), set()
    for trial in range(24):
        logits = 2.5 * random.standard_normal((5, units.outputs))
        log_probs = logits - np.logaddexp.reduce(logits, 1)[:, None]
        options = BeamOptions(lm_weight=(0.1, 0.6, 1.5)[trial % 3], word_bonus=(0.0, 1.0)[trial % 2], **EXACT)
        lm = both if trial % 4 == 3 else model
        expected = by_hand(log_probs, units, lm, options)
        assert BeamDecoder(units, lm, options)(log_probs) == expected
        found.add(expected)
    assert len(found) > 4


def test_the_lexicon_holds_and_opens() -> None:
    units, model = Units((" ", "a", "b", "c"), spelling="spoken"), train_ngram(TEXTS, 2)
    path = units.encode("ab ccb ba")
    steps = [x for i, u in enumerate(path) for x in ((0, u) if i and path[i - 1] == u else (u,))]
    log_probs = np.log(np.eye(5)[steps] * 0.96 + 0.01)
    assert units.decode(greedy(log_probs)) == "ab ccb ba"
    closed = BeamDecoder(units, model, BeamOptions())(log_probs)
    assert set(closed.split()) <= {"a", "b", "ab", "ba"}
    assert BeamDecoder(units, model, BeamOptions(unknown=-2.0))(log_probs) == "ab ccb ba"
    assert BeamDecoder(units, model, BeamOptions(unknown=-99.0))(log_probs) == closed
    pieces = Pieces((START + "a", START + "b", "a", "b", "c"), (-1.0, -1.5, -2.0, -2.0, -2.0))
    log_probs = np.log(np.eye(6)[pieces.encode("ab ac ba")] * 0.95 + 0.01)
    assert BeamDecoder(pieces, model, BeamOptions(unknown=-1.0))(log_probs) == "ab ac ba"


def test_the_language_model_tells_homophones_apart() -> None:
    units = Phones({"their": ("DH EH R",), "there": ("DH EH R",), "is": ("IH Z",), "dog": ("D AO G",)})
    model = train_ngram(["there is", "their dog", "there is dog", "their dog is"], 2)
    for text in ("there is dog", "their dog is"):
        log_probs = np.log(np.eye(units.outputs)[units.encode(text)] * 0.9 + 1e-4)
        assert BeamDecoder(units, model)(log_probs) == text
        assert units.decode(greedy(log_probs)).startswith("their")


def test_silence_and_nothing_are_no_words() -> None:
    units, model = INVENTORIES["characters"], train_ngram(TEXTS, 2)
    decoder = BeamDecoder(units, model)
    assert decoder(np.zeros((0, units.outputs))) == ""
    assert decoder(np.log(np.eye(units.outputs)[[0] * 9] * 0.99 + 1e-3)) == ""
    with pytest.raises(SecateurError, match="another language"):
        make_lexicon(Units(("x",)), model.words, model.unigrams.tolist())
    with pytest.raises(SecateurError, match="beam must be at least 1"):
        BeamOptions(beam=0)


def test_clips_side_by_side_read_as_each_alone() -> None:
    random = np.random.default_rng(3)
    for kind, units in INVENTORIES.items():
        options = BeamOptions(beam=6, unknown=-4.0 if kind == "pieces" else None)
        decoder = BeamDecoder(units, train_ngram(TEXTS, 2), options)
        clips = []
        for frames in (3, 40, 0, 17, 40, 1):
            logits = 3.0 * random.standard_normal((frames, units.outputs))
            logits[random.random(frames) < 0.4, 0] += 12.0  # silence, at other times in each
            clips.append(logits - np.logaddexp.reduce(logits, 1, keepdims=True))
        texts = decoder.many(clips)
        assert texts == [decoder(clip) for clip in clips] and len(set(texts)) > 3
