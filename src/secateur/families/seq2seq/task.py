"""Training and reading an encoder-decoder; and which of a teacher's tokens are its own, since a distribution over other
tokens teaches nonsense.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import cast

import torch

from ...base.errors import SecateurError
from ...base.progress import track
from ...data.bank import AudioBank
from ...data.clip_index import rows_of
from ...data.manifest import Utterance
from ...decode.session import TokenConfig
from ...evaluate.decoded import PLAIN, speaks
from ...features.front_end import extractor
from ...models.device_session import DeviceSession, TorchSession
from ...models.family import TeacherModel
from ...models.token_network import TokenNetwork
from ...prune.initial_model import InitialModel, make_initial_model
from ...prune.settings import PruneSettings
from ...runtime.token_recogniser import WhisperRecogniser
from ...text.clean import as_sentence
from ...text.tokenizer import Tokenizer
from ...text.tokens import Tokens
from ...train.loop import frozen_copy
from ...train.settings import TrainSettings
from ...train.targets import encode_targets
from .greedy import transcribe_bank
from .objective import Seq2Seq, Teacher

SPECIAL = ("start", "end", "no_timestamps", "transcribe", "translate", "previous", "no_speech")
OTHER_TOKENS = (
    "a teacher gives a distribution of the student's own tokens, and this one writes others; let it "
    "write transcripts to train on instead (secateur data label)"
)


class Seq2SeqTask:
    """See `prune.task.Task`."""

    unread = frozenset({"training.intermediate_ctc"})

    def initial_model(
        self, model: TokenNetwork, text: Tokenizer, texts: Iterable[str], languages: Sequence[str],
        prune: PruneSettings | None, train: TrainSettings | None,
    ) -> InitialModel:  # fmt: skip
        """With `prune`, contexts and vocabulary rows are cut; a model that will be trained takes clips unpadded."""
        if prune is not None:
            style = as_sentence if train is not None and train.style == "sentence" else str
            return make_initial_model(model, text, (style(t) for t in texts), prune, languages)
        copied = copy.deepcopy(model)
        if train is not None and copied.config.padded:
            # The dense control takes clips unpadded as well: only then are arms compared at equal data and compute.
            copied.config = replace(copied.config, padded=False)
        return InitialModel(copied, text, None)

    def objective(
        self, initial: InitialModel, utterances: Sequence[Utterance], settings: TrainSettings,
        teacher: TeacherModel | None, device: torch.device,
    ) -> Seq2Seq:  # fmt: skip
        """Cross entropy of the transcripts' tokens, with distillation where there is a teacher.

        Raises:
            SecateurError: a teacher that writes other tokens than the student.
        """
        config = initial.model.config
        sentence = settings.style == "sentence"

        def row(u: Utterance) -> list[int]:
            return encode_targets([u], initial.tokenizer, config.tokens, config.text_context, sentence)[0]

        rows = rows_of(utterances, row)
        token_teacher = None
        if teacher is not None and settings.distillation:
            rows_there = teacher_rows(initial, teacher)
            frozen = frozen_copy(cast(TokenNetwork, teacher.model)).to(device)  # of the same family
            if settings.offload and device.type == "cuda":
                frozen = frozen.bfloat16()  # which it computes in anyway
            features = extractor(frozen.config.front_end).to(device)
            rows_there = None if rows_there is None else rows_there.to(device)
            token_teacher = Teacher(frozen, features, rows_there, config.front_end.sample_rate)
        return Seq2Seq(
            rows, len(config.tokens.prompt(utterances[0].language)),
            {} if initial.rows is None else initial.tokenizer.parents(), token_teacher, config.text_context,
            config.tokens, initial.tokenizer, rows_of(utterances, lambda u: u.language),
        )  # fmt: skip

    def transcribe(
        self, model: TokenNetwork, text: Tokenizer, bank: AudioBank, languages: Sequence[str], batch_seconds: float,
        label: str = "",
    ) -> list[str]:  # fmt: skip
        """Greedy decoding in batches; what is longer than the model's window is decoded window by window."""
        texts = transcribe_bank(model, text, bank, languages, batch_seconds, label)
        long = [row for row in range(len(bank)) if int(bank.lengths[row]) > model.config.window]
        if long:
            recogniser = recogniser_of(model, text)
            multilingual = speaks(model.config) is not None
            for row in track(long, f"{label}: clips of several windows" if label else "", quiet=not label):
                samples = bank.gather([row])[0][0].cpu().numpy()
                options = replace(PLAIN, language=languages[row] if multilingual else None)
                texts[row] = recogniser.transcribe(samples, options).text
        return texts


def recogniser_of(model: TokenNetwork, text: Tokenizer) -> WhisperRecogniser:
    """A recogniser on the device that `model` is on; on a GPU it takes large batches."""
    on_gpu = next(model.parameters()).device.type != "cpu"
    return WhisperRecogniser(DeviceSession(model) if on_gpu else TorchSession(model), text)


def teacher_rows(initial: InitialModel, teacher: TeacherModel) -> torch.Tensor | None:
    """The teacher's id of each of the student's tokens (vocabulary,); None: they are numbered alike.

    Rows that nothing names (special tokens that are never used) are taken as the student's start numbers them.

    Raises:
        SecateurError: another family, or a token of the student's that the teacher does not have.
    """
    config, theirs = initial.model.config, cast(TokenConfig, teacher.model.config)
    if teacher.model.config.family != config.family or theirs.tokens.multilingual != config.tokens.multilingual:
        raise SecateurError(OTHER_TOKENS)
    ours, known = _named(initial.tokenizer, config.tokens), _named(cast(Tokenizer, teacher.text), theirs.tokens)
    if not ours.keys() <= known.keys():
        raise SecateurError(OTHER_TOKENS)
    rows = torch.arange(config.vocabulary) if initial.rows is None else initial.rows.clone()
    for name, row in ours.items():
        rows[row] = known[name]
    if int(rows.max()) >= theirs.vocabulary:
        raise SecateurError(OTHER_TOKENS)
    alike = theirs.vocabulary == config.vocabulary and bool((rows == torch.arange(len(rows))).all())
    return None if alike else rows


def _named(tokenizer: Tokenizer, tokens: Tokens) -> dict[tuple[str, str], int]:
    """Every token's id by its spelling, special ones by what they are for."""
    return {("text", name): i for name, i in tokenizer.vocabulary().items() if i < tokens.end} | dict(_special(tokens))


def _special(tokens: Tokens) -> Iterator[tuple[tuple[str, str], int]]:
    for name in SPECIAL:
        if (row := getattr(tokens, name)) is not None:
            yield (name, ""), row
    yield from ((("language", name), row) for name, row in tokens.languages.items())
    if tokens.timestamps is not None:
        yield from ((("time", str(i)), tokens.timestamps + i) for i in range(tokens.timestamp_count))
