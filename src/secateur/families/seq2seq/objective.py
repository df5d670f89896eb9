"""The objective of encoder-decoders such as Whisper: the next token, and a teacher's distribution of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...audio.resample_torch import resample_rows
from ...decode.prompt import word_list
from ...models.token_network import TokenNetwork, encoder_inputs
from ...text.tokenizer import Tokenizer
from ...text.tokens import Tokens
from ...train.loss import Batch, cross_entropy, distillation, speech_expected_loss
from ...train.mix import Example
from ...train.settings import TrainSettings
from ...train.targets import IGNORE, TokenTarget, batch_of_rows, bpe_dropout_row
from .mwer import MwerTarget, mwer_loss

STEPS_KEPT = 6  # targets of so many steps: those that are prepared ahead, and this one


@dataclass
class Teacher:
    """A frozen teacher. `rows` are the teacher's token ids of the student's rows, when those were pruned.

    `sample_rate` is that of the student's audio: a teacher of a higher rate gets the same band-limited audio. A
    teacher that was trained on 30 s windows gets the clip padded to one: unpadded it would miss the end.
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
        features, frames = encoder_inputs(self.features, audio, lengths, config)
        if self.rows is None:
            return self.model(features, frames, inputs)  # type: ignore[no-any-return]
        return self.model(features, frames, self.rows[inputs])[..., self.rows]  # type: ignore[no-any-return]


