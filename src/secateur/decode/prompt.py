"""What the decoder reads before its first word: expected words, the text so far, language and task."""

from __future__ import annotations

from collections.abc import Sequence

from ..base.errors import SecateurError
from ..text.tokenizer import Tokenizer
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

    Words and text before take at most half of the text context, as in the Whisper reference; the words always stay.

    Raises:
        SecateurError: words were given but the model has no token to introduce them, or a task it does not know.
    """
    tokens = config.tokens
    try:
        start = tokens.prompt(language, options.task, timestamps)
    except ValueError as problem:
        raise SecateurError(str(problem)) from problem
    if options.task == "translate" and not tokens.multilingual:
        raise SecateurError("this model does not translate: it knows one language")
    if not options.words and not previous:
        return start
    if tokens.previous is None:
        raise SecateurError("this model has no <|startofprev|> token, so it cannot be given words; leave them out")
    room = config.text_context // 2 - 1
    words = tokenizer.encode(word_list(options.words)) if options.words else []
    if len(words) > room:
        raise SecateurError(f"the words to expect take {len(words)} tokens; this model has room for {room}")
    before = list(previous)[max(0, len(previous) - (room - len(words))) :]
    return [tokens.previous, *words, *before, *start]
