"""How likely a word is after another: a bigram model of given texts over a general dictionary."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..base.files import read_json, write_json
from ..base.options import from_dict
from .chinese import normalise_chinese
from .lexicon import words_of

START = ""  # what stands before the first word
FLOOR = 1e-10  # probability of a word that nobody has counted


@dataclass(frozen=True)
class WordModel:
    """Counts of single words and of pairs; `pairs` is keyed by the first word.

    P(w | v) = s c(v, w) / c(v) + (1 - s) P(w), where s = c(v) / (c(v) + different words after v) (Witten & Bell 1991);
    P(w) mixes the texts' share of w with its share in a general dictionary.
    """

    words: dict[str, int] = field(default_factory=dict)
    pairs: dict[str, dict[str, int]] = field(default_factory=dict)
    protected: tuple[str, ...] = ()  # words that correction by sound never changes: names, terms
    costs: dict[str, float] = field(default_factory=dict)  # of correction (`SoundCosts`), as chosen on a dev set
    rescoring: dict[str, float] = field(default_factory=dict)  # weights (`RescoringWeights`), chosen there, too

    def write(self, path: str | Path) -> None:
        """Store as JSON, atomically."""
        values = {"words": self.words, "pairs": self.pairs}
        further = {"protected": list(self.protected), "costs": self.costs, "rescoring": self.rescoring}
        write_json(path, values | {name: value for name, value in further.items() if value}, indent=None)

    @classmethod
    def read(cls, path: str | Path) -> WordModel:
        """A stored model.

        Raises:
            SecateurError: missing, or not such a file.
        """
        return from_dict(cls, read_json(path), str(path))


def learn_words(texts: Iterable[str]) -> WordModel:
    """The counts of `texts`.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    words: Counter[str] = Counter()
    pairs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        cut = words_of(normalise_chinese(text))
        words.update(cut)
        for before, word in zip([START, *cut[:-1]], cut, strict=True):
            pairs[before][word] += 1
    return WordModel(dict(words), {before: dict(after) for before, after in pairs.items()})


class WordScores:
    """Logarithms of a `WordModel`'s probabilities, with `share` of P(w) from its texts, the rest from `frequency`."""

    def __init__(self, model: WordModel, frequency: Mapping[str, float], share: float = 0.6) -> None:
        self.model, self.frequency = model, frequency
        total = sum(model.words.values())
        self.own = share / total if total else 0.0
        self.general = (1 - share if total else 1.0) / 1e6
        self.starts = {before: (sum(after.values()), len(after)) for before, after in model.pairs.items()}

    def alone(self, word: str) -> float:
        """log P(word)."""
        return math.log(max(self._chance(word), FLOOR ** min(len(word), 2)))

    def unseen(self, before: str) -> float:
        """What is added to `alone` for a word that was never seen after `before`."""
        count, different = self.starts.get(before, (0, 1))
        return math.log(different / (count + different))

    def after(self, before: str) -> Mapping[str, int]:
        """The words seen after `before`, with counts."""
        return self.model.pairs.get(before, {})

    def pair(self, before: str, word: str) -> float:
        """log P(word | before) of a pair that was seen."""
        count, different = self.starts[before]
        seen = self.model.pairs[before][word] / (count + different)
        return math.log(seen + different / (count + different) * max(self._chance(word), FLOOR))

    def after_word(self, before: str, word: str) -> float:
        """log P(word | before), whether or not the pair was seen."""
        return self.pair(before, word) if word in self.after(before) else self.unseen(before) + self.alone(word)

    def _chance(self, word: str) -> float:
        return self.own * self.model.words.get(word, 0) + self.general * self.frequency.get(word, 0.0)
