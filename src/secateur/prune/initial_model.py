"""The pruned initial model: inputs, vocabulary rows and contexts, which no mask can remove, are cut before training."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..base.errors import SecateurError
from ..decode.prompt import chosen
from ..models.token_network import TokenNetwork
from ..text.languages import base_language
from ..text.tokenizer import Tokenizer
from ..text.tokens import Tokens
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
    model: TokenNetwork,
    tokenizer: Tokenizer,
    texts: Iterable[str],
    settings: PruneSettings,
    languages: Iterable[str] = (),
) -> InitialModel:
    """Cut inputs, contexts and vocabulary of a copy of `model`, which then takes clips unpadded instead of as 30 s."""
    most, seconds = model.config.max_seconds, settings.audio_seconds
    if seconds is not None and seconds > max(most, PruneSettings.audio_seconds or 0):  # the default is for any model
        raise SecateurError(f"prune.audio_seconds {seconds:g} is more than the {most:g} s of the model; none keeps all")
    model = cut_inputs(model, settings)
    plan: Keep = context_plan(model.config, settings.audio_seconds, settings.text_tokens)
    rows = None
    languages = _kept_languages(model.config.tokens, settings.languages, tuple(languages))
    if isinstance(settings.vocabulary, str):
        smaller = model.config.shrunk(dict(plan))
        if settings.rows is not None:
            raise SecateurError(
                "prune.rows limits the rows of training texts (prune.vocabulary yes), not of an alphabet"
            )
        alphabet = chosen_alphabet(settings.vocabulary, languages)
        plan |= rows_of_alphabet(smaller, tokenizer, alphabet, languages, settings.timestamps)
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


def _kept_languages(tokens: Tokens, given: Sequence[str], trained: Sequence[str]) -> Sequence[str]:
    """The languages whose rows stay: those `given`, which must hold those `trained` on, or else the latter.

    Raises:
        SecateurError: a language that the model does not write, or that clips to train on are in and that would go.
    """
    kept = languages_written(tokens, "", given)
    lost = sorted({base_language(name) for name in trained} & {*tokens.languages} - {*kept}) if given else []
    if lost:
        raise SecateurError(
            f"prune.languages keeps {', '.join(kept)}, and there are clips in {', '.join(lost)} to train on: add it, "
            "or leave them out"
        )
    return given or trained


def languages_written(tokens: Tokens, setting: str, languages: Iterable[str]) -> list[str]:
    """The languages whose rows stay with the alphabet `setting`: those given, or the only one that the model writes.

    Raises:
        SecateurError: a language that a model with these tokens does not write.
    """
    names = [base_language(name) for name in languages]
    for name in names:
        chosen(tokens, name)
    return ["en"] if setting == "script" and not names and not tokens.multilingual else names


def only_alphabet(
    model: Any, tokenizer: Any, setting: str, languages: Iterable[str] = (), timestamps: bool = True
) -> InitialModel:
    """The model with only the rows that an alphabet can spell (see `chosen_alphabet`), everything else as it is.

    Raises:
        SecateurError: a model that does not write tokens, languages that it does not write, no such alphabet.
    """
    if not any(group.kind == "vocabulary" for group in model.groups()):
        raise SecateurError(f"vocabulary: a model of the family '{model.config.family}' has no rows of tokens to keep")
    languages = languages_written(model.config.tokens, setting, languages)
    plan = rows_of_alphabet(model.config, tokenizer, chosen_alphabet(setting, languages), languages, timestamps)
    small = shrink(model, plan)
    return InitialModel(
        small, reduced_tokenizer(tokenizer, plan["vocabulary"], small.config), torch.tensor(plan["vocabulary"])
    )
