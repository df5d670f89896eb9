"""Linear layers as a product of two smaller ones: W (out, in) = expand (out, rank) @ reduce (rank, in).

With a rank below in * out / (in + out) that is fewer values and fewer multiply-accumulates. A rank is a unit like any
other (`rank_groups`): a row of `reduce` and the column of `expand` that reads it. `prune.low_rank` makes the factors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .groups import Group, Place
from .network import Network

EMBEDDING, PROJECTION, READOUT = "decoder.token_embedding", "decoder.token_projection", "decoder.token_readout"


class FactoredLinear(nn.Module):
    """(..., in) to (..., out) through `rank` dimensions; the bias is that of `expand`."""

    def __init__(self, inputs: int, outputs: int, rank: int, bias: bool) -> None:
        super().__init__()
        self.reduce = nn.Linear(inputs, rank, bias=False)
        self.expand = nn.Linear(rank, outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return self.expand(self.reduce(x))  # type: ignore[no-any-return]


def make_factored(model: nn.Module, ranks: dict[str, int]) -> None:
    """Replace the linear layers that `ranks` names by factored ones, in place and without their values.

    The token embedding becomes rows of `rank` values and a projection to the residual stream that all of them share.
    """
    for name, rank in ranks.items():
        layer = model.get_submodule(name)
        if isinstance(layer, nn.Embedding):
            rows, width = layer.weight.shape
            model.set_submodule(name, nn.Embedding(rows, rank))
            setattr(model.get_submodule("decoder"), PROJECTION.split(".")[1], nn.Linear(rank, width, bias=False))
        else:
            assert isinstance(layer, nn.Linear)
            bias = layer.bias is not None
            model.set_submodule(name, FactoredLinear(layer.in_features, layer.out_features, rank, bias))


def rows_of(module: nn.Module, name: str) -> str:
    """The parameter whose first dimension is the output of the linear layer `name` of `module`."""
    return f"{name}.expand.weight" if isinstance(getattr(module, name), FactoredLinear) else f"{name}.weight"


def columns_of(module: nn.Module, name: str) -> str:
    """The parameter whose second dimension is the input of the linear layer `name` of `module`."""
    return f"{name}.reduce.weight" if isinstance(getattr(module, name), FactoredLinear) else f"{name}.weight"


def bias_of(module: nn.Module, name: str) -> str:
    """The bias of the linear layer `name` of `module`."""
    return f"{name}.expand.bias" if isinstance(getattr(module, name), FactoredLinear) else f"{name}.bias"


def rank_groups(module: nn.Module) -> list[Group]:
    """The ranks of the factored layers of `module`."""
    return [
        Group(
            f"{name}.rank", "rank", layer.expand.in_features,
            (Place(f"{name}.reduce.weight", 0), Place(f"{name}.expand.weight", 1, reads=True)), minimum=8,
        )
        for name, layer in module.named_children() if isinstance(layer, FactoredLinear)
    ]  # fmt: skip


def embedding_rank_group(rank: int, readout: bool) -> Group:
    """The ranks of a factored token embedding, with or without a `readout` of its own."""
    places = [Place(f"{EMBEDDING}.weight", 1), Place(f"{PROJECTION}.weight", 1, reads=True)]
    places += [Place(f"{READOUT}.{leaf}", 0) for leaf in ("weight", "bias") if readout]
    return Group(f"{EMBEDDING}.rank", "rank", rank, tuple(places), minimum=8)


@torch.no_grad()
def multiplied_state(model: Network) -> dict[str, Tensor]:
    """The weights of the same network without factors: every product multiplied out, in double precision.

    An embedding with a readout is read by another matrix than it is written by, and stays.
    """
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    for name in model.config.ranks:
        if name == EMBEDDING and f"{READOUT}.weight" in state:
            continue
        if name == EMBEDDING:
            projection = state.pop(f"{PROJECTION}.weight")
            state[f"{name}.weight"] = (state[f"{name}.weight"].double() @ projection.double().T).float()
            continue
        expand, reduce = (state.pop(f"{name}.{part}.weight") for part in ("expand", "reduce"))
        state[f"{name}.weight"] = (expand.double() @ reduce.double()).float()
        if f"{name}.expand.bias" in state:
            state[f"{name}.bias"] = state.pop(f"{name}.expand.bias")
    return state
