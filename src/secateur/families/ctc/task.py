"""Training and reading a CTC model."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from ...base.errors import SecateurError
from ...base.progress import in_halves, say
from ...data.bank import AudioBank, buckets
from ...data.clip_index import is_streamed, rows_of
from ...data.manifest import Utterance
from ...decode.ctc.words import greedy
from ...decode.session import Floats, Ints
from ...features.front_end import extractor
from ...models.family import FrameConfig, TeacherModel
from ...models.network import FrameNetwork
from ...prune.initial_model import InitialModel
from ...prune.inputs import cut_inputs
from ...prune.settings import PruneSettings
from ...runtime.ctc_recogniser import CtcRecogniser
from ...text.units import Inventory
from ...train.loop import frozen_copy
from ...train.settings import TrainSettings
from .conformer import Conformer
from .objective import Ctc, FrameTeacher

CHECKED_CLIPS = 1000  # clips checked of a set that is not in memory


class CtcTask:
    """See `prune.task.Task`. A CTC model has no vocabulary or context to cut before training."""

    unread = frozenset({
        "training.style", "training.label_smoothing", "training.bpe_dropout", "training.mix.timestamps",
        "training.mix.prompts", "training.mix.wrong", "prune.vocabulary", "prune.languages", "prune.frequent",
        "prune.rows", "prune.timestamps", "prune.audio_seconds", "prune.text_tokens",
    })  # fmt: skip

    def initial_model(
        self, model: FrameNetwork, text: Inventory, texts: Iterable[str], languages: Sequence[str],
        prune: PruneSettings | None, train: TrainSettings | None,
    ) -> InitialModel:  # fmt: skip
        """A copy, its inputs cut."""
        cut = model if prune is None else cut_inputs(model, prune)
        return InitialModel(copy.deepcopy(model) if cut is model else cut, text, None)

    def objective(
        self, initial: InitialModel, utterances: Sequence[Utterance], settings: TrainSettings,
        teacher: TeacherModel | None, device: torch.device,
    ) -> Ctc:  # fmt: skip
        """The likelihood of the transcripts' units.

        Raises:
            SecateurError: most clips have fewer outputs than their units need, a teacher that does not fit,
                training by word errors, or an intermediate loss of what has no Conformer.
        """
        if settings.mwer:
            raise SecateurError("training.mwer is for encoder-decoder models such as Whisper: set it to 0 for CTC")
        sections = [*initial.model.sections().values()]
        if settings.intermediate_ctc and not (sections and isinstance(sections[-1], Conformer)):
            raise SecateurError("training.intermediate_ctc is for networks with a Conformer: set it to 0 for this one")
        config = initial.model.config
        rows = rows_of(utterances, lambda u: initial.tokenizer.encode(u.text))
        front, too_short = config.front_end, 0
        checked = utterances[:CHECKED_CLIPS] if is_streamed(utterances) else utterances
        for u, row in zip(checked, rows, strict=False):
            needed = len(row) + sum(a == b for a, b in pairwise(row))  # a blank between equal units
            outputs = front.frames(round(u.duration * front.sample_rate)) // config.subsampled
            if getattr(config, "merge_similar", False):  # merged frames have one output together
                outputs = config.frames_read(outputs)[-1]
            too_short += outputs < needed
        if 2 * too_short > len(checked):
            raise SecateurError(
                f"{too_short} of {len(checked)} clips have too few outputs for their text: this model gives one every "
                f"{config.subsampled * front.frame_ms:g} ms; choose a smaller prune.frame_shift_ms or "
                "merge fewer frames"
            )
        if too_short:
            say(f"{too_short} of {len(checked)} clips have too few outputs for their text: they teach nothing")
        taught_by = None
        if teacher is not None and settings.distillation:
            taught_by = self._teacher(teacher, initial.tokenizer, config, device)
        return Ctc(rows, taught_by, initial.tokenizer.boundary)

    def _teacher(
        self, teacher: TeacherModel, text: Inventory, config: FrameConfig, device: torch.device
    ) -> FrameTeacher:
        """The frozen teacher, for distillation frame by frame.

        Raises:
            SecateurError: another family, other units, or frames that do not make up the student's.
        """
        model = teacher.model
        if not isinstance(model, FrameNetwork):
            raise SecateurError(
                "a CTC model is taught frame by frame by another CTC model; let this teacher write transcripts to "
                "train on instead (secateur data label)"
            )
        frame = [1000 * c.subsampled * c.front_end.hop / c.front_end.sample_rate for c in (model.config, config)]
        ratio = round(frame[1] / frame[0])
        if model.config.units != config.units or ratio < 1 or abs(ratio * frame[0] - frame[1]) > 1e-6:
            raise SecateurError(
                f"a teacher must have the student's units, and frames that are as long or a whole part of it: "
                f"{model.config.units} units every {frame[0]:g} ms teach none of {config.units} every {frame[1]:g} ms"
            )
        for output in range(1, config.units):
            theirs, ours = (one.decode([output]) for one in (teacher.text, text))
            if theirs != ours:
                raise SecateurError(
                    f"a teacher must have the student's units in the same order: output {output} of this one is "
                    f"'{theirs}', of the student '{ours}'; let it write transcripts to train on instead "
                    "(secateur data label)"
                )
        frozen = frozen_copy(model).to(device)
        return FrameTeacher(frozen, extractor(frozen.config.front_end).to(device), config.front_end.sample_rate, ratio)

    def transcribe(
        self, model: FrameNetwork, text: Inventory, bank: AudioBank, languages: Sequence[str], batch_seconds: float,
        label: str = "",
    ) -> list[str]:  # fmt: skip
        """The best unit of every frame, repeats and blanks dropped."""
        return [text.decode(greedy(log_probs)) for log_probs in log_probs_bank(model, bank, batch_seconds)]


def recogniser_of(model: FrameNetwork, text: Inventory) -> CtcRecogniser:
    """A recogniser on the device that `model` is on."""
    device = next(model.parameters()).device

    def run(features: Floats, frames: Ints) -> tuple[Floats, Ints]:
        with torch.inference_mode():
            outputs, counts = model(torch.from_numpy(features).to(device), torch.from_numpy(frames).to(device))
        return outputs.cpu().numpy(), np.asarray(counts.cpu().numpy(), np.int64)

    return CtcRecogniser(model.config, text, run)


@torch.no_grad()
def log_probs_bank(
    model: FrameNetwork, bank: AudioBank, batch_seconds: float = 600.0, bf16: bool | None = None
) -> list[NDArray[np.float32]]:
    """Logarithms of probabilities (frames, units) of every clip in `bank`, in order, computed on the bank's device.

    `bf16` is what a GPU computes in unless it is False. A clip that is too short for one frame has none.
    """
    device, front_end = bank.device, model.config.front_end
    features = extractor(front_end).to(device)
    was_training = model.training
    model.eval()
    outputs_of = [np.zeros((0, model.config.units), np.float32)] * len(bank)
    seconds = [int(n) / front_end.sample_rate for n in bank.lengths]
    use_bf16 = device.type == "cuda" if bf16 is None else bf16

    def run(rows: Sequence[int]) -> list[NDArray[np.float32]]:
        inputs, frames = features(*bank.gather(rows), input_mask=model.input_mask)
        if not inputs.shape[1]:
            return [outputs_of[row] for row in rows]
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16):
            log_probs, frames = model(inputs, frames)
        outputs = log_probs.cpu().numpy()
        return [output[:count].copy() for output, count in zip(outputs, frames.tolist(), strict=True)]

    for rows in buckets(seconds, batch_seconds, None):
        for row, output in zip(rows, in_halves(run, rows, model.config.name or "decoding"), strict=True):
            outputs_of[row] = output
    model.train(was_training)
    return outputs_of
