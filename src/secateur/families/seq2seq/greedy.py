"""Fast greedy decoding of many clips in torch: what validation during training and `evaluate` on a GPU use."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ...base.memory import in_halves
from ...base.progress import track
from ...data.bank import AudioBank, buckets
from ...data.manifest import Utterance
from ...decode.fallback import MOST_TOKENS
from ...decode.loops import cut_loops
from ...features.extractor import extractor
from ...models.cache import Cache
from ...models.token_network import TokenNetwork
from ...text.tokenizer import Tokenizer
from .inputs import encoder_inputs


@torch.no_grad()
def greedy(
    model: TokenNetwork, features: Tensor, frames: Tensor | None, prompt: list[int], most: int | None = None
) -> list[list[int]]:
    """Token rows, without prompt and end, of `features` (batch, frames, inputs); suppress lists as the reference
    applies them; what a row says in a loop is kept once.

    `most` tokens at the most a row; by default 224, as the reference, or what the text context holds.
    """
    tokens = model.config.tokens
    device = features.device
    cache: Cache = model.encode(features, frames)
    most = most_tokens(model, prompt, most)
    banned, banned_first = forbidden(model, device)
    rows = torch.full((features.shape[0], most), tokens.end, device=device)
    step = torch.tensor([prompt], device=device).expand(features.shape[0], -1)
    done = torch.zeros(features.shape[0], dtype=torch.bool, device=device)
    for i in range(most):
        logits = model.step(step, cache).float() + (banned if i else banned_first)
        chosen = logits.argmax(-1).masked_fill(done, tokens.end)
        rows[:, i] = chosen
        done |= chosen == tokens.end
        # Asking a GPU whether all are done waits for it: ask every eighth step.
        if i % 8 == 7 and bool(done.all()):
            break
        step = chosen[:, None]
    return said(rows, tokens.end)


@torch.no_grad()
def no_speech_probability(model: TokenNetwork, features: Tensor, frames: Tensor | None) -> Tensor:
    """The probability (batch,) that nobody speaks in `features` (batch, frames, inputs): `<|nospeech|>` after the
    start token; zero of a model without that token.

    The reference asks there, before language and task; training with `train.mix` makes it a calibrated answer.
    """
    tokens = model.config.tokens
    if tokens.no_speech is None:
        return torch.zeros(len(features), device=features.device)
    start = torch.full((len(features), 1), tokens.start, device=features.device)
    logits = model.step(start, model.encode(features, frames))
    return logits.float().softmax(-1)[:, tokens.no_speech]


def most_tokens(model: TokenNetwork, prompt: list[int], most: int | None = None) -> int:
    """Tokens of a row at the most: 224, as the reference, or what the text context holds."""
    room: int = model.config.text_context - len(prompt)
    return min(most or MOST_TOKENS, room)


def forbidden(model: TokenNetwork, device: torch.device) -> tuple[Tensor, Tensor]:
    """What is added to logits (vocabulary,): minus infinity for what is never text, and for what is not at the start.

    Special tokens above `end` are never text; timestamps are off here.
    """
    tokens = model.config.tokens
    banned = torch.zeros(model.config.vocabulary, device=device)
    special = list(range(tokens.end + 1, model.config.vocabulary))
    banned[[*tokens.suppress, *special]] = -torch.inf
    banned_first = banned.clone()
    banned_first[list(tokens.suppress_at_start)] = -torch.inf
    return banned, banned_first


def said(rows: Tensor, end: int) -> list[list[int]]:
    """Token rows (batch, length) up to their `end`, loops cut."""
    return [cut_loops(row[: row.index(end)] if end in row else row) for row in rows.tolist()]


@torch.no_grad()
def transcribe_bank(
    model: TokenNetwork, tokenizer: Tokenizer, bank: AudioBank, languages: Sequence[str],
    batch_seconds: float = 600.0, label: str = "", bf16: bool | None = None,
) -> list[str]:  # fmt: skip
    """The text of every clip in `bank`, in order, on the bank's device; clips longer than the audio context are cut.

    A model that was trained on 30 s windows (`config.padded`) hears padded clips, any other the clips as they are.
    """
    config, device = model.config, bank.device
    rate = config.front_end.sample_rate
    features = extractor(config.front_end).to(device)
    was_training = model.training
    model.eval()
    texts = [""] * len(bank)
    seconds = [min(int(n), config.window) / rate for n in bank.lengths]
    sets: dict[str, list[int]] = {}
    for row, language in enumerate(languages):
        sets.setdefault(language if config.tokens.multilingual else "", []).append(row)
    batches = [
        ([rows[i] for i in batch], language)
        for language, rows in sets.items()
        for batch in buckets([config.max_seconds if config.padded else seconds[r] for r in rows], batch_seconds, None)
    ]
    use_bf16 = device.type == "cuda" if bf16 is None else bf16

    def heard(rows: Sequence[int], language: str) -> list[list[int]]:
        inputs = encoder_inputs(features, *bank.gather(rows), config, model.input_mask)
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16):
            return greedy(model, *inputs, config.tokens.prompt(language or None))

    for rows, language in track(batches, label, quiet=not label):
        decoded = in_halves(partial(heard, language=language), rows, label or config.name or "decoding")
        for row, ids in zip(rows, decoded, strict=True):
            texts[row] = tokenizer.decode(ids).strip()
    model.train(was_training)
    return texts


def transcribe_texts(
    model: TokenNetwork, tokenizer: Tokenizer, utterances: Sequence[Utterance], batch_seconds: float = 120.0,
    device: str | torch.device = "cpu", label: str = "transcribing",
) -> list[str]:  # fmt: skip
    """The text of every utterance, greedily: reads the audio and calls `transcribe_bank`."""
    bank = AudioBank.read(utterances, device, model.config.front_end.sample_rate, label="")
    model.to(device)
    return transcribe_bank(model, tokenizer, bank, [u.language for u in utterances], batch_seconds, label)
