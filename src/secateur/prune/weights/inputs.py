"""Statistics of the inputs of matrices while training: mean squares, or second moments X^T X."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ...models.checkpointing import recomputing
from ...train.distributed import all_reduce_sum
from ..evidence import channel_axis

LAYERS = nn.Linear | nn.Conv1d | nn.Conv2d
Moment = Callable[[nn.Module, Tensor], Tensor]


def squares(layer: nn.Module, x: Tensor) -> Tensor:
    """Mean over positions of each input feature's square, (in,)."""
    return x.float().square().movedim(channel_axis(layer), -1).flatten(0, -2).mean(0)


def gram(layer: nn.Module, x: Tensor) -> Tensor:
    """X^T X / positions of what a layer reads, (inputs, inputs); a convolution's inputs in the order of `as_rows`."""
    x = x.float()
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        assert not isinstance(layer.padding, str)
        x = x.movedim(channel_axis(layer), 1)
        x = nn.functional.pad(x, [side for p in reversed(layer.padding) for side in (p, p)])
        for dim, (size, stride) in enumerate(zip(layer.kernel_size, layer.stride, strict=True), 2):
            x = x.unfold(dim, size, stride)  # (batch, in, *positions, *kernel)
        x = x.movedim(1, -1).flatten(-1 - len(layer.kernel_size))
    rows = x.flatten(0, -2)
    return rows.T @ rows / len(rows)


def has_gram(layer: nn.Module) -> bool:
    """Whether `gram` supports the layer: not grouped, dilated or unusually padded convolutions."""
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        plain = not isinstance(layer.padding, str) and layer.padding_mode == "zeros"
        return plain and layer.groups == 1 and set(layer.dilation) == {1}
    return isinstance(layer, nn.Linear)


class InputCollector:
    """Sums of a `moment` of what the matrices `names` of `model` read, over training steps.

    Inputs count only between `start` (before a forward pass) and `stop` (after the backward pass), so that neither
    validation nor copies of the network count. Padding counts as it does in the network. After `stop` the sums are the
    same on every process.
    """

    def __init__(self, model: nn.Module, names: Iterable[str], moment: Moment) -> None:
        chosen = set(names)
        self.layers: dict[str, nn.Module] = {
            f"{n}.weight": m for n, m in model.named_modules() if f"{n}.weight" in chosen and isinstance(m, LAYERS)
        }
        if moment is gram:
            self.layers = {n: m for n, m in self.layers.items() if has_gram(m)}
        if moment is squares:  # a recurrent layer reads its input, and its own output of the step before
            self.layers |= {
                f"{n}.{part}_l0": m
                for n, m in model.named_modules()
                if isinstance(m, nn.RNNBase)
                for part in ("weight_ih", "weight_hh")
                if f"{n}.{part}_l0" in chosen
            }
        self.moment = moment
        self.sums: dict[str, Tensor] = {}
        self.steps = 0
        self._step_sums: dict[str, Tensor] = {}  # of the step that is under way
        self._handles: list[RemovableHandle] = []

    def start(self) -> None:
        """Begin to collect; a second call does nothing."""
        if not self._handles:
            for name, layer in self.layers.items():
                if name.endswith("weight_hh_l0"):
                    self._handles.append(layer.register_forward_hook(self._output_hook(name)))
                else:
                    self._handles.append(layer.register_forward_pre_hook(self._hook(name)))

    @torch.no_grad()
    def stop(self) -> None:
        """End the step: add its sums, over all processes."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        names = sorted(self._step_sums)
        all_reduce_sum(self._step_sums[n] for n in names)
        for name in names:
            step_sum = self._step_sums.pop(name)
            self.sums[name] = step_sum if name not in self.sums else self.sums[name].add_(step_sum)
        self.steps += 1

    def reset(self) -> None:
        """Drop all sums."""
        self.sums, self.steps = {}, 0

    def _hook(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        @torch.no_grad()
        def add(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            self._add(name, layer, arguments[0].detach())

        return add

    def _output_hook(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], tuple[Tensor, object]], None]:
        @torch.no_grad()
        def add(layer: nn.Module, arguments: tuple[Tensor, ...], output: tuple[Tensor, object]) -> None:
            self._add(name, layer, output[0].detach())

        return add

    def _add(self, name: str, layer: nn.Module, x: Tensor) -> None:
        if recomputing():
            return
        with torch.autocast(x.device.type, enabled=False):  # sums of many squares need fp32
            moment = self.moment(layer, x)
        self._step_sums[name] = moment if name not in self._step_sums else self._step_sums[name].add_(moment)

    def tensors(self) -> dict[str, Tensor]:
        """State, for resuming."""
        return {f"input.{n}": t for n, t in self.sums.items()} | {"input_steps": torch.tensor(self.steps)}

    def load(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Restore the state that `tensors` returned."""
        self.sums = {n.removeprefix("input."): t.to(device) for n, t in tensors.items() if n.startswith("input.")}
        self.steps = int(tensors["input_steps"])
