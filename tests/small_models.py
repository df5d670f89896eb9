"""A small Whisper with a different width in every layer, and seeded inputs: what surgery tests run on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from secateur.data.bank import AudioBank
from secateur.data.manifest import Utterance
from secateur.families.seq2seq.greedy import transcribe_bank
from secateur.families.whisper.config import AttentionWidths, DecoderWidths, EncoderWidths, WhisperConfig
from secateur.families.whisper.model import Whisper
from secateur.features.front_end import FrontEnd
from secateur.models.device_session import TorchSession
from secateur.models.groups import Group
from secateur.models.token_network import TokenNetwork
from secateur.runtime.onnx_session import OnnxSession
from secateur.text.tokenizer import Tokenizer
from secateur.text.tokens import Tokens

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "then", "went", "home"]


def small_tokenizer() -> Tokenizer:
    """A byte-level BPE trained on ten words."""
    from tokenizers import Tokenizer as Library
    from tokenizers import decoders, models, pre_tokenizers, trainers

    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    library.train_from_iterator([" " + " ".join(WORDS)] * 3, trainer)
    values = json.loads(library.to_str())
    end = len(values["model"]["vocab"])
    return Tokenizer(json.dumps(values), end)


def small_config(end: int) -> WhisperConfig:
    """Widths that are all different, so that a mix-up cannot pass."""
    return WhisperConfig(
        width=24, conv_channels=20, audio_context=60, text_context=32, vocabulary=end + 8,
        encoder=(
            EncoderWidths(AttentionWidths(3, 8, 6), 40), EncoderWidths(AttentionWidths(2, 6, 10), 28),
            EncoderWidths(AttentionWidths(4, 5, 7), 36),
        ),
        decoder=(
            DecoderWidths(AttentionWidths(2, 7, 5), AttentionWidths(3, 6, 8), 44),
            DecoderWidths(AttentionWidths(3, 8, 6), AttentionWidths(2, 9, 5), 32),
        ),
        tokens=Tokens(
            start=end + 1, end=end, no_timestamps=end + 2, timestamps=end + 3, timestamp_count=5, suppress=(3, 5),
            suppress_at_start=(end, 32),
        ),
        front_end=FrontEnd(), attention_scale=8**-0.5, name="small", padded=False,
    )  # fmt: skip


def small_whisper(seed: int = 0) -> tuple[Whisper, Tokenizer]:
    """The model, with random weights large enough that every part shows in the output."""
    tokenizer = small_tokenizer()
    torch.manual_seed(seed)
    model = Whisper(small_config(tokenizer.end)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model, tokenizer


def inputs(model: Whisper, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A padded batch: features (3, 90, mels), frames (3,), tokens (3, 7)."""
    generator = torch.Generator().manual_seed(seed)
    mel = torch.randn(3, 90, model.config.front_end.bins, generator=generator)
    return mel, torch.tensor([90, 57, 20]), torch.randint(0, model.config.tokens.end, (3, 7), generator=generator)


def unlike_in_steps(model: Whisper, folder: Path) -> float:
    """How far the exported `model` in `folder` is from it, 0 to 2: one minus the correlation of the log probabilities
    of four tokens, and of one more after the cache was picked anew."""
    mel, frames, tokens = (one.numpy() for one in inputs(model))
    results = []
    for session in (OnnxSession(folder), TorchSession(model)):
        state = session.encode(mel, frames)
        first, state = session.step(tokens[:, :4], state)
        second, state = session.step(tokens[:, 4:5], session.pick(state, np.array([2, 0, 1])))
        results.append(np.concatenate([first, second]))
    return float(1 - np.corrcoef(results[0].ravel(), results[1].ravel())[0, 1])


def random_units(group: Group, share: float, seed: int) -> list[int]:
    """A random plan for one group that keeps about `share`, equally many in every block."""
    generator = torch.Generator().manual_seed(seed)
    size = group.units // group.blocks
    count = max(1, round(size * share))
    kept = []
    for block in range(group.blocks):
        kept += (torch.randperm(size, generator=generator)[:count] + block * size).tolist()
    return sorted(kept)


def transcribe_texts(model: TokenNetwork, tokenizer: Tokenizer, utterances: Sequence[Utterance]) -> list[str]:
    """The text of every utterance, greedily."""
    bank = AudioBank.read(utterances, "cpu", model.config.front_end.sample_rate, label="")
    return transcribe_bank(model, tokenizer, bank, [u.language for u in utterances], 120.0, "")
