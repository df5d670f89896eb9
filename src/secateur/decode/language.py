"""Which language a clip is in: the decoder's own answer to the start token."""

from __future__ import annotations

import numpy as np

from ..base.errors import SecateurError
from ..text.languages import language as language_entry
from ..text.tokens import Tokens
from .session import DecoderSession, State


def detect(session: DecoderSession, state: State, batch: int) -> list[dict[str, float]]:
    """The probability of each language that the model knows, for the `batch` encoded clips of `state`."""
    languages = session.config.tokens.languages
    names, ids = list(languages), list(languages.values())
    logits, _ = session.step(np.full((batch, 1), session.config.tokens.start, np.int64), state)
    chances = np.exp(logits[:, ids] - logits[:, ids].max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    return [dict(zip(names, row.tolist(), strict=True)) for row in chances]


def likeliest(answers: list[dict[str, float]]) -> list[str]:
    """The language that each of `answers` gives most probability.

    >>> likeliest([{"en": 0.2, "zh": 0.8}])
    ['zh']
    """
    return [max(answer, key=answer.__getitem__) for answer in answers]


def known(tokens: Tokens) -> tuple[str, ...]:
    """Codes of the languages that a model with these tokens writes: one without a table of them writes English."""
    return tuple(tokens.languages) or ("en",)


def chosen(tokens: Tokens, language: str | None) -> str | None:
    """The model's name for the language asked for; None: detect it. A model with one language has that one.

    Raises:
        SecateurError: the model, or the table of languages, does not know the language.
    """
    languages = known(tokens)
    if language is None:
        return languages[0] if len(languages) == 1 else None
    entry = language_entry(language)
    if entry.code not in languages:
        if languages == ("en",):
            raise SecateurError(
                f"this model knows English only, and {entry.name} ('{entry.code}') was asked for: "
                "take a multilingual one, such as base or small (without .en)"
            )
        few = ", ".join(sorted(languages)[:12]) + (", ..." if len(languages) > 12 else "")
        raise SecateurError(f"this model does not know {entry.name} ('{entry.code}'); it knows: {few}")
    return entry.code
