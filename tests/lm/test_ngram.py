"""Language models give probabilities that sum to one, in every format the same; PocketSphinx's is read exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from secateur.base.errors import SecateurError
from secateur.data.manifest import read_manifest
from secateur.lm.estimate import train_ngram
from secateur.lm.ngram import END, START, UNKNOWN, Mixture, NGram, perplexity
from secateur.lm.tables import read_ngram, write_ngram
from secateur.text.normalise import spoken
from secateur.text.phones import sphinx_file

# By hand: log10 probabilities and backoffs; "b a" lacks its 1-gram's backoff, "a b b" its shorter n-gram "b b".
ARPA = r"""
\data\
ngram 1=4
ngram 2=3
ngram 3=2

\1-grams:
-99 <s> -0.5
-0.4 a -0.2
-0.6 b -0.3
-0.7 </s>

\2-grams:
-0.1 <s> a -0.15
-0.3 a b -0.25
-0.5 b a

\3-grams:
-0.05 <s> a b
-0.9 a b b

\end\
"""


def mass(model: NGram | Mixture, *context: str) -> float:
    """The summed probability of everything that may follow a context (in reading order)."""
    state = tuple(model.numbers[word] for word in reversed(context))
    if isinstance(model, Mixture):
        state = model.start()
        for word in context:
            state = model.then(model.numbers[word], state)
    # The unknown's own share of a mixture is dealt to the words that one of its models lacks.
    left_out = (START, UNKNOWN) if isinstance(model, Mixture) else (START,)
    return sum(np.exp(model.score(i, state)) for i, word in enumerate(model.words) if word not in left_out)


@pytest.fixture(scope="module")
def texts(speech: Path) -> list[str]:
    return [u.text for u in read_manifest(speech / "librispeech-mini" / "train.jsonl")][:400]


def test_arpa_scores_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text(ARPA)
    model = read_ngram(tmp_path / "lm.arpa")
    write_ngram(tmp_path / "lm.npz", model)
    for each in (model, read_ngram(tmp_path / "lm.npz")):
        n = each.numbers

        def log10(word: str, *before: str, each: NGram = each, n: dict[str, int] = n) -> float:
            return each.score(n[word], tuple(n[w] for w in reversed(before))) / np.log(10)

        assert log10("a") == pytest.approx(-0.4)
        assert log10("b", "<s>", "a") == pytest.approx(-0.05)
        assert log10("b", "b", "a") == pytest.approx(-0.3)  # the context "b a" has no backoff
        assert log10("a", "a", "b") == pytest.approx(-0.25 - 0.5)
        assert log10("b", "a", "b") == pytest.approx(-0.9)
        assert log10("b", "<s>", "b") == pytest.approx(-0.3 - 0.6)
        assert log10("</s>", "a", "b") == pytest.approx(-0.25 - 0.3 - 0.7)
        assert each.sentence("a b") / np.log(10) == pytest.approx(-0.1 - 0.05 - 0.25 - 0.3 - 0.7)
        assert each.score(-1, (n["a"],)) / np.log(10) == pytest.approx(-0.7 - 0.2)  # unknown: as the rarest word


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_trained_models_sum_to_one_and_fit_better_with_context(order: int, texts: list[str]) -> None:
    model = train_ngram(texts[:300], order, vocabulary=["zyzzyva"])
    unseen = [spoken(t) for t in texts[300:]]
    assert mass(model) == pytest.approx(1, abs=1e-4)
    for context in ((START,), ("of", "the"), ("zyzzyva",), ("and", "zyzzyva")):
        assert mass(model, *context) == pytest.approx(1, abs=1e-4)
    if order > 1:
        assert perplexity(model, unseen) < 0.9 * perplexity(train_ngram(texts[:300], 1), unseen)
    mixed = Mixture([model, train_ngram(["zyzzyva ran"], 2)], [0.8, 0.2])
    assert 0.9 < mass(mixed, "and", "zyzzyva") <= 1.0001


def test_pocketsphinx_s_general_model_is_read_exactly() -> None:
    pytest.importorskip("pocketsphinx")
    model = read_ngram(sphinx_file("en-us.lm.bin"))
    assert (model.order, len(model.words)) == (3, 72547)
    for context in ((START,), ("end", "of"), ("new", "york")):
        assert mass(model, *context) == pytest.approx(1, abs=2e-3)
    n = model.numbers
    # What PocketSphinx's own writer prints for these, to its four digits.
    for words, log10 in ((("zulu",), -6.3441), (("shaka", "zulu"), -1.8847), (("zulu", END), -0.8120)):
        *before, last = words
        found = model.score(n[last], tuple(n[w] for w in reversed(before))) / np.log(10)
        assert found == pytest.approx(log10, abs=1e-4)
    assert model.sentence("the end of the day") > model.sentence("day the of end the") + 20


def test_what_is_no_language_model_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "lm"
    for content, message in (
        (b"hello", "not a language model that is known"),
        (b"Trie Language Model\x03\x01", "not a whole language model"),
        (b"PK\x03\x04 torn", "not a whole language model"),
        (rb"\data\ nothing", "no n-grams"),
        (b"\\data\\\n\\1-grams:\n-1 a\n\\2-grams:\n-1 a z\n", "not a whole language model"),
    ):
        path.write_bytes(content)
        with pytest.raises(SecateurError, match=message):
            read_ngram(path)
    with pytest.raises(SecateurError, match="no such file"):
        read_ngram(tmp_path / "none")
    with pytest.raises(SecateurError, match="needs texts"):
        train_ngram(["..."])
