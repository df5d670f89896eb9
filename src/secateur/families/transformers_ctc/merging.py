"""Frames merged between the layers of a network of `transformers`, by hooks: see `models.frame_merging`.

Its classes make masks and positions of all frames once, before the first layer. Where frames are merged, a layer gets
those of the first frame in each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...models.frame_merging import MergingConfig
from ..ctc.frames import FrameMerges, repeated
from ..seq2seq.layers import Merge, frame_merges, picked

# (what a layer is called with, the first frame (1 or batch, frames) in each, whether frames were merged just before it)
# -> what changes
Positions = Callable[[dict[str, Any], Tensor, bool], dict[str, Any]]


class LayerMerges(FrameMerges):
    """The merges before the first of `layers`, which are `width` wide, and after each; `positions` says what each is
    called with that tells positions."""

    def __init__(
        self, config: MergingConfig, width: int, layers: Iterable[nn.Module], positions: Positions | None = None
    ) -> None:
        width_of_weights = width if config.merge_learned else None
        super().__init__(frame_merges(config.frame_merging, width_of_weights, config.merge_similar))
        self._positions = positions
        self._valid: Tensor | None = None
        self._at: Tensor | None = None
        self._length, self._just_merged = 0, False  # frames before anything was merged
        for number, layer in enumerate(layers):
            masked = [module for module in layer.modules() if hasattr(module, "real")]
            layer.register_forward_pre_hook(partial(self._before, number, masked), with_kwargs=True)
            layer.register_forward_hook(partial(self._after, number + 1))

    def outputs(self, log_probs: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, left, units) on the grid of the outputs, and of `frames` (batch,) before the layers the real ones
        there."""
        if self._at is None or not len(self):
            return log_probs, frames
        merges: list[Any] = list(self)
        if merges[0].similar:
            return picked(log_probs, Merge.places(self._at, self._length)), frames
        times = 1
        for merge in merges:
            frames, times = -(-frames // int(merge.factor)), times * int(merge.factor)
        return repeated(log_probs, frames, times if self.repeated else 1)

    def _before(
        self, number: int, masked: Sequence[Any], _: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """What the layer `number` reads."""
        if not len(self):
            return None
        x, *others = inputs
        if number == 0:
            self._valid, self._at, self._length = _valid(named.get("attention_mask")), None, x.shape[1]
            x = self._merged(0, x)
        if self._at is None:
            return None
        for module in masked:
            module.real = None if module.real is None else picked(module.real, self._at)
        named = {**named, "attention_mask": _picked_mask(named.get("attention_mask"), self._at)}
        if self._positions is not None:
            named |= self._positions(named, self._at, self._just_merged)
        self._just_merged = False
        return (x, *others), named

    def _after(self, number: int, _: nn.Module, __: Any, output: Any) -> Any:
        """What `number` layers gave, merged."""
        if not len(self):
            return output
        if isinstance(output, tuple):
            return (self._merged(number, output[0]), *output[1:])
        return self._merged(number, output)

    def _merged(self, number: int, x: Tensor) -> Tensor:
        merge: Any = self[number]
        x, self._valid, self._at = merge.after(x, self._valid, self._at)
        self._just_merged |= merge.factor > 1
        return x


def relative(name: str) -> Positions:
    """For layers that are called with a table `name` (1 or batch, 2 * frames - 1, width) of what frames at every
    distance are, the most distant first; all merged frames are equally far apart."""
    return partial(_relative, name)


def _relative(name: str, named: dict[str, Any], at: Tensor, _: bool) -> dict[str, Any]:
    middle = named[name].shape[1] // 2
    rows = torch.cat([middle - at[0].flip(0), middle + at[0, 1:]])
    return {name: named[name][:, rows]}


def rotary(named: dict[str, Any], at: Tensor, _: bool) -> dict[str, Any]:
    """For a Conformer of `transformers`: cosines and sines (2, frames, 1, 1, size) of every frame's rotation."""
    table = named["relative_position_embeddings"]
    rows = at.clamp_max(table.shape[1] - 1)
    return {"relative_position_embeddings": table[:, rows.T, 0]}


def gated(named: dict[str, Any], at: Tensor, just_merged: bool) -> dict[str, Any]:
    """For WavLM: the first layer after a merge makes the table of distances anew, and hands it on."""
    return {"at": at, "position_bias": None if just_merged else named.get("position_bias")}


def _valid(mask: Tensor | None) -> Tensor | None:
    """Real frames (batch, frames) of an attention mask (batch, frames) or (batch, 1, queries, frames), whether it is
    True or zero where attention is allowed."""
    if mask is None:
        return None
    allowed = mask if mask.dtype == torch.bool else mask == 0 if mask.is_floating_point() else mask.bool()
    return allowed if allowed.dim() == 2 else allowed.flatten(1, -2).any(1)


def _picked_mask(mask: Tensor | None, at: Tensor) -> Tensor | None:
    """The mask of frames that begin with `at`."""
    if mask is None or mask.dim() == 2:
        return None if mask is None else picked(mask, at)
    if mask.shape[2] > 1:
        mask = picked(mask, at, 2)
    return picked(mask, at, 3)
