"""Which rows of a Whisper's token table mean something: published ones, tokens that were added, and padding.

A table may have more rows than there are tokens (padded to a multiple of 8 or 64 for speed), and a fine-tuned model may
have tokens after the last timestamp. Nothing can be said by a row without a token; it is cut when the model is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ...base.errors import SecateurError
from ...base.progress import say
from ...text.tokenizer import Tokenizer
from ...weights.tokenizer_files import added_tokens
from .vocabulary import TIMESTAMPS, special_names

TABLE = "decoder.token_embedding.weight"
FIRST_TIME, NO_TIMES = "<|0.00|>", "<|notimestamps|>"


def times_from(first: int, rows: int, added: Mapping[str, int]) -> int:
    """How many timestamps there are from the row `first` on: those that the tokenizer names one after the other; where
    it names none, as many as OpenAI has, if there are as many rows."""
    ids = {i: name for name, i in added.items()}
    count = 0
    while ids.get(first + count) == f"<|{count * 0.02:.2f}|>":
        count += 1
    return count or min(rows - first, TIMESTAMPS)


def published_rows(rows: int, added: Mapping[str, int]) -> int:
    """The rows that the published model has which one with `rows` rows came from: those up to the last timestamp, as
    far as the tokenizer says where that is."""
    before = added.get(NO_TIMES, added.get(FIRST_TIME, 0) - 1)
    end = before + 1 + TIMESTAMPS
    names = special_names(end) if 0 < before < rows else None
    if names is None or any(names.get(name, i) != i for name, i in added.items() if i < end):
        return rows
    return end


def named_rows(folder: Path, rows: int, tokenizer: Tokenizer, added: Mapping[str, int]) -> int:
    """How many of the first of `rows` rows have a token; the others are padding, and a note says so.

    Raises:
        SecateurError: text was added as tokens of its own, which the tokenizers here cannot spell.
    """
    extra = {name: token for name, token in added_tokens(folder).items() if token.id >= tokenizer.end}
    spelled = [name for name, token in extra.items() if not token.special and not name.startswith("<|")]
    if spelled:
        shown = ", ".join(repr(name[:30]) for name in spelled[:3])
        raise SecateurError(
            f"{folder}: {len(spelled)} words were added to its tokenizer ({shown}), which is not known here; train on "
            "without them, or take the model that it was made of"
        )
    vocabulary = json.loads(tokenizer.definition)["model"]["vocab"]
    ids = [*vocabulary.values(), *added.values(), *(token.id for token in extra.values())]
    last = max((i for i in ids if isinstance(i, int)), default=rows - 1)
    if not any(name == FIRST_TIME for name in added):
        # Older tokenizers do not list timestamps, which follow the last token that they list.
        before = added.get(NO_TIMES)
        last = max(last, rows - 1 if before is None else min(rows - 1, before + TIMESTAMPS))
    if last + 1 < rows:
        say(f"note: {folder}: {rows - last - 1} of {rows} rows of its token table have no token; they are left out")
        return last + 1
    return rows


def cut_rows(state: dict[str, Tensor], rows: int, stored: int) -> dict[str, Tensor]:
    """`state` with the first `rows` of the `stored` rows of the token table."""
    table = state.get(TABLE)
    if table is None or rows >= stored or len(table) != stored:
        return state
    return {**state, TABLE: table[:rows]}
