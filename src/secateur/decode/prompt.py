"""What the decoder reads before its first word: expected words, text so far, language (or which it is) and task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..base.errors import SecateurError
from ..base.progress import say_once
from ..text.languages import language as language_entry
from ..text.tokenizer import Tokenizer
from ..text.tokens import Tokens
from .loops import collapse_loops
from .options import DecodingOptions
from .session import DecoderSession, State, TokenConfig


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


def word_list(words: Sequence[str]) -> str:
    """The text that introduces expected words; training writes its prompts in the same form."""
    return ", ".join(words)


def prompt(
    config: TokenConfig, tokenizer: Tokenizer, options: DecodingOptions, language: str, timestamps: bool,
    previous: Sequence[int] = (),
) -> list[int]:  # fmt: skip
    """Ids for one window: `[<|startofprev|>, words, text before, <|startoftranscript|>, language, task, ...]`.

    Words and text before take at most half of the text context, as in the Whisper reference. Of words that are too
    many the last stay, then the last of the text before; words that go round in a loop are given once. A model without
    the token that introduces them (its row was cut) is not given any, and a warning says so once.

    Raises:
        SecateurError: a task or language that the model does not know.
    """
    tokens = config.tokens
    translates = tokens.multilingual and tokens.translate is not None
    if options.task == "translate" and not translates and len(known(tokens)) == 1:
        raise SecateurError("this model does not translate: it knows one language")
    try:
        start = tokens.prompt(language, options.task, timestamps)
    except ValueError as problem:
        raise SecateurError(str(problem)) from problem
    if not options.words and not previous:
        return start
    if tokens.previous is None:
        if options.words:
            say_once("this model has no <|startofprev|> token: the words to expect are ignored")
        return start
    room = config.text_context // 2 - 1
    words = tokenizer.encode(word_list(options.words)) if options.words else []
    if len(words) > room:
        say_once(f"the words to expect take {len(words)} tokens: this model is given the last {room} of them")
        words = words[-room:]
    words = collapse_loops(words)  # a prompt that repeats itself makes the decoder do so, or fall silent
    before = list(previous)[max(0, len(previous) - (room - len(words))) :]
    return [tokens.previous, *words, *before, *start]
