"""The pruned initial model: inputs, vocabulary rows and contexts, which no mask can remove, are cut before training."""

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
class InitialModel:
    """A model to train, its tokenizer, and `rows`: the original's id of each of its tokens (None: no row was
    removed)."""

    model: Any
    tokenizer: Any  # the family's text codec
    rows: torch.Tensor | None


def make_initial_model(
    model: TokenNetwork, tokenizer: Tokenizer, texts: Iterable[str], settings: PruneSettings,
    languages: Iterable[str] = (),
) -> InitialModel:  # fmt: skip
    """Cut inputs, contexts and vocabulary of a copy of `model`, which then takes clips unpadded instead of as 30 s."""
    model = cut_inputs(model, settings)
    plan: Keep = context_plan(model.config, settings.audio_seconds, settings.text_tokens)
    rows = None
    languages = settings.languages or tuple(languages)
    if isinstance(settings.vocabulary, str):
        smaller = model.config.shrunk(dict(plan))
        alphabet = chosen_alphabet(settings.vocabulary, languages)
        plan |= rows_of_alphabet(smaller, tokenizer, alphabet, languages, timestamps=True)
    elif settings.vocabulary:
        # Timestamps are kept up to the new audio context, so the contexts are decided first.
        smaller = model.config.shrunk(dict(plan))
        plan |= choose_rows(smaller, tokenizer, texts, settings.frequent, settings.rows, languages, settings.timestamps)
    small = shrink(model, plan) if plan else copy.deepcopy(model)
    if small.config.padded:
        small.config = replace(small.config, padded=False)
    if "vocabulary" in plan:
        rows = torch.tensor(plan["vocabulary"])
        tokenizer = reduced_tokenizer(tokenizer, plan["vocabulary"], small.config)
    return InitialModel(small, tokenizer, rows)
