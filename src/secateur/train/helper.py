"""Helper tasks: a second head on the encoder that only training has, so that the encoder hears what it is asked for.

Multi-task learning with CTC beside attention (Kim et al. 2017, arXiv 1609.06773); here the head spells pinyin: Mandarin
has a few hundred sounds for thousands of characters, so an hour of speech says much of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..base.errors import SecateurError
from ..base.extras import require
from ..base.tensors import write_tensors
from ..data.clip_index import is_streamed
from ..data.manifest import Utterance
from ..text.languages import base_language
from ..text.pinyin_units import PinyinUnits, pinyin_units
from .loss import ctc_loss
from .mix import Example
from .objective import Batch, Objective
from .settings import TrainSettings

HEAD, UNITS = "pinyin_head.safetensors", "pinyin_units.json"


@dataclass
class Helped:
    """A task's loss plus `settings.auxiliary_weight` times the CTC loss of the head on the encoder's output.

    `rows` are the clips' units; clips without any (in another language) have no part in it. Dealt to micro-batches or
    processes, the helper's mean is weighed like the task's.
    """

    task: Objective
    head: nn.Linear  # encoder's width to units, blank first
    units: PinyinUnits
    rows: Sequence[Sequence[int]]

    def __call__(self, model: Any, batch: Batch, settings: TrainSettings) -> Tensor:
        """The loss of one batch; the encoder runs once."""
        with encoded(model) as seen:
            loss = self.task(model, batch, settings)
        units = [[unit for row in example.clips for unit in self.rows[row]] for example in batch.examples]
        spoken = [i for i, example in enumerate(batch.examples) if units[i] and example.part is None]
        if not spoken:
            return loss
        memory, valid = seen[0]
        log_probs = self.head(memory[spoken]).float().log_softmax(-1)
        frames = torch.full((len(spoken),), memory.shape[1], device=memory.device)
        if valid is not None:
            frames = valid[spoken].sum(1)
        extra = ctc_loss(log_probs, frames, [units[i] for i in spoken])
        return loss + settings.auxiliary_weight * extra

    def counts(self, examples: Sequence[Example], step: int, settings: TrainSettings) -> list[int]:
        """Those of the task."""
        return self.task.counts(examples, step, settings)


@contextmanager
def encoded(model: Any) -> Iterator[list[tuple[Tensor, Tensor | None]]]:
    """Collects what `model`'s encoder gives inside: memory (batch, positions, width) and its mask."""
    seen: list[tuple[Tensor, Tensor | None]] = []
    hook = model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(output))
    try:
        yield seen
    finally:
        hook.remove()


def with_helper(task: Objective, model: Any, utterances: Sequence[Utterance], settings: TrainSettings) -> Objective:
    """`task` with the helper that `settings` name, or as it is.

    Raises:
        SecateurError: a model without an encoder of its own, or no Chinese clip among `utterances`.
    """
    if settings.auxiliary == "none":
        return task
    if is_streamed(utterances):
        raise SecateurError("training.auxiliary needs all texts at once: leave out --stream")
    if not isinstance(getattr(model, "encoder", None), nn.Module):
        raise SecateurError(f"training.auxiliary: the family '{model.config.family}' has no encoder for a second head")
    texts = [u.text if base_language(u.language) == "zh" else "" for u in utterances]
    units = pinyin_units([t for t in texts if t], settings.auxiliary_units)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        head = nn.Linear(model.config.width, units.outputs)
    return Helped(task, head, units, [units.encode(t) if t else [] for t in texts])


def save_head(folder: Path, helped: Helped) -> None:
    """Keep head and units beside a checkpoint: correction by sound can then ask it."""
    helped.units.write(folder / UNITS)
    weights = {n: t.detach().cpu().half().contiguous() for n, t in helped.head.state_dict().items()}
    write_tensors(folder / HEAD, weights, {"format": "pt"})


def load_head(folder: Path) -> tuple[nn.Linear, PinyinUnits] | None:
    """The head kept in a checkpoint's folder, and its units; None when there is none.

    Raises:
        SecateurError: files that do not belong together.
    """
    if not (folder / HEAD).exists():
        return None
    weights = require("safetensors.torch", "train").load_file(folder / HEAD)
    units = PinyinUnits.read(folder / UNITS)
    outputs, width = weights["weight"].shape
    if outputs != units.outputs:
        raise SecateurError(f"{folder}: the pinyin head has {outputs} outputs, its units {units.outputs}")
    head = nn.Linear(width, outputs)
    head.load_state_dict({n: t.float() for n, t in weights.items()})
    return head.eval(), units
