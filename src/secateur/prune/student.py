"""The start of a pruned model: what can be cut before training (inputs, vocabulary rows, contexts), cut at once."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..models.token_network import TokenNetwork
from ..text.tokenizer import Tokenizer
from .budget import Keep
from .inputs import cut_inputs
from .settings import PruneSettings
from .shrink import shrink
from .vocabulary import choose_rows, chosen_alphabet, context_plan, reduced_tokenizer, rows_of_alphabet


@dataclass(frozen=True)
class Student:
    """A smaller start, its tokenizer, and `rows`: the original's token id of each of its own (None: all kept)."""

    model: Any
    tokenizer: Any  # the family's text codec
    rows: torch.Tensor | None


def make_student(
    model: TokenNetwork, tokenizer: Tokenizer, texts: Iterable[str], settings: PruneSettings,
    languages: Iterable[str] = (),
) -> Student:  # fmt: skip
    """Cut inputs, contexts and vocabulary of a copy of `model`; the student hears clips unpadded, not as 30 s."""
    model = cut_inputs(model, settings)
    plan: Keep = context_plan(model.config, settings.audio_seconds, settings.text_tokens)
    rows = None
    languages = settings.languages or tuple(languages)
    if isinstance(settings.vocabulary, str):
        cut = model.config.shrunk(dict(plan))
        alphabet = chosen_alphabet(settings.vocabulary, languages)
        plan |= rows_of_alphabet(cut, tokenizer, alphabet, languages, timestamps=True)
    elif settings.vocabulary:
        # Timestamps are kept up to the new audio context, so the contexts are decided first.
        cut = model.config.shrunk(dict(plan))
        plan |= choose_rows(cut, tokenizer, texts, settings.frequent, settings.rows, languages, settings.timestamps)
    small = shrink(model, plan) if plan else copy.deepcopy(model)
    if small.config.padded:
        small.config = replace(small.config, padded=False)
    if "vocabulary" in plan:
        rows = torch.tensor(plan["vocabulary"])
        tokenizer = reduced_tokenizer(tokenizer, plan["vocabulary"], small.config)
    return Student(small, tokenizer, rows)
