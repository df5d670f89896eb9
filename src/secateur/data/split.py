"""Splits by speaker: no speaker is both in training and in testing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from ..base.errors import UTTERANCES, SecateurError, several
from .fields import FIELDS
from .hashes import Hashes
from .manifest import Utterance

SHARES = {"train": 0.8, "dev": 0.1, "test": 0.1}


_OTHER = re.compile(r"[\W_]+")  # what str.isalnum denies
FINE = 1 << 40  # parts of a second: sums of whole numbers do not depend on their order


def choose_splits(
    utterances: Iterable[Utterance], shares: Mapping[str, float] | None = None, seed: int = 0, by: str = "speaker"
) -> dict[str, str]:
    """Which split each speaker (or value of `by`) goes to: hours come close to `shares` (of their sum).

    Whole speakers are dealt out in an order drawn from the seed, each to the split that lacks most hours; the last ones
    go to splits that are still empty. So no split exceeds its share by a whole speaker, none is empty, and the result
    depends on durations, speakers and seed only. `by` names another field or extra that must not be shared, such as
    "id" or "room". Memory grows with the number of speakers.

    Raises:
        SecateurError: fewer speakers than splits, an utterance without speaker, or shares that are not positive.
    """
    shares = dict(SHARES if shares is None else shares)
    if not shares or min(shares.values()) <= 0:
        raise SecateurError(f"shares of splits must be above 0, found {shares}")
    spoken: dict[str, int] = {}
    for u in several("split", utterances, UTTERANCES):
        key = group_of(u, by)
        spoken[key] = spoken.get(key, 0) + round(u.duration * FINE)
    seconds = {key: total / FINE for key, total in spoken.items()}
    if len(seconds) < len(shares):
        what = f"{len(seconds)} values of '{by}' cannot make {len(shares)} splits without sharing"
        raise SecateurError(f"{what}: fewer splits (--shares), or split by clip (--by id)")
    total_share, everything = sum(shares.values()), sum(spoken.values()) / FINE
    lacking = {name: share / total_share * everything for name, share in shares.items()}
    chosen: dict[str, str] = {}
    empty = list(shares)
    order = sorted(seconds, key=lambda key: hashlib.sha256(f"{seed}\0{key}".encode()).digest())
    for dealt, key in enumerate(order):
        among = empty if len(order) - dealt <= len(empty) else list(shares)
        chosen[key] = max(among, key=lambda name: lacking[name])
        lacking[chosen[key]] -= seconds[key]
        empty = [name for name in empty if name != chosen[key]]
    return chosen


def split_by_speaker(
    utterances: Sequence[Utterance], shares: Mapping[str, float] | None = None, seed: int = 0, by: str = "speaker"
) -> dict[str, list[Utterance]]:
    """The utterances of every split, in their order; see `choose_splits`."""
    chosen = choose_splits(utterances, shares, seed, by)
    splits: dict[str, list[Utterance]] = {name: [] for name in (SHARES if shares is None else shares)}
    for u in utterances:
        splits[chosen[group_of(u, by)]].append(u)
    return splits


def group_of(utterance: Utterance, by: str) -> str:
    """What an utterance has in the field or extra `by`.

    Raises:
        SecateurError: nothing.
    """
    value = getattr(utterance, by) if by in FIELDS else utterance.extras.get(by, "")
    if value in ("", None):
        raise SecateurError(f"utterance '{utterance.id}' has no '{by}': add it, or split by another field (--by id)")
    return str(value)


def plain(text: str) -> str:
    """A text as it is compared between splits: lower case, letters and digits only."""
    return _OTHER.sub(" ", text.casefold()).strip()


class SplitTexts:
    """The texts of every split as hashes, and how many different ones each pair of splits has in common."""

    def __init__(self, names: Iterable[str]) -> None:
        self._texts = {name: Hashes() for name in names}
        self._common = dict.fromkeys(combinations(self._texts, 2), 0)

    def add(self, split: str, text: str) -> None:
        """Take the text of one clip of `split` into account."""
        key = plain(text)
        if key and self._texts[split].add(key):
            for a, b in self._common:
                if split in (a, b) and key in self._texts[b if split == a else a]:
                    self._common[a, b] += 1

    def shared(self) -> dict[tuple[str, str], int]:
        """Different texts that pairs of splits have in common; pairs without any are left out."""
        return {pair: count for pair, count in self._common.items() if count}

    def occurs(self, text: str, splits: Iterable[str]) -> bool:
        """Whether any of `splits` has the text; none has the empty one."""
        key = plain(text)
        return bool(key) and any(key in self._texts[name] for name in splits)


def shared_texts(splits: Mapping[str, Iterable[Utterance]]) -> dict[tuple[str, str], int]:
    """How many different texts each pair of splits has in common; pairs without any are left out."""
    texts = SplitTexts(splits)
    for name, members in splits.items():
        for u in members:
            texts.add(name, u.text)
    return texts.shared()


def without_texts_of(utterances: Sequence[Utterance], others: Iterable[Utterance]) -> list[Utterance]:
    """The utterances whose text none of `others` has; those without text stay."""
    texts = {plain(u.text) for u in utterances} - {""}
    shared = {text for u in others if (text := plain(u.text)) in texts}
    return [u for u in utterances if plain(u.text) not in shared]
