"""N-best lists: a beam search in torch, one batch of hypotheses, to train on and to choose from.

`decode.search` is what recognises. Here all clips of a batch share prompt length and limit, and hypothesis `h` of clip
`r` is row `h * clips + r`, so that cross-attention reads a clip's keys once for all of them (`layers.attend`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from ...base.errors import SecateurError
from ...base.progress import in_halves, track
from ...data.bank import AudioBank
from ...data.manifest import Utterance
from ...evaluate.alternatives import Alternative, with_alternatives
from ...evaluate.result import Result
from ...features.front_end import extractor
from ...models.network import Network
from ...models.token_network import DecoderCache, LayerCache, TokenNetwork, encoder_inputs
from ...text.tokenizer import Tokenizer
from ...weights.fetch import load_model
from .greedy import language_batches, max_tokens, suppression_bias

LOOK = 8  # steps between two looks at whether all have ended: each waits for the device
SMALLER = 6  # times less audio a batch than greedy decoding takes: every clip has many rows in the decoder


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


def check_alternatives(network: Network) -> None:
    """Refuse what has no decoder to search.

    Raises:
        SecateurError: not an encoder-decoder.
    """
    if not isinstance(network, TokenNetwork):
        raise SecateurError("--alternatives is for encoder-decoder models such as Whisper: leave it out for CTC")


@torch.no_grad()
def alternatives_of(
    model: TokenNetwork, tokenizer: Tokenizer, bank: AudioBank, languages: Sequence[str], size: int,
    batch_seconds: float, quiet: bool = True,
) -> list[list[Alternative]]:  # fmt: skip
    """The `size` likeliest texts of every clip in `bank`, in order; clips longer than the audio context are cut.

    Args:
        batch_seconds: audio that greedy decoding takes at once; here it is a sixth of it.
    """
    config, device = model.config, bank.device
    features = extractor(config.front_end).to(device)
    model.eval()
    lists: list[list[Alternative]] = [[]] * len(bank)

    def decode_batch(rows: Sequence[int], language: str) -> list[list[Alternative]]:
        audio = model.encode(*encoder_inputs(features, *bank.gather(rows), config, model.input_mask))
        prompt = config.tokens.prompt(language or None)
        likely = nbest(model, audio, torch.tensor([prompt] * len(rows), device=device), size, max_tokens(model, prompt))
        end, ids, scores = config.tokens.end, likely.ids.tolist(), likely.scores.tolist()
        texts = [[tokenizer.decode(one[: one.index(end)] if end in one else one) for one in level] for level in ids]
        return [
            [Alternative(level[i].strip(), score[i]) for level, score in zip(texts, scores, strict=True)]
            for i in range(len(rows))
        ]

    batches = language_batches(model, bank, languages, batch_seconds / SMALLER)
    for rows, language in track(batches, "searching", quiet=quiet):
        done = in_halves(partial(decode_batch, language=language), rows, config.name or "decoding")
        for row, one in zip(rows, done, strict=True):
            lists[row] = one
    return lists


def add_alternatives(
    result: Result, folder: str, utterances: Sequence[Utterance], device: str, batch_seconds: float, size: int
) -> Result:
    """`result` of a checkpoint on `utterances` with the `size` likeliest texts of every clip.

    Raises:
        SecateurError: the checkpoint cannot be read, or is not an encoder-decoder.
    """
    model, text = load_model(folder)
    check_alternatives(model)
    assert isinstance(model, TokenNetwork) and isinstance(text, Tokenizer)
    bank = AudioBank.read(utterances, torch.device(device), model.config.front_end.sample_rate, label="")
    languages = [u.language for u in utterances]
    lists = alternatives_of(model.to(device), text, bank, languages, size, batch_seconds, quiet=False)
    return with_alternatives(result, lists)
