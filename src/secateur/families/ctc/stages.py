"""A CTC model as a sequence of stages, so that those before a changed layer are computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...models.network import FrameNetwork
from .conformer import Conformer
from .frames import valid_frames
from .inception import Inception
from .model import Section
from .recurrent import Recurrent
from .trunk import Trunk

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Stage:
    """`run(x, frames)` gives what the next stage reads, and its real frames; parameters are those under `prefixes`."""

    prefixes: tuple[str, ...]
    run: Step

    def holds(self, parameter: str) -> bool:
        """Whether a parameter belongs to this stage."""
        return parameter.startswith(self.prefixes)


def stages(model: FrameNetwork) -> list[Stage]:
    """All stages: features (batch, frames, inputs) in, logarithms of probabilities (batch, shorter, units) out."""
    sections = model.sections()
    if not sections:  # all of it is one stage
        return [Stage(("",), model)]
    row: list[Stage] = []
    for name, section in sections.items():
        split = SPLITS.get(name)
        if split is None:
            row.append(Stage((f"{name}.",), _one_stage(model, section)))
        else:
            row += split(model, section, name)
    return [
        *row,
        Stage(("output.",), lambda x, frames: (model.get_submodule("output")(x).float().log_softmax(-1), frames)),
    ]


def _one_stage(model: FrameNetwork, section: Section) -> Step:
    return lambda x, frames: section(x, frames, model.dropout)


def _inception(model: FrameNetwork, section: Inception, name: str) -> list[Stage]:
    stride, last = section.widths.stride, len(section.blocks) - 1

    def stem(x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        x = (x * valid_frames(frames, x.shape[1])[..., None]).transpose(1, 2)
        frames = (frames + stride - 1) // stride
        x = section.stem(x, frames)
        return x.transpose(1, 2) if last < 0 else x, frames

    def block(i: int) -> Step:
        def run(x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
            x = section.blocks[i](x, frames)
            return x.transpose(1, 2) if i == last else x, frames

        return run

    return [Stage((f"{name}.stem.",), stem), *(Stage((f"{name}.blocks.{i}.",), block(i)) for i in range(last + 1))]


def _recurrent(model: FrameNetwork, section: Recurrent, name: str) -> list[Stage]:
    def layer(i: int) -> Step:
        return lambda x, frames: (section.layers[i](x, frames), frames)

    return [Stage((f"{name}.layers.{i}.",), layer(i)) for i in range(len(section.layers))]


def _trunk(model: FrameNetwork, section: Trunk, name: str) -> list[Stage]:
    def embed(x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        limit = 2 * len(section.positions)
        x, frames = x[:, :limit], frames.clamp_max(limit)
        return section.embed(x, frames.clamp_min(1), model.dropout)[0], (frames + 1) // 2

    def layer(i: int) -> Step:
        def run(x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
            real = valid_frames(frames.clamp_min(1), x.shape[1])[:, None, None]
            return section.layers[i](x, real, model.dropout), frames

        return run

    first = tuple(f"{name}.{part}" for part in ("conv1.", "conv2.", "positions"))
    layers = [Stage((f"{name}.layers.{i}.",), layer(i)) for i in range(len(section.layers))]
    return [Stage(first, embed), *layers, Stage((f"{name}.norm.",), lambda x, frames: (section.norm(x), frames))]


def _conformer(model: FrameNetwork, section: Conformer, name: str) -> list[Stage]:
    def layer(i: int) -> Step:
        return lambda x, frames: (section.layers[i](x, *section.attention_mask(x, frames), model.dropout), frames)

    return [
        Stage((f"{name}.project.",), lambda x, frames: (section.project(x), frames)),
        *(Stage((f"{name}.layers.{i}.",), layer(i)) for i in range(len(section.layers))),
        Stage((f"{name}.norm.",), lambda x, frames: (section.norm(x), frames)),
    ]


SPLITS: dict[str, Callable[[FrameNetwork, Any, str], list[Stage]]] = {
    "trunk": _trunk, "inception": _inception, "recurrent": _recurrent, "conformer": _conformer
}  # fmt: skip
