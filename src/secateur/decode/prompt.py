"""What the decoder reads before its first word: expected words, the text so far, language and task."""

from __future__ import annotations

from collections.abc import Sequence

from ..base.errors import SecateurError
from ..base.progress import say_once
from ..text.tokenizer import Tokenizer
from .language import known
from .loops import collapse_loops
from .options import DecodingOptions
from .session import TokenConfig


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
