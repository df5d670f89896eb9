"""Width: the residual stream rotated so that its last dimensions hold least, and these removed.

A layer reads the stream x (d values) only through LayerNorm, gain * (x - mean) / std + bias. With gain and bias folded
into the linear layers that read it, the norm is the same in any basis of the vectors without mean (SliceGPT, Ashkboos
et al. 2024, arXiv 2401.15024, which needs RMSNorm in between; here it stays a LayerNorm). The stream becomes y = R x
with k values, where the k rows of R (k, d) are orthonormal and take the mean to the mean: what adds to the stream is
multiplied by R, what reads it by R^T, and norms keep the constant gain sqrt(d / k), because a standard deviation is now
over k values. The principal directions of what the norms give to the layers on some clips are kept.

The layers that read the stream are not refitted by least squares, as those of `prune.low_rank` are: that raised the
loss of base, cut to 384 of 512 without training, from 0.90 to 1.02 (the last reader alone) and more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..base.errors import SecateurError
from ..models.checkpoint import assign_weights
from ..models.groups import ResidualStream
from ..models.low_rank import FactoredLinear
from ..models.network import Network, without_values
from .low_rank import Run
from .shrink import Net

MULTIPLE = 8  # widths are multiples of it


def width_of(model: Network, share: float) -> int:
    """The width when `share` of the dimensions of the residual stream stay, rounded down to a multiple of 8.

    Raises:
        SecateurError: a family without residual streams that can be cut, fewer than eight dimensions, or weights that a
            rotation would mix.
    """
    streams = model.residual_streams()
    if not streams:
        raise SecateurError(f"width: the residual stream of the family '{model.config.family}' cannot be cut")
    width = int(share * model.config.width + 1e-9) // MULTIPLE * MULTIPLE
    if width < MULTIPLE:
        least = math.ceil(1000 * MULTIPLE / model.config.width) / 1000
        raise SecateurError(
            f"width: {share:g} of {model.config.width} dimensions is less than {MULTIPLE}: give at least {least:g}"
        )
    for stream in streams:
        _shares(dict(model.named_parameters()), stream)
    return width


def with_width(model: Net, width: int) -> Net:
    """A network whose residual streams have `width` dimensions, its values yet to be loaded."""
    free = model.between_matrices()
    small = type(model)(replace(free.config, width=width))
    small.dropout.p = model.dropout.p
    return small.to(next(model.parameters()).device).train(model.training)


@torch.no_grad()
def narrowed(model: Net, width: int, run: Run) -> Net:
    """A copy of `model` with `width` dimensions of its residual streams, chosen by what norms give in `run`."""
    free = model.between_matrices()
    streams = free.residual_streams()
    # Not turned yet, but without gains and biases of norms.
    device, d = next(model.parameters()).device, model.config.width
    free = rotated(free, streams, [torch.eye(d, dtype=torch.float64, device=device) for _ in streams])
    moments = [torch.zeros(d, d, dtype=torch.float64, device=device) for _ in streams]
    handles = []
    for total, stream in zip(moments, streams, strict=True):

        def add(_: nn.Module, __: object, output: Tensor, total: Tensor = total) -> None:
            x = output.flatten(0, -2).float()
            total += (x.T @ x).double() / len(x)

        handles += [free.get_submodule(norm).register_forward_hook(add) for norm in stream.readers]
    try:
        run([free], lambda: None)
    finally:
        for handle in handles:
            handle.remove()
    return rotated(free, streams, [rotation(total, width) for total in moments])


def rotation(moments: Tensor, width: int) -> Tensor:
    """R (width, d), float64, with orthonormal rows: the mean, and the leading other directions of `moments`, (d, d).

    A discrete cosine transform spreads each direction over all values: a few large ones would cost integers precision.
    """
    d = len(moments)
    one = torch.full((d, 1), d**-0.5, dtype=torch.float64, device=moments.device)
    centring = torch.eye(d, dtype=torch.float64, device=moments.device) - one @ one.T
    _, vectors = torch.linalg.eigh(centring @ moments.double() @ centring - one @ one.T)  # the mean is the last choice
    kept = torch.cat([one, vectors.flip(1)[:, : width - 1]], 1)  # (d, width), the largest first
    steps = torch.arange(width, dtype=torch.float64, device=moments.device)
    cosines = torch.cos(math.pi / width * (steps[:, None] + 0.5) * steps[None]) * (2 / width) ** 0.5
    cosines[:, 0] = width**-0.5
    turn: Tensor = cosines @ kept.T
    return turn


def rotated(model: Net, streams: Sequence[ResidualStream], rotations: Sequence[Tensor]) -> Net:
    """`model` (with matrices around its streams) in the coordinates that `rotations`, R (k, d) of each stream, give."""
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    for stream, r in zip(streams, rotations, strict=True):
        k, d = r.shape

        def turned(name: str, product: Tensor) -> None:
            state[name] = product.to(state[name].dtype).contiguous()

        for writer in stream.writers:
            last = f"{writer}.expand" if isinstance(model.get_submodule(writer), FactoredLinear) else writer
            turned(f"{last}.weight", r @ state[f"{last}.weight"].double())
            if f"{last}.bias" in state:
                turned(f"{last}.bias", r @ state[f"{last}.bias"].double())
        for table in stream.tables:
            turned(table, state[table].double() @ r.T)
        for name, shares in _shares(state, stream).items():
            state[name] = shares[:, None].expand(-1, k).clone()
        for norm, readers in stream.readers.items():
            gain, bias = state[f"{norm}.weight"].double(), state[f"{norm}.bias"].double()
            for reader in readers:
                _fold(model, state, reader, bias)
                first = f"{reader}.reduce" if isinstance(model.get_submodule(reader), FactoredLinear) else reader
                turned(f"{first}.weight", (state[f"{first}.weight"].double() * gain) @ r.T)
            turned(f"{norm}.weight", torch.full((k,), (d / k) ** 0.5))
            turned(f"{norm}.bias", torch.zeros(k))
    with without_values():
        small = type(model)(replace(model.config, width=len(rotations[0])))
    assign_weights(small, state)
    small.dropout.p = model.dropout.p
    return small.to(next(model.parameters()).device).train(model.training)


def _fold(model: Network, state: dict[str, Tensor], reader: str, bias: Tensor) -> None:
    """Add what `reader` makes of a norm's `bias` to its own; what has none (keys) would add the same to every score."""
    layer = model.get_submodule(reader)
    if isinstance(layer, FactoredLinear):
        product = state[f"{reader}.expand.weight"].double() @ (state[f"{reader}.reduce.weight"].double() @ bias)
        name = f"{reader}.expand.bias"
    else:
        product, name = state[f"{reader}.weight"].double() @ bias, f"{reader}.bias"
    if name in state:
        state[name] = (state[name].double() + product).to(state[name].dtype)


def _shares(state: Mapping[str, Tensor], stream: ResidualStream) -> dict[str, Tensor]:
    """The weights (n,) of `stream.weights` that are the same in every dimension.

    Raises:
        SecateurError: they are not.
    """
    shares = {}
    for name in stream.weights:
        value = state[name].detach()
        if not torch.equal(value, value[:, :1].expand_as(value)):
            raise SecateurError("width: frames are merged by weights of every dimension, which a rotation would mix")
        shares[name] = value[:, 0]
    return shares
