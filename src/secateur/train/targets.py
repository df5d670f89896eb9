"""Token targets: prompt, text, end; and their padded batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..base.errors import SecateurError
from ..data.manifest import Utterance
from ..text.clean import as_sentence
from ..text.tokenizer import Tokenizer
from ..text.tokens import Tokens

IGNORE = -100  # cross entropy's label for positions without a target


@dataclass(frozen=True)
class TokenBatch:
    """Decoder `inputs` and `labels`, each (batch, length); labels are IGNORE where there is no target."""

    inputs: Tensor
    labels: Tensor


def encode_targets(
    utterances: Sequence[Utterance], tokenizer: Tokenizer, tokens: Tokens, text_context: int, sentence: bool = False
) -> list[list[int]]:
    """The whole token row of every utterance: prompt, text (with capitals and full stop if `sentence`), end.

    Raises:
        SecateurError: a transcript longer than the text context, or in a language that the model does not write.
    """
    rows = []
    for utterance in utterances:
        text = as_sentence(utterance.text) if sentence else utterance.text
        try:
            prompt = tokens.prompt(utterance.language)
        except ValueError as problem:
            raise SecateurError(f"{utterance.id}: {problem}") from problem
        row = [*prompt, *tokenizer.encode(text), tokens.end]
        if len(row) > text_context:
            raise SecateurError(
                f"{utterance.id}: its transcript takes {len(row)} tokens, the model's text context holds {text_context}"
            )
        rows.append(row)
    return rows


def bpe_dropout_row(
    row: Sequence[int], parents: Mapping[int, tuple[int, int]], chance: float, random: np.random.Generator
) -> list[int]:
    """`row` with some tokens split into the two they were merged from, recursively with the same `chance`.

    Like BPE dropout (Provilkov et al. 2020, arXiv 1910.13267): a model with few vocabulary rows must learn to spell
    words that its rows lack, from words that they have.
    """
    result: list[int] = []
    todo = list(reversed(row))
    while todo:
        token = todo.pop()
        if token in parents and random.random() < chance:
            first, second = parents[token]
            todo += [second, first]
        else:
            result.append(token)
    return result


@dataclass(frozen=True)
class TokenTarget:
    """One example's tokens: the first `prompt_length` of them are no targets.

    `times` are the positions of timestamp tokens, with the clip and the edge (0: its beginning, 1: its end) they stand
    for; the ids there are those of zero seconds. `start` is the position of the start token; after it the model must
    not expect silence where there is speech.
    """

    ids: tuple[int, ...]
    prompt_length: int
    start: int
    times: tuple[tuple[int, int, int], ...] = ()
    speech: bool = True


def batch_of_rows(
    rows: Sequence[TokenTarget], end: int, joints: Tensor | None, most: int, device: torch.device
) -> TokenBatch:
    """Padded `rows`; timestamps, of which there are `most`, are read off `joints` (batch, clips, 2) on the device."""
    longest = max(len(row.ids) for row in rows)
    table = np.full((len(rows), longest), end, np.int64)
    column = np.arange(longest)
    for line, row in zip(table, rows, strict=True):
        line[: len(row.ids)] = row.ids
    first, after = np.array([(row.prompt_length, len(row.ids)) for row in rows]).T
    is_target = torch.from_numpy((column >= first[:, None]) & (column < after[:, None]))
    ids = torch.from_numpy(table).to(device, non_blocking=True)
    positions = [(i, *position) for i, row in enumerate(rows) for position in row.times]
    if positions and joints is not None:
        line, column, clip, edge = torch.tensor(positions).T.to(device, non_blocking=True)
        ids[line, column] += joints[line, clip, edge].clamp(0, most - 1)
    labels = ids.masked_fill(~is_target.to(device, non_blocking=True), IGNORE)
    return TokenBatch(ids[:, :-1], labels[:, 1:])


def token_batch(rows: Sequence[Sequence[int]], prompt: int, end: int, device: torch.device) -> TokenBatch:
    """Pad rows to the right; the `prompt` first tokens of a row are no targets."""
    longest = max(map(len, rows)) - 1
    inputs = torch.full((len(rows), longest), end, dtype=torch.long)
    labels = torch.full((len(rows), longest), IGNORE, dtype=torch.long)
    for i, row in enumerate(rows):
        inputs[i, : len(row) - 1] = torch.tensor(row[:-1])
        labels[i, prompt - 1 : len(row) - 1] = torch.tensor(row[prompt:])
    return TokenBatch(inputs.to(device, non_blocking=True), labels.to(device, non_blocking=True))
