"""Which conditions of real use clips and a model can give: looked at before anything is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..base.errors import SecateurError
from ..data.manifest import Utterance
from ..text.languages import base_language
from .conditions import PREVIOUS, PREVIOUS_LEAST, TIMED_PAUSES, TIMED_SECONDS, chosen, joined_groups
from .real_use_table import TIMESTAMPS

TOO_FEW = "the clips are too few for it"


def unable(config: object, name: str) -> str:
    """Why a model with this config cannot take the condition `name`; empty where it can."""
    tokens = getattr(config, "tokens", None)
    if name.partition("-")[0] in ("prompt", "previous") and getattr(tokens, "previous", None) is None:
        return "the model takes no prompt"
    if name == TIMESTAMPS and getattr(tokens, "timestamps", None) is None:
        return "the model has no timestamp tokens"
    return ""


def too_few(name: str, clips: Sequence[Utterance]) -> bool:
    """Whether no recording of the condition `name` can be made of `clips`, by their lengths alone."""
    kind, _, value = name.partition("-")
    if kind == "joined":
        return not joined_groups(clips, float(value))
    if kind == "previous":
        return not joined_groups(clips, PREVIOUS, PREVIOUS_LEAST)
    if kind == TIMESTAMPS:
        return not any(
            base_language(a.language) == base_language(b.language)
            and a.duration + TIMED_PAUSES[0] + b.duration <= TIMED_SECONDS
            for a, b in pairwise(clips)
        )
    return not clips


def spread(clips: Sequence[Utterance], count: int) -> list[Utterance]:
    """`count` clips, evenly over the set; all of a smaller one."""
    if len(clips) <= count:
        return list(clips)
    return [clips[i] for i in np.linspace(0, len(clips) - 1, count).round().astype(int)]


def check_possible(given: Sequence[str], clips: Sequence[Utterance], config: object) -> None:
    """Refuse names of conditions (single ones or kinds) of which `clips` or the model can give none.

    Of a kind, or of all, what cannot be given is left out when it is measured.

    Raises:
        SecateurError: the first such name and why, or no clip with words.
    """
    spoken = [u for u in clips if u.text.strip()]
    if given and not spoken:
        raise SecateurError("conditions are made from clips with words, and here is none")
    for name in given:
        why = ""
        for one in chosen([name]):
            if one == "clean" and name not in ("clean", "all"):
                continue
            why = unable(config, one) or (TOO_FEW if too_few(one, spoken) else "")
            if not why:
                break
        if why:
            raise SecateurError(f"the condition '{name}' cannot be measured here: {why}; leave it out")
