"""Splits by speaker: nobody is heard both in training and in testing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import combinations

from ..base.errors import SecateurError
from .manifest import FIELDS, Utterance

SHARES = {"train": 0.8, "dev": 0.1, "test": 0.1}


def split_by_speaker(
    utterances: Sequence[Utterance], shares: Mapping[str, float] | None = None, seed: int = 0, by: str = "speaker"
) -> dict[str, list[Utterance]]:
    """Cut a set into splits whose hours come close to `shares` (of their sum; default 0.8, 0.1, 0.1).

    Whole speakers are dealt out in an order drawn from the seed, each to the split that lacks most hours; the last ones
    go to splits that are still empty. So no split exceeds its share by a whole speaker, none is empty, and the result
    depends on ids, durations, speakers and seed only. `by` names another field or extra that must not be shared, such
    as "id" or "room". Utterances keep their order.

    Raises:
        SecateurError: fewer speakers than splits, an utterance without speaker, or shares that are not positive.
    """
    shares = dict(SHARES if shares is None else shares)
    if not shares or min(shares.values()) <= 0:
        raise SecateurError(f"shares of splits must be above 0, found {shares}")
    seconds: dict[str, float] = {}
    for u in sorted(utterances, key=lambda u: u.id):  # float sums depend on their order
        key = group_of(u, by)
        seconds[key] = seconds.get(key, 0.0) + u.duration
    if len(seconds) < len(shares):
        raise SecateurError(f"{len(seconds)} values of '{by}' cannot make {len(shares)} splits without sharing")
    whole = sum(shares.values())
    lacking = {name: share / whole * sum(seconds.values()) for name, share in shares.items()}
    chosen: dict[str, str] = {}
    order = sorted(seconds, key=lambda key: hashlib.sha256(f"{seed}\0{key}".encode()).digest())
    for dealt, key in enumerate(order):
        empty = [name for name in shares if name not in chosen.values()]
        among = empty if len(order) - dealt <= len(empty) else list(shares)
        chosen[key] = max(among, key=lambda name: lacking[name])
        lacking[chosen[key]] -= seconds[key]
    return {name: [u for u in utterances if chosen[group_of(u, by)] == name] for name in shares}


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
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def shared_texts(splits: Mapping[str, Sequence[Utterance]]) -> dict[tuple[str, str], int]:
    """How many different texts each pair of splits has in common; pairs without any are left out."""
    texts = {name: {plain(u.text) for u in members} - {""} for name, members in splits.items()}
    counts = {(a, b): len(texts[a] & texts[b]) for a, b in combinations(texts, 2)}
    return {pair: count for pair, count in counts.items() if count}


def without_texts_of(utterances: Sequence[Utterance], others: Sequence[Utterance]) -> list[Utterance]:
    """The utterances whose text none of `others` has; those without text stay."""
    texts = {plain(u.text) for u in others} - {""}
    return [u for u in utterances if plain(u.text) not in texts]