@dataclass
class Seq2Seq:
    """Cross entropy of every example's tokens after its prompt and, with a teacher, its distillation.

    `rows` are the clips' token rows: start, language and task (`prompt` tokens), text, end. Prompts, timestamps and
    silence are written around the texts as Whisper was trained on them (Radford et al. 2022, figure 1); tokens before
    the start token are no targets.
    """

    rows: Sequence[Sequence[int]]
    prompt: int = 2  # tokens before the text
    parents: Mapping[int, tuple[int, int]] = field(default_factory=dict)  # of merged tokens, for BPE dropout
    teacher: Teacher | None = None
    room: int = 448  # tokens that the text context holds
    tokens: Tokens | None = None  # of the model; None: no prompts, no timestamps
    tokenizer: Tokenizer | None = None  # for words in prompts, and for word errors
    languages: Sequence[str] = ()  # of the clips, for word errors
    _known: dict[Any, dict[Example, TokenTarget]] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, model: TokenNetwork, batch: Batch, settings: TrainSettings) -> Tensor:
        """The loss of one batch."""
        rows = [self.target(example, batch.step, settings) for example in batch.examples]
        config, device = model.config, batch.audio.device
        tokens = batch_of_rows(rows, config.tokens.end, batch.joints, config.tokens.timestamp_count, device)
        audio = model.encode(batch.features, batch.frames)
        words = self._word_targets(batch, rows, settings)
        logits = model.decoder(tokens.inputs, audio, model.dropout)
        teacher_weights = None if self.teacher is None else batch.teacher_weights(settings)
        weights = None if teacher_weights is None else 1 - teacher_weights
        if words:
            by_words = torch.ones(len(rows))
            by_words[[target.row for target in words]] = settings.mwer_cross_entropy
            by_words = by_words.to(device, non_blocking=True)
            weights = by_words if weights is None else weights * by_words
        loss = cross_entropy(logits, tokens.labels, settings.label_smoothing, weights)
        if words and self.tokenizer is not None:
            errors = mwer_loss(model, audio, words, self.tokenizer, settings.mwer_beam)
            loss = loss + errors / (tokens.labels != IGNORE).sum().clamp_min(1)
        if self._trains_silence(settings):
            speech = torch.tensor([float(row.speech) for row in rows]).to(device, non_blocking=True)
            starts = torch.tensor([row.start for row in rows]).to(device, non_blocking=True)
            token_count, speech_count = (tokens.labels != IGNORE).sum(), sum(row.speech for row in rows)
            speech_loss = speech_expected_loss(logits, starts, config.tokens.no_speech, speech)
            loss = (loss * token_count + speech_loss) / (token_count + speech_count)
        if teacher_weights is not None and self.teacher is not None:
            # The teacher gets the clip without SpecAugment: the student learns to fill in.
            teacher_logits = self.teacher.logits(batch.audio, batch.lengths, tokens.inputs)
            loss = loss + distillation(
                logits, teacher_logits, tokens.labels, settings.distillation_temperature, teacher_weights
            )
        return loss

    def counts(self, examples: Sequence[Example], step: int, settings: TrainSettings) -> list[int]:
        """Target tokens of each example."""
        trains_silence = self._trains_silence(settings)
        rows = [self.target(example, step, settings) for example in examples]
        return [len(row.ids) - row.prompt_length + (trains_silence and row.speech) for row in rows]

    def _word_targets(self, batch: Batch, rows: Sequence[TokenTarget], settings: TrainSettings) -> list[MwerTarget]:
        """The examples that are trained by their words: speech without timestamps; their prompts are left out."""
        if self.tokenizer is None or not settings.by_word_errors(batch.step, batch.total):
            return []
        targets = []
        for i, (example, row) in enumerate(zip(batch.examples, rows, strict=True)):
            text = [token for clip in example.complete for token in self.rows[clip][self.prompt : -1]]
            if row.speech and not example.timed and example.cut_after is None and text:
                language = self.languages[example.complete[0]] if self.languages else "en"
                targets.append(MwerTarget(i, row.ids[row.start : row.prompt_length], tuple(text), language))
        return targets

    def _trains_silence(self, settings: TrainSettings) -> bool:
        """Whether the probability of no speech is trained."""
        shared = settings.mix is not None and bool(settings.mix.nonspeech)
        return shared and self.tokens is not None and self.tokens.no_speech is not None

    def target(self, example: Example, step: int, settings: TrainSettings) -> TokenTarget:
        """The target tokens at `step`; with BPE dropout some are split into the tokens they were merged from.

        What exceeds the text context is cut: the beginning of a prompt, the end of a text, which then has no end
        token. Kept for a few steps: the loss asks again for what was counted, maybe on another thread.
        """
        key = (settings.seed, step, settings.bpe_dropout)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = {}
            for old in list(self._known)[:-STEPS_KEPT]:
                self._known.pop(old, None)
        target = known.get(example)
        if target is None:
            target = known[example] = self._target(example, step, settings)
        return target

    def _target(self, example: Example, step: int, settings: TrainSettings) -> TokenTarget:
        """See `target`."""
        head = self._head(example)
        ids, times = list(head), []
        silent = not example.clips
        if silent and self.tokens is not None and self.tokens.no_speech is not None:
            ids = [head[0], self.tokens.no_speech]  # where a language would stand
        for clip, row in enumerate(example.complete):
            if example.timed:
                times.append((len(ids), clip, 0))
                ids.append(self._zero)
            ids += self._text(row, step, settings)
            if example.timed:
                times.append((len(ids), clip, 1))
                ids.append(self._zero)
        if example.cut_after is not None:  # a clip that the window cuts: the next window begins with it
            times.append((len(ids), len(example.complete), 0))
            ids.append(self._zero)
        end = self.rows[0][-1] if self.tokens is None else self.tokens.end
        ids.append(end)
        before = self._before(example, self.room - len(ids))
        first = len(before)
        prompt_length = first + (1 if silent and len(ids) > 1 and ids[1:2] != head[1:2] else len(head))
        row_ids = (before + ids)[: self.room]
        kept = tuple((first + at, clip, edge) for at, clip, edge in times if first + at < len(row_ids))
        return TokenTarget(tuple(row_ids), prompt_length, first, kept, not silent)

    def _head(self, example: Example) -> list[int]:
        """Start, language, task and, without timestamps, the no-timestamps token."""
        head = list(self.rows[example.clips[0] if example.clips else 0][: self.prompt])
        if example.timed and self.tokens is not None:
            head = [i for i in head if i != self.tokens.no_timestamps]
        return head

    @property
    def _zero(self) -> int:
        """The timestamp token of zero seconds."""
        assert self.tokens is not None and self.tokens.timestamps is not None
        return self.tokens.timestamps

    def _text(self, row: int, step: int, settings: TrainSettings) -> list[int]:
        """The text tokens of one clip."""
        ids = self.rows[row]
        if settings.bpe_dropout and self.parents:
            random = np.random.default_rng((settings.seed, step, row))
            split = bpe_dropout_row(ids, self.parents, settings.bpe_dropout, random)
            ids = split if len(split) <= self.room else ids
        return list(ids[self.prompt : -1])

    def _before(self, example: Example, room: int) -> list[int]:
        """The tokens before the start token, at most `room`, as `decode.prompt` writes them."""
        prompt = example.prompt
        if prompt is None or self.tokens is None or self.tokens.previous is None or self.tokenizer is None:
            return []
        room = min(room, self.room // 2) - 1
        if room < 1:
            return []
        random = np.random.default_rng(prompt.seed)
        prompt_text = list(self.rows[prompt.row][self.prompt : -1])
        if prompt.kind == "previous":
            before = prompt_text
            if example.timed and random.random() < 0.5:  # as a window's own segments would stand there
                before = [self._zero, *prompt_text, self._zero + int(random.integers(1, self.tokens.timestamp_count))]
            return [self.tokens.previous, *before[-room:]] if before else []
        wrong = rare_words(self.tokenizer, prompt_text, int(random.integers(1, 6)), random)
        right: list[str] = []
        if prompt.kind == "words":
            text = [i for row in example.complete for i in self.rows[row][self.prompt : -1]]
            right = rare_words(self.tokenizer, text, int(random.integers(1, 5)), random)
            wrong = wrong[: int(random.integers(0, 5))]
        words = list(dict.fromkeys([*right, *wrong]))
        random.shuffle(words)
        ids = self.tokenizer.encode(word_list(words)) if words else []
        return [self.tokens.previous, *ids[-room:]] if ids else []


def rare_words(tokenizer: Tokenizer, ids: Sequence[int], limit: int, random: np.random.Generator) -> list[str]:
    """Up to `limit` words of a text, drawn from the rarer half: names, mostly.

    A byte-pair vocabulary merges what is frequent first, so a rare word takes several tokens, or one of a high number.
    Without spaces between words, stretches of two to four characters are drawn.
    """
    text = tokenizer.decode(list(ids)).strip()
    words = [word.strip('.,!?;:"()。，！？；：、') for word in text.split()]
    if len(words) < 2 and len(text) > 12:
        starts = random.integers(0, len(text) - 4, size=limit)
        return [text[s : s + int(random.integers(2, 5))] for s in starts.tolist()]
    rarity = {word: (len(tokens), max(tokens)) for word in words if word and (tokens := tokenizer.encode(word))}
    rarest = sorted(rarity, key=lambda word: rarity[word], reverse=True)[: max(1, (len(rarity) + 1) // 2)]
    return [str(word) for word in random.permutation(rarest)[:limit]] if rarity else []
