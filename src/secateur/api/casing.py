"""What a model will learn of the way in which its training texts are written, said before it trains."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..data.summary import casing

WAYS = {"upper": "upper case only", "lower": "lower case only", "mixed": "upper and lower case"}


def notes_on_casing(sets: Mapping[str, Sequence[str]], sentences: bool, counted: bool) -> list[str]:
    """Notes on a job whose model writes sentences: what it will write after training on `sets["train"]`, and what its
    error rates on the other sets will make of that.

    `sentences`: bare texts are trained on as sentences (training.style). `counted`: error rates count case.

    >>> notes_on_casing({"train": ["Turn on the light, please."], "dev": ["Good morning to you all."]}, False, True)
    []
    """
    ways = {name: way for name, texts in sets.items() if (way := casing(texts))}
    train = ways.get("train", "")
    bare = train in ("upper", "lower") and not any(re.search(r"[.?!,;:]", text) for text in sets["train"])
    notes = []
    if not sentences and (train == "upper" or bare):
        lower = "; `secateur data prepare --lower` writes texts in lower case" if train == "upper" else ""
        what = f"{WAYS[train]}, without punctuation" if bare else WAYS[train]
        notes.append(
            f"the texts to train on are in {what}, and the model will learn to write so: --training.style sentence "
            f"makes sentences of bare ones{lower}"
        )
    learnt = "mixed" if sentences and bare else train
    for way in dict.fromkeys(ways.values()):
        names = ", ".join(name for name in ways if ways[name] == way and name != "train")
        if train and names and (way != train or (counted and way != learnt)):
            effect = "count that as errors" if counted else "leave case out and do not show it"
            notes.append(
                f"the texts to train on are in {WAYS[train]}, those of {names} in {WAYS[way]}: what the model learns "
                f"to write is not what it is compared with, and error rates {effect}"
            )
    return notes
