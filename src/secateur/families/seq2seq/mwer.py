"""Minimum word error rate training on n-best lists (Prabhavalkar et al. 2018, arXiv 1712.01818).

Cross entropy asks for the reference token by token; what is counted in the end are words. Over the hypotheses y of a
clip's n-best list, with their probabilities renormalised to sum to one over the list, the loss is the expected number
of errors,

    sum_y  p(y | x) / sum_y' p(y' | x)  *  (errors(y) - mean errors of the list),

where the mean only lowers the variance (eq. 5). The list is what the model itself decodes from the masked features at
that step, so training ends near what use begins with. It comes from a beam search in torch, one batch of hypotheses
(`decode.search` is what recognises): all clips of a batch share prompt length and limit, and hypothesis `h` of clip `r`
is row `h * clips + r`, so that cross-attention reads a clip's keys once for all of them (`layers.attend`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...evaluate.error_rate import compare_texts
from ...models.token_network import DecoderCache, LayerCache, TokenNetwork
from ...text.tokenizer import Tokenizer
from ...train.targets import IGNORE, token_batch
from .greedy import max_tokens, suppression_bias

ROOM = 1.25  # times the longest reference that a hypothesis may grow to
MORE = 8  # tokens beyond that


LOOK = 8  # steps between two looks at whether all have ended: each waits for the device


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


@dataclass(frozen=True)
class NBest:
    """`ids` (hypotheses, clips, length), filled up with the end token, the likeliest hypothesis first, and their log
    probabilities (hypotheses, clips)."""

    ids: Tensor
    scores: Tensor


def clips_of(cache: DecoderCache, rows: Tensor) -> DecoderCache:
    """A cache with only the audio of the clips `rows`, before the first token."""
    layers = [LayerCache(layer.cross_keys[rows], layer.cross_values[rows]) for layer in cache.layers]
    return DecoderCache(layers, None if cache.memory_mask is None else cache.memory_mask[rows])


@torch.no_grad()
def nbest(model: TokenNetwork, audio: DecoderCache, prompts: Tensor, size: int, limit: int) -> NBest:
    """The `size` likeliest token rows of every clip in `audio`, each at most `limit` tokens after `prompts` (clips, n).

    Hypotheses that have ended stay in the beam with their score. Special tokens and the suppress lists are excluded, as
    in decoding.
    """
    end = model.config.tokens.end
    clips, device = len(prompts), prompts.device
    suppressed, at_start = suppression_bias(model, device)
    layers = [LayerCache(layer.cross_keys, layer.cross_values) for layer in audio.layers]
    cache = DecoderCache(layers, audio.memory_mask)
    first = F.log_softmax(model.step(prompts, cache).float() + at_start, -1)
    size = min(size, first.shape[1])
    scores, chosen = first.topk(size, -1)  # (clips, size)
    scores, chosen = scores.T.contiguous(), chosen.T.contiguous()
    ids = torch.full((size, clips, limit), end, device=device)
    ids[..., 0] = chosen
    everyone = torch.arange(clips, device=device)
    _pick(cache, everyone.repeat(size))
    for position in range(1, limit):
        done = chosen == end
        if position % LOOK == 0 and bool(done.all()):
            break
        logits = model.step(chosen.reshape(-1, 1), cache).float() + suppressed
        each = F.log_softmax(logits, -1).view(size, clips, -1)
        gained, tokens = each.topk(size, -1)  # (size, clips, size)
        # What has ended goes on as itself alone.
        gained = gained.masked_fill(done[..., None], -torch.inf)
        gained[..., 0] = gained[..., 0].masked_fill(done, 0.0)
        tokens = tokens.masked_fill(done[..., None], end)
        total = (scores[..., None] + gained).transpose(0, 1).reshape(clips, -1)
        scores, best = total.topk(size, -1)
        parent, chosen = (best // size).T, tokens.transpose(0, 1).reshape(clips, -1).gather(1, best).T.contiguous()
        scores = scores.T.contiguous()
        ids = ids.gather(0, parent[..., None].expand_as(ids))
        ids[..., position] = chosen
        _pick(cache, (parent * clips + everyone).reshape(-1))
    return NBest(ids, scores)


def _pick(cache: DecoderCache, rows: Tensor) -> None:
    """Reorder the self-attention part of `cache` in place."""
    for layer in cache.layers:
        if layer.keys is not None and layer.values is not None:
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]
