"""Training sharded over processes: each holds its part of parameters, gradients, optimiser state and averages.

PyTorch's `fully_shard` (FSDP2; Zhao et al. 2023, arXiv 2304.11277; ZeRO stage 3: Rajbhandari et al. 2020, arXiv
1910.02054), one unit a layer: a layer's weights are gathered before it computes and let go of after it. The parts are
rows: process r of n holds rows r * ceil(rows / n) and on of every parameter. Whatever reads whole matrices asks for
`wholes`, on all processes at once; what works value by value takes the part that this process `held`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..base.progress import say
from ..models.checkpointing import find_layers
from ..models.network import Network
from . import distributed


def held(tensor: Tensor) -> Tensor:
    """The rows of a sharded `tensor` that this process holds, the same memory; any other tensor as it is."""
    sharded: Any = tensor.detach()
    return sharded.to_local() if _is_sharded(tensor) else tensor


def _is_sharded(tensor: Tensor) -> bool:
    """Whether it is a DTensor, without importing what defines them."""
    return hasattr(tensor, "to_local")


def wholes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`wholes` of many, a few collectives for all of them."""
    return dict(tensors) | {name: value for some in whole_buckets(tensors.items()) for name, value in some.items()}


def whole_buckets(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    """The sharded ones of named `tensors`, whole, a bucket at a time: those before may be dropped."""
    bucket: dict[str, Tensor] = {}
    size = 0
    for name, tensor in tensors:
        if _is_sharded(tensor):
            if bucket and size + tensor.numel() > distributed.BUCKET:
                yield _gathered(bucket)
                bucket, size = {}, 0
            bucket[name] = tensor
            size += tensor.numel()
    if bucket:
        yield _gathered(bucket)


def _gathered(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors of sharded ones of one type, by one collective."""
    ranks = distributed.count()
    rows = {name: -(-len(tensor) // ranks) for name, tensor in tensors.items()}
    parts = []
    for name, tensor in tensors.items():
        part = held(tensor).flatten(1) if tensor.dim() > 1 else held(tensor)[:, None]
        parts.append(nn.functional.pad(part, (0, 0, 0, rows[name] - len(part))).flatten())
    flat = torch.cat(parts)
    everyone = flat.new_empty(ranks, len(flat))
    with distributed.peers():
        dist.all_gather(list(everyone.unbind()), flat)
    pieces = torch.split(everyone, [len(part) for part in parts], 1)
    return {
        name: piece.reshape(ranks * rows[name], *tensor.shape[1:])[: len(tensor)]
        for (name, tensor), piece in zip(tensors.items(), pieces, strict=True)
    }


def as_sharded(part: Tensor, mesh: Any, shape: torch.Size) -> Tensor:
    """A tensor of `shape` of which this process holds the rows `part`."""
    from torch.distributed.tensor import DTensor, Shard

    stride = torch.empty(shape, device="meta").stride()
    return DTensor.from_local(part.contiguous(), mesh, [Shard(0)], run_check=False, shape=shape, stride=stride)


def part_of(value: Tensor, like: Tensor) -> Tensor:
    """Of `value`, which broadcasts over a whole parameter, what broadcasts over `like`: the parameter, or the rows of
    it that this process holds."""
    if value.dim() == 0 or value.shape[0] in (1, like.shape[0]):
        return value
    return _rows(value)


def _rows(value: Tensor) -> Tensor:
    """This process's rows of a whole `value`."""
    count = -(-len(value) // distributed.count())
    return value[count * distributed.rank() : count * (distributed.rank() + 1)]


@contextmanager
def sharded(model: Network, device: torch.device, on: bool = True) -> Iterator[Shards | None]:
    """Inside, `model` is sharded over all processes; afterwards it is whole again, with the weights it has by then.

    Gives None, and does nothing, with one process or where it is not `on`.
    """
    if on and distributed.count() == 1:
        say("training.shard: one process holds everything; start several with torchrun to share it out")
    if not on or distributed.count() == 1:
        yield None
        return
    distributed.broadcast_from_first([*model.parameters(), *model.buffers()])
    shards = Shards(model, device)
    yield shards
    shards.close()  # not after an error: the others would not take part


class Shards:
    """A sharded `model` and its whole tensors by name."""

    def __init__(self, model: Network, device: torch.device) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

        self.model, self.device = model, device
        # Nothing here changes what a layer returned in place.
        warnings.filterwarnings("ignore", "FSDP2-wrapped.*")
        self.mesh = init_device_mesh(device.type, (distributed.count(),))
        # The whole pass is the forward pass of the outermost unit, whichever parts of the network it calls.
        model.forward_pass = _forward_pass  # type: ignore[assignment]
        self.units: list[Any] = _units(model)
        for unit in self.units:
            fully_shard(unit, mesh=self.mesh)
        register_fsdp_forward_method(model, "forward_pass")
        for unit in self.units:
            unit.set_gradient_divide_factor(1.0)  # sums: each process's loss is weighted by its share already
            unit.set_force_sum_reduction_for_comms(True)
        model.to(device)  # buffers
        self.parameters: dict[str, Any] = dict(model.named_parameters())

    def forward_pass(self, function: object, *inputs: object) -> Any:
        """`function(model, *inputs)`, gathering the layers' weights on the way; a scalar loss is its result."""
        return self.model.forward_pass(function, self.model, *inputs)  # type: ignore[operator]

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Inside, all weights are whole on every process, which may compute by itself; changes to them are lost."""
        with distributed.peers():
            for unit in self.units:
                unit.unshard()
        self.model.set_reshard_after_forward(False)  # type: ignore[operator]
        yield
        for unit in self.units:
            unit.set_reshard_after_forward(unit is not self.model, recurse=False)
            unit.reshard()

    def first_row_values(self) -> dict[str, int]:
        """By parameter, how many values come before those that this process holds."""
        before = {}
        for name, parameter in self.parameters.items():
            rows = -(-len(parameter) // distributed.count()) * distributed.rank()
            before[name] = min(rows, len(parameter)) * parameter.numel() // len(parameter)
        return before

    def whole_store(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`tensors`, named "STORE.PARAMETER" or the optimiser's, with whole ones for parts, in the computer's memory;
        empty on all processes but the first, which take part."""
        first = distributed.rank() == 0
        shapes = {n: self.parameters[own].shape for n in tensors if (own := n.partition(".")[2]) in self.parameters}
        sharded = {name for name, value in tensors.items() if name in shapes or _is_sharded(value)}
        stored = {name: value.detach().cpu() for name, value in tensors.items() if first and name not in sharded}
        ready = (
            (n, value if _is_sharded(value) else as_sharded(value.to(self.device), self.mesh, shapes[n]))
            for n, value in tensors.items()
            if n in sharded
        )
        for some in whole_buckets(ready):
            stored |= {name: value.detach().cpu() for name, value in some.items() if first}
        return stored

    def parts_of_store(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The reverse of `whole_store`, for whole tensors that every process has read."""
        return {
            name: _rows(value).clone() if name.partition(".")[2] in self.parameters else value
            for name, value in tensors.items()
        }

    def parts_of_optimizer(self, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An optimiser's whole tensors ("optimizer.NUMBER.KEY"), sharded as the parameters that they belong to."""
        ordered = [p for group in optimizer.param_groups for p in group["params"]]
        parts = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, number, key = name.split(".", 2)
                parameter = ordered[int(number)]
                # Adafactor's column means of a matrix have none of its rows.
                if value.dim() == parameter.dim() and not (key == "col_var" and value.dim() == 2):
                    value = as_sharded(_rows(value).to(self.device), self.mesh, value.shape)
            parts[name] = value
        return parts

    @torch.no_grad()
    def close(self) -> None:
        """Make `model` a plain network again, whole on every process."""
        from torch.distributed.fsdp import FSDPModule, fully_shard

        weights: dict[str, nn.Parameter] = {}
        for some in whole_buckets(self.parameters.items()):
            weights |= {n: nn.Parameter(value.clone(), self.parameters[n].requires_grad) for n, value in some.items()}
        for unit in self.units:
            state = fully_shard.state(unit)  # type: ignore[attr-defined]
            state._pre_forward_hook_handle.remove()
            state._post_forward_hook_handle.remove()
            unit.__class__ = next(c for c in type(unit).__mro__[1:] if not issubclass(c, FSDPModule))
        del self.model.forward_pass
        for name, weight in weights.items():
            owner, _, own = name.rpartition(".")
            setattr(self.model.get_submodule(owner), own, weight)


def _forward_pass(function: Any, *inputs: Any) -> Any:
    return function(*inputs)


def _units(model: Network) -> list[Any]:
    """What is gathered at a time: every layer, what of it is called apart, and the model itself, for the rest."""
    names = {module: name for name, module in model.named_modules()}
    layers = sorted(find_layers(model), key=lambda layer: -names[layer].count("."))  # the inner ones first
    return [*model.called_apart(), *layers, model]
