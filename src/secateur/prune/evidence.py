"""Evidence for criteria: gradients times weights a batch, and the norms of activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..models.checkpointing import recomputing
from ..models.groups import Group
from ..train.distributed import all_reduce_sum
from ..train.lora import LowRankLinear, merged_weights
from ..train.sharding import wholes
from .importance import TaylorSums


class TaylorCollector(TaylorSums):
    """`TaylorSums` of a network while it trains. Call `update` after each backward."""

    def __init__(self, model: nn.Module, groups: Iterable[Group], decay: float = 1.0) -> None:
        super().__init__(groups, decay)
        self.model = model
        self._watched: list[nn.Parameter] = []

    def watch(self) -> None:
        """Before a forward pass: where only low-rank updates are trained, have all gradients of the groups computed."""
        if not any(isinstance(module, LowRankLinear) for module in self.model.modules()):
            return
        places = {place.parameter for group in self.groups for place in group.places}
        for name, parameter in self.model.named_parameters():
            if name in places and not parameter.requires_grad:
                parameter.requires_grad_(True)
                self._watched.append(parameter)

    @torch.no_grad()
    def update(self) -> None:
        """Add the current gradients; of layers with low-rank updates, times what they multiply by."""
        frozen = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._watched]
        all_reduce_sum(frozen)  # the optimiser's are summed already; every process brings as many
        weights = merged_weights(self.model)
        gradients = {name: p.grad for name, p in self.model.named_parameters() if p.requires_grad}
        self.add(wholes({n: g * weights[n] for n, g in gradients.items() if g is not None and n in weights}))
        for parameter in self._watched:
            parameter.requires_grad_(False)
            parameter.grad = None
        self._watched.clear()

    def tensors(self) -> dict[str, Tensor]:
        """State, for resuming."""
        state = {f"taylor.{name}": t for name, t in self.sums.items()}
        state |= {f"signed.{name}": t for name, t in self.signed.items()}
        return state | {"weight": torch.tensor(self.weight)}

    def load(self, tensors: dict[str, Tensor], device: torch.device | str) -> None:
        """Restore the state that `tensors` returned."""
        self.weight = float(tensors["weight"])
        self.sums = {n.removeprefix("taylor."): t.to(device) for n, t in tensors.items() if n.startswith("taylor.")}
        self.signed = {n.removeprefix("signed."): t.to(device) for n, t in tensors.items() if n.startswith("signed.")}


ForwardHook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]


def channel_axis(module: nn.Module) -> int:
    """Where channels are in what a layer reads and writes: before time (1) in convolutions, else last (-1).

    A convolution with a `forward` of its own, such as Parakeet's output layer, takes (batch, frames, channels).
    """
    return 1 if type(module).forward in (nn.Conv1d.forward, nn.Conv2d.forward) else -1


class ActivationCollector:
    """L2 norms of the inputs and outputs of every linear and convolution layer, and what recurrent ones read and each
    row of an embedding writes, over all batches run inside `with`.

    Padding counts as zero only where the network zeroes it; use clips of similar length.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> ActivationCollector:
        for name, module in self.model.named_modules():
            if isinstance(module, nn.Linear | nn.Conv1d):
                self._handles.append(module.register_forward_hook(self._hook(f"{name}.weight")))
            elif isinstance(module, nn.Embedding):
                self._handles.append(module.register_forward_hook(self._rows(f"{name}.weight")))
            elif isinstance(module, nn.RNNBase):
                self._handles.append(module.register_forward_pre_hook(self._recurrent(f"{name}.weight_ih_l0")))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook(self, name: str) -> ForwardHook:
        def add(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            if recomputing():
                return
            feature = channel_axis(module)
            for store, value in ((self.inputs, arguments[0]), (self.outputs, output)):
                self._add(store, name, value, feature)

        return add

    def _rows(self, name: str) -> Callable[[nn.Embedding, tuple[Tensor, ...], Tensor], None]:
        def add(module: nn.Embedding, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            times = torch.bincount(arguments[0].flatten(), minlength=module.num_embeddings)
            square = times * module.weight.detach().float().square().sum(1)
            self.outputs[name] = square if name not in self.outputs else self.outputs[name] + square

        return add

    def _recurrent(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def add(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            if recomputing():
                return
            self._add(self.inputs, name, arguments[0], -1)

        return add

    def _add(self, store: dict[str, Tensor], name: str, value: Tensor, feature: int) -> None:
        square = value.detach().float().square().movedim(feature, -1).flatten(0, -2).sum(0)
        store[name] = square if name not in store else store[name] + square

    def norms(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What `Evidence.inputs` and `Evidence.outputs` hold, over the batches of all processes."""
        inputs, outputs = ({n: store[n].clone() for n in sorted(store)} for store in (self.inputs, self.outputs))
        all_reduce_sum([*inputs.values(), *outputs.values()])
        return {n: t.sqrt() for n, t in inputs.items()}, {n: t.sqrt() for n, t in outputs.items()}
