"""Which of a teacher's tokens are a student's: a distribution over other tokens teaches nonsense."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch

from ...base.errors import SecateurError
from ...decode.session import TokenConfig
from ...models.family import TeacherModel
from ...prune.initial_model import InitialModel
from ...text.tokenizer import Tokenizer
from ...text.tokens import Tokens

SPECIAL = ("start", "end", "no_timestamps", "transcribe", "translate", "previous", "no_speech")
OTHER_TOKENS = (
    "a teacher gives a distribution of the student's own tokens, and this one writes others; let it "
    "write transcripts to train on instead (secateur data label)"
)


def teacher_rows(initial: InitialModel, teacher: TeacherModel) -> torch.Tensor | None:
    """The teacher's id of each of the student's tokens (vocabulary,); None: they are numbered alike.

    Rows that nothing names (special tokens that are never used) are taken as the student's start numbers them.

    Raises:
        SecateurError: another family, or a token of the student's that the teacher does not have.
    """
    config, theirs = initial.model.config, cast(TokenConfig, teacher.model.config)
    if teacher.model.config.family != config.family or theirs.tokens.multilingual != config.tokens.multilingual:
        raise SecateurError(OTHER_TOKENS)
    ours, known = _named(initial.tokenizer, config.tokens), _named(cast(Tokenizer, teacher.text), theirs.tokens)
    if not ours.keys() <= known.keys():
        raise SecateurError(OTHER_TOKENS)
    rows = torch.arange(config.vocabulary) if initial.rows is None else initial.rows.clone()
    for name, row in ours.items():
        rows[row] = known[name]
    if int(rows.max()) >= theirs.vocabulary:
        raise SecateurError(OTHER_TOKENS)
    alike = theirs.vocabulary == config.vocabulary and bool((rows == torch.arange(len(rows))).all())
    return None if alike else rows


def _named(tokenizer: Tokenizer, tokens: Tokens) -> dict[tuple[str, str], int]:
    """Every token's id by its spelling, special ones by what they are for."""
    return {("text", name): i for name, i in tokenizer.vocabulary().items() if i < tokens.end} | dict(_special(tokens))


def _special(tokens: Tokens) -> Iterator[tuple[tuple[str, str], int]]:
    for name in SPECIAL:
        if (row := getattr(tokens, name)) is not None:
            yield (name, ""), row
    yield from ((("language", name), row) for name, row in tokens.languages.items())
    if tokens.timestamps is not None:
        yield from ((("time", str(i)), tokens.timestamps + i) for i in range(tokens.timestamp_count))
