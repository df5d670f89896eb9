"""Fast greedy decoding of many clips in torch, for validation during training and `evaluate` on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ...base.progress import in_halves, track
from ...data.bank import AudioBank, buckets
from ...decode.fallback import MOST_TOKENS
from ...decode.loops import cut_loops
from ...features.front_end import extractor
from ...models.token_network import DecoderCache, TokenNetwork, encoder_inputs
from ...text.tokenizer import Tokenizer


@torch.no_grad()
def greedy(
    model: TokenNetwork, features: Tensor, frames: Tensor | None, prompt: list[int], limit: int | None = None
) -> list[list[int]]:
    """Token rows, without prompt and end, of `features` (batch, frames, inputs); suppress lists as in the
    reference; repetition loops are cut to one.

    At most `limit` tokens a row; by default 224, as the reference, or what the text context holds.
    """
    tokens = model.config.tokens
    device = features.device
    cache: DecoderCache = model.encode(features, frames)
    limit = max_tokens(model, prompt, limit)
    suppressed, suppressed_at_start = suppression_bias(model, device)
    rows = torch.full((features.shape[0], limit), tokens.end, device=device)
    step = torch.tensor([prompt], device=device).expand(features.shape[0], -1)
    done = torch.zeros(features.shape[0], dtype=torch.bool, device=device)
    for i in range(limit):
        logits = model.step(step, cache).float() + (suppressed if i else suppressed_at_start)
        chosen = logits.argmax(-1).masked_fill(done, tokens.end)
        rows[:, i] = chosen
        done |= chosen == tokens.end
        # Reading `done` from a GPU waits for it: read it every eighth step.
        if i % 8 == 7 and bool(done.all()):
            break
        step = chosen[:, None]
    return token_rows(rows, tokens.end)


def max_tokens(model: TokenNetwork, prompt: list[int], limit: int | None = None) -> int:
    """The most tokens of a row: 224, as the reference, or what the text context holds."""
    room: int = model.config.text_context - len(prompt)
    return min(limit or MOST_TOKENS, room)


def suppression_bias(model: TokenNetwork, device: torch.device) -> tuple[Tensor, Tensor]:
    """Biases of logits (vocabulary,): minus infinity for suppressed tokens; the second also at the start of a text.

    Special tokens above `end` are never text; timestamps are off here.
    """
    tokens = model.config.tokens
    suppressed = torch.zeros(model.config.vocabulary, device=device)
    special = list(range(tokens.end + 1, model.config.vocabulary))
    suppressed[[*tokens.suppress, *special]] = -torch.inf
    suppressed_at_start = suppressed.clone()
    suppressed_at_start[list(tokens.suppress_at_start)] = -torch.inf
    return suppressed, suppressed_at_start


def token_rows(rows: Tensor, end: int) -> list[list[int]]:
    """Token rows (batch, length) up to their `end`, loops cut."""
    return [cut_loops(row[: row.index(end)] if end in row else row) for row in rows.tolist()]


@torch.no_grad()
def transcribe_bank(
    model: TokenNetwork, tokenizer: Tokenizer, bank: AudioBank, languages: Sequence[str],
    batch_seconds: float = 600.0, label: str = "", bf16: bool | None = None,
) -> list[str]:  # fmt: skip
    """The text of every clip in `bank`, in order, on the bank's device; clips longer than the audio context are cut.

    A model that was trained on 30 s windows (`config.padded`) gets padded clips, others the clips as they are.
    """
    config, device = model.config, bank.device
    features = extractor(config.front_end).to(device)
    was_training = model.training
    model.eval()
    texts = [""] * len(bank)
    batches = language_batches(model, bank, languages, batch_seconds)
    use_bf16 = device.type == "cuda" if bf16 is None else bf16

    def decode_batch(rows: Sequence[int], language: str) -> list[list[int]]:
        inputs = encoder_inputs(features, *bank.gather(rows), config, model.input_mask)
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16):
            return greedy(model, *inputs, config.tokens.prompt(language or None))

    for rows, language in track(batches, label, quiet=not label):
        decoded = in_halves(partial(decode_batch, language=language), rows, label or config.name or "decoding")
        for row, ids in zip(rows, decoded, strict=True):
            texts[row] = tokenizer.decode(ids).strip()
    model.train(was_training)
    return texts


def language_batches(
    model: TokenNetwork, bank: AudioBank, languages: Sequence[str], batch_seconds: float
) -> list[tuple[list[int], str]]:
    """The rows of `bank` in batches of at most `batch_seconds` of audio, each of one language ("": it takes none)."""
    config = model.config
    rate = config.front_end.sample_rate
    seconds = [config.max_seconds if config.padded else min(int(n), config.window) / rate for n in bank.lengths]
    sets: dict[str, list[int]] = {}
    for row, language in enumerate(languages):
        sets.setdefault(language if config.tokens.multilingual else "", []).append(row)
    return [
        ([rows[i] for i in batch], language)
        for language, rows in sets.items()
        for batch in buckets([seconds[r] for r in rows], batch_seconds, None)
    ]
