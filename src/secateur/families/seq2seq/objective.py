"""The objective of encoder-decoders such as Whisper: the next token, and a teacher's distribution of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...audio.resample_torch import resample_rows
from ...models.token_network import TokenNetwork
from ...train.loss import cross_entropy, distillation
from ...train.objective import Batch
from ...train.settings import TrainSettings
from ...train.targets import split_pieces, token_batch
from .inputs import encoder_inputs


@dataclass
class Teacher:
    """A frozen model to learn from. `rows` are the teacher's token ids of the student's rows, when those were pruned.

    `sample_rate` is that of the student's audio: a teacher of a higher rate hears what the student can hear. A teacher
    that was trained on 30 s windows hears the clip padded to one: cut to the clip it would not know the end.
    """

    model: TokenNetwork
    features: nn.Module  # the extractor of its front-end
    rows: Tensor | None = None
    sample_rate: int | None = None

    @torch.no_grad()
    def logits(self, audio: Tensor, lengths: Tensor, inputs: Tensor) -> Tensor:
        """Teacher-forced logits (batch, length, student's vocabulary) for the student's token ids."""
        config = self.model.config
        if self.sample_rate is not None:
            audio, lengths = resample_rows(audio, lengths, self.sample_rate, config.front_end.sample_rate)
        heard, frames = encoder_inputs(self.features, audio, lengths, config)
        if self.rows is None:
            return self.model(heard, frames, inputs)  # type: ignore[no-any-return]
        return self.model(heard, frames, self.rows[inputs])[..., self.rows]  # type: ignore[no-any-return]


@dataclass
class Seq2Seq:
    """Cross entropy of every clip's token row (prompt, text, end) and, with a teacher, its distillation."""

    rows: Sequence[Sequence[int]]
    prompt: int = 2  # tokens before the text
    parents: Mapping[int, tuple[int, int]] = field(default_factory=dict)  # of merged tokens, for piece dropout
    teacher: Teacher | None = None
    room: int = 448  # tokens that the text context holds

    def __call__(self, model: Any, batch: Batch, settings: TrainSettings) -> Tensor:
        """The loss of one batch."""
        rows = [self.target(row, batch.step, settings) for row in batch.rows]
        tokens = token_batch(rows, self.prompt, model.config.tokens.end, batch.audio.device)
        logits = model(batch.features, batch.frames, tokens.inputs)
        told = None if self.teacher is None else batch.told(settings)
        loss = cross_entropy(logits, tokens.labels, settings.label_smoothing, None if told is None else 1 - told)
        if told is not None and self.teacher is not None:
            # The teacher hears the clip unmasked: the student learns to fill in.
            wanted = self.teacher.logits(batch.audio, batch.lengths, tokens.inputs)
            loss = loss + distillation(logits, wanted, tokens.labels, settings.distillation_temperature, told)
        return loss

    def counts(self, rows: Sequence[int], step: int, settings: TrainSettings) -> list[int]:
        """Tokens that are asked for, a row."""
        return [len(self.target(row, step, settings)) - self.prompt for row in rows]

    def target(self, row: int, step: int, settings: TrainSettings) -> Sequence[int]:
        """The token row to learn at `step`: with piece dropout some tokens are spelt with the pieces they have."""
        whole = self.rows[row]
        if not settings.bpe_dropout or not self.parents:
            return whole
        random = np.random.default_rng((settings.seed, step, row))
        split = split_pieces(whole, self.parents, settings.bpe_dropout, random)
        return split if len(split) <= self.room else whole
