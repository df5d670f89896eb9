"""Auxiliary tasks: a second head on the encoder that only training has, as a further loss on what the encoder computes.

Multi-task learning with CTC beside attention (Kim et al. 2017, arXiv 1609.06773); here the head spells pinyin: Mandarin
has a few hundred syllables for thousands of characters, so an hour of speech covers them many times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..base.errors import SecateurError
from ..base.extras import require
from ..base.progress import say
from ..base.tensors import write_tensors
from ..data.clip_index import is_streamed
from ..data.manifest import Utterance
from ..models.network import Network
from ..text.languages import base_language
from ..text.pinyin_units import PinyinUnits, pinyin_units
from .loss import Batch, Objective, ctc_loss
from .mix import Example
from .settings import TrainSettings

HEAD, UNITS = "pinyin_head.safetensors", "pinyin_units.json"
SavedHead = tuple[nn.Linear, PinyinUnits]


@dataclass
class AuxiliaryObjective:
    """A task's loss plus `settings.auxiliary_weight` times the CTC loss of the head on the encoder's output.

    `rows` are the clips' units; clips without any (in another language) are left out. Over micro-batches and
    processes, the auxiliary loss is weighted like the task's.
    """

    task: Objective
    head: nn.Linear  # encoder's width to units, blank first
    units: PinyinUnits
    rows: Sequence[Sequence[int]]

    def __call__(self, model: Network, batch: Batch, settings: TrainSettings) -> Tensor:
        """The loss of one batch; the encoder runs once."""
        with encoded(model) as outputs:
            loss = self.task(model, batch, settings)
        units = [[unit for row in example.clips for unit in self.rows[row]] for example in batch.examples]
        spoken = [i for i, example in enumerate(batch.examples) if units[i] and example.cut_after is None]
        if not spoken:
            return loss
        memory, valid = outputs[0]
        log_probs = self.head(memory[spoken]).float().log_softmax(-1)
        frames = torch.full((len(spoken),), memory.shape[1], device=memory.device)
        if valid is not None:
            frames = valid[spoken].sum(1)
        auxiliary_loss = ctc_loss(log_probs, frames, [units[i] for i in spoken])
        return loss + settings.auxiliary_weight * auxiliary_loss

    def counts(self, examples: Sequence[Example], step: int, settings: TrainSettings) -> list[int]:
        """See `Objective.counts`; the auxiliary loss follows the task's counts."""
        return self.task.counts(examples, step, settings)


@contextmanager
def encoded(model: nn.Module) -> Iterator[list[tuple[Tensor, Tensor | None]]]:
    """Record the outputs of `model`'s encoder inside `with`: states (batch, positions, width) and their attention
    mask."""
    outputs: list[tuple[Tensor, Tensor | None]] = []
    hook = model.get_submodule("encoder").register_forward_hook(lambda module, inputs, output: outputs.append(output))
    try:
        yield outputs
    finally:
        hook.remove()


def with_auxiliary_head(
    task: Objective,
    model: Network,
    utterances: Sequence[Utterance],
    settings: TrainSettings,
    known: SavedHead | None = None,
) -> Objective:
    """`task` with the auxiliary head that `settings.auxiliary` names, or unchanged if that is "none".

    Training goes on with the `known` head, of the checkpoint that `model` comes from, where it has the same units.

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
    if known is not None:
        if known[1] == units:
            head.load_state_dict(known[0].state_dict())
        else:
            say("the pinyin head begins anew: that of the start has other units")
    return AuxiliaryObjective(task, head, units, [units.encode(t) if t else [] for t in texts])


def save_head(folder: Path, head: nn.Linear, units: PinyinUnits) -> None:
    """Save a head and its units beside a checkpoint, for correction by sound."""
    units.write(folder / UNITS)
    weights = {n: t.detach().cpu().half().contiguous() for n, t in head.state_dict().items()}
    write_tensors(folder / HEAD, weights, {"format": "pt"})


def mean_head(folders: Sequence[Path]) -> SavedHead | None:
    """The mean of the heads in checkpoints' folders; None where none has one.

    Raises:
        SecateurError: heads of other units, or a folder that has none beside one that has.
    """
    heads = [load_head(folder) for folder in folders]
    if not any(heads):
        return None
    lacking = next((str(folder) for folder, head in zip(folders, heads, strict=True) if head is None), "")
    if lacking:
        raise SecateurError(f"{lacking} has no pinyin head and others have: average runs that all saved one, or none")
    saved = [head for head in heads if head is not None]
    first, units = saved[0]
    other = next((str(f) for f, (_, its) in zip(folders, saved, strict=True) if its != units), "")
    if other:
        raise SecateurError(f"{other}: its pinyin head has other units than that of {folders[0]}: they have no mean")
    with torch.no_grad():
        for name, value in first.named_parameters():
            value.copy_(torch.stack([dict(head.named_parameters())[name] for head, _ in saved]).mean(0))
    return first, units


def load_head(folder: Path) -> SavedHead | None:
    """The auxiliary head saved in a checkpoint's folder, and its units; None when there is none.

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
