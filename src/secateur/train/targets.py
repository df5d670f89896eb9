"""Token targets: prompt, text, end; and their padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..base.errors import SecateurError
from ..data.manifest import Utterance
from ..text.tokenizer import Tokenizer
from ..text.tokens import Tokens

IGNORE = -100  # cross entropy's label for positions that do not count


@dataclass(frozen=True)
class TokenBatch:
    """`inputs` (batch, length) are fed; `labels` (batch, length) should follow, IGNORE where nothing is asked."""

    inputs: Tensor
    labels: Tensor


def encode_targets(
    utterances: Sequence[Utterance], tokenizer: Tokenizer, tokens: Tokens, text_context: int
) -> list[list[int]]:
    """The whole token row of every utterance: prompt, text, end.

    Raises:
        SecateurError: a transcript longer than the text context.
    """
    rows = []
    for utterance in utterances:
        row = [*tokens.prompt(utterance.language), *tokenizer.encode(utterance.text), tokens.end]
        if len(row) > text_context:
            raise SecateurError(
                f"{utterance.id}: its transcript takes {len(row)} tokens, the model's text context holds {text_context}"
            )
        rows.append(row)
    return rows


def token_batch(rows: Sequence[Sequence[int]], prompt: int, end: int, device: torch.device) -> TokenBatch:
    """Pad rows to the right; the `prompt` first tokens of a row are given, not asked for."""
    longest = max(map(len, rows)) - 1
    inputs = torch.full((len(rows), longest), end, dtype=torch.long)
    labels = torch.full((len(rows), longest), IGNORE, dtype=torch.long)
    for i, row in enumerate(rows):
        inputs[i, : len(row) - 1] = torch.tensor(row[:-1])
        labels[i, prompt - 1 : len(row) - 1] = torch.tensor(row[prompt:])
    return TokenBatch(inputs.to(device, non_blocking=True), labels.to(device, non_blocking=True))
