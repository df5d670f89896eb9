"""Variants side by side in one batch: gates on activations, a row of the batch for each variant and clip.

A gate of zero on a unit's output is the unit's removal, as `prune.shrink.mask` does it in the weights; but rows
of one batch can lose different units, so that variants are computed together and what they share is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..models.groups import Group
from ..prune.evidence import channel_axis
from ..prune.places import along
from ..prune.soft.gating import carriers
from .variants import Variant, zeroed

# Names of the last layer of a branch, here and in `transformers`.
ENDS = ("out", "down", "out_proj", "o_proj", "linear_out", "output_dense", "linear2", "pointwise_conv2")


Key = tuple[str, str, int]  # module, side, dimension


class Gates:
    """Inside `with`, rows of `model`'s activations are those of `variants`: row r belongs to variant `index[r]`.

    Rows that come without a variant's order (several variants' first, the clips within) are set by `assign`.
    """

    def __init__(
        self, model: nn.Module, groups: dict[str, Group], variants: Sequence[Variant], device: torch.device
    ) -> None:
        self.model, self.device = model, device
        self.tables: dict[Key, Tensor] = {}  # (module, side, dimension) -> (variants, width)
        shapes = {n: p.shape for n, p in model.named_parameters()}
        for number, variant in enumerate(variants):
            for name, units in variant.ablated.items():
                group = groups[name]
                if not group.maskable or group.kind == "vocabulary":
                    continue
                kept = zeroed(torch.ones(group.units), units)
                for place in carriers(group):
                    if not place.parameter.endswith("weight"):
                        continue  # a gated output already has its bias in it
                    shape = shapes[place.parameter]
                    side = "in" if place.reads else "out"
                    values = along(kept, place, shape).flatten()
                    self._table(place.parameter.removesuffix(".weight"), side, len(variants), values, number)
            for module in variant.silenced:
                for end in ends(model, module):
                    self._table(end, "out", len(variants), torch.zeros(1), number)
        self.rows: dict[Key, Tensor] = {}
        self._handles: list[RemovableHandle] = []

    def _table(self, module: str, side: str, variants: int, values: Tensor, number: int) -> None:
        owner = self.model.get_submodule(module)
        key = (module, side, channel_axis(owner))
        width = len(values)
        old = self.tables.get(key)
        if old is None or old.shape[1] < width:
            old = torch.ones(variants, width) if old is None else old.expand(-1, width).clone()
        old[number] *= values
        self.tables[key] = old

    def assign(self, index: Sequence[int] | Tensor) -> None:
        """From now on row r belongs to variant `index[r]`."""
        chosen = torch.as_tensor(index).cpu()
        for key, table in self.tables.items():
            rows = table[chosen].to(self.device)
            self.rows[key] = rows[:, None, :] if key[2] == -1 else rows[:, :, None]

    def __enter__(self) -> Gates:
        for key in self.tables:
            module = self.model.get_submodule(key[0])
            if key[1] == "in":
                self._handles.append(module.register_forward_pre_hook(self._before(key)))
            else:
                self._handles.append(module.register_forward_hook(self._after(key)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _before(self, key: Key) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
        return lambda module, arguments: (arguments[0] * self.rows[key].to(arguments[0].dtype), *arguments[1:])

    def _after(self, key: Key) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        return lambda module, arguments, output: output * self.rows[key].to(output.dtype)


def ends(model: nn.Module, branch: str) -> list[str]:
    """The modules that end a branch: what comes out of them is added to the residual stream."""
    module = model.get_submodule(branch)
    names = [n for n in ENDS if hasattr(module, n)]
    return [f"{branch}.{n}" for n in names] or [branch]
