"""Minimum word error rate training on n-best lists (Prabhavalkar et al. 2018, arXiv 1712.01818).

Cross entropy asks for the reference token by token; what is counted in the end are words. Over the hypotheses y of a
clip's n-best list, with their probabilities renormalised to sum to one over the list, the loss is the expected number
of errors,

    sum_y  p(y | x) / sum_y' p(y' | x)  *  (errors(y) - mean errors of the list),

where the mean only lowers the variance (eq. 5). The list is what the model itself decodes from the masked features at
that step (`nbest`), so training ends near what use begins with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...evaluate.error_rate import compare_texts
from ...models.token_network import DecoderCache, TokenNetwork
from ...text.tokenizer import Tokenizer
from ...train.targets import IGNORE, token_batch
from .greedy import max_tokens
from .nbest import clips_of, nbest

ROOM = 1.25  # times the longest reference that a hypothesis may grow to
MORE = 8  # tokens beyond that


@dataclass(frozen=True)
class MwerTarget:
    """One clip of a batch: its row there, prompt and reference tokens (without end), and its language."""

    row: int
    prompt: tuple[int, ...]
    reference: tuple[int, ...]
    language: str


def expected_errors(log_probs: Tensor, errors: Tensor) -> Tensor:
    """Expected errors (clips,) minus their mean, of n-best lists: both arguments are (hypotheses, clips).

    >>> expected_errors(torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [3.0]])).tolist()
    [0.0]
    """
    share = F.softmax(log_probs, 0)
    return (share * (errors - errors.mean(0))).sum(0)


def mwer_loss(
    model: TokenNetwork, audio: DecoderCache, targets: Sequence[MwerTarget], tokenizer: Tokenizer, size: int
) -> Tensor:
    """The summed expected errors of `targets`, whose encoder outputs are in `audio` (gradients flow to the encoder).

    Args:
        size: hypotheses a clip.
    """
    device = next(model.parameters()).device
    total = torch.zeros((), device=device)
    for prompt_length in sorted({len(target.prompt) for target in targets}):
        group = [target for target in targets if len(target.prompt) == prompt_length]
        total = total + _loss_of(model, audio, group, tokenizer, size, device)
    return total


def _loss_of(
    model: TokenNetwork, audio: DecoderCache, targets: Sequence[MwerTarget], tokenizer: Tokenizer, size: int,
    device: torch.device,
) -> Tensor:  # fmt: skip
    """The same of targets whose prompts are equally long."""
    end, prompt = model.config.tokens.end, len(targets[0].prompt)
    clips = clips_of(audio, torch.tensor([target.row for target in targets]).to(device, non_blocking=True))
    prompts = torch.tensor([target.prompt for target in targets]).to(device, non_blocking=True)
    longest = round(ROOM * max(len(target.reference) for target in targets)) + MORE
    limit = max_tokens(model, list(targets[0].prompt), longest)
    dropout, model.dropout.p = model.dropout.p, 0.0
    lists = nbest(model, clips, prompts, size, limit).ids.tolist()
    model.dropout.p = dropout
    rows, errors = [], []
    for hypotheses in lists:
        for target, padded in zip(targets, hypotheses, strict=True):
            ids = padded[: padded.index(end)] if end in padded else padded
            ended = [end] if len(ids) < limit else []
            rows.append([*target.prompt, *ids, *ended])
            reference, hypothesis = (tokenizer.decode(list(row)).strip() for row in (target.reference, ids))
            errors.append(compare_texts(reference, hypothesis, target.language).counts.errors)
    tokens = token_batch(rows, prompt, end, device)
    logits = model.decoder(tokens.inputs, clips, model.dropout)
    each = F.cross_entropy(logits.float().transpose(1, 2), tokens.labels, ignore_index=IGNORE, reduction="none")
    shape = (len(lists), len(targets))
    counted = torch.tensor(errors, dtype=torch.float32).to(device, non_blocking=True).view(shape)
    return expected_errors(-each.sum(1).view(shape), counted).sum()
