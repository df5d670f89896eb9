"""Low rank: matrices replaced by products of two smaller ones, chosen by what the matrices really read.

The plain SVD keeps the directions of W that are large; what counts is W x. With C = E[x x^T], the second moments of the
inputs on some clips, the rank-r matrix with the least E|W x - W' x|^2 is that of the SVD of W C^1/2, multiplied by
C^-1/2 (ASVD, Yuan et al. 2023, arXiv 2312.05821; SVD-LLM, Wang et al. 2024, arXiv 2403.07378). All matrices are then
factored at once, so each reads the errors of those before it: one least-squares fit of the second factors and biases to
the outputs of the whole model heals part of that (`heal`), training the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from ..base.errors import SecateurError, nearest
from ..data.clip_index import joined
from ..data.job import JobData
from ..models.family import TextCodec
from ..models.low_rank import EMBEDDING, PROJECTION, READOUT, FactoredLinear, multiplied_state
from ..models.network import Network
from ..train.settings import TrainSettings
from .ranking import training_batches
from .shrink import Net

MULTIPLE = 32  # ranks are multiples of it: a block of four bits, what is left of one is filled up
DAMP = 0.01  # times the mean of the moments' diagonal, added to it
CLIPS_BATCHES, CLIPS_SECONDS = 12, 80.0  # what the inputs are measured on: batches, and seconds of audio in each
ZIPF = 300  # row i of a vocabulary counts 1 / (i + this): BPE numbers tokens by frequency (Zipf-Mandelbrot)
INPUT_SHARE = 0.2  # of the embedding's moments: as rows that the decoder reads, not only as what it writes with

# Runs all of the networks on every batch of the calibration clips, and calls the function after each batch.
Run = Callable[[Sequence[Network], Callable[[], None]], None]


def ranks_of(config: Any, shares: Mapping[str, float]) -> dict[str, int]:
    """The rank of every matrix that a pattern of `shares` names, so that it has at most that share of its values.

    Later patterns win; a share of 1 leaves a matrix whole.

    Raises:
        SecateurError: a family without factored matrices, a pattern that matches none, a share that leaves no rank.
    """
    if not hasattr(config, "ranks"):
        raise SecateurError(f"low_rank: a model of the family '{config.family}' has no factored matrices")
    shapes, chosen = config.matrices, dict[str, float]()
    for pattern, share in shares.items():
        names = [name for name in shapes if fnmatchcase(name, pattern)]
        if not names:
            raise SecateurError(f"low_rank: no matrix matches '{pattern}'{nearest(pattern, shapes)}")
        chosen |= dict.fromkeys(names, share)
    ranks = {}
    for name, share in chosen.items():
        outputs, inputs = shapes[name]
        if name in config.ranks and name == EMBEDDING and config.conv_outputs:  # as wide as before the width was cut
            inputs = config.ranks[name]
        elif name in config.ranks:
            raise SecateurError(f"low_rank: {name} is factored already, with rank {config.ranks[name]}")
        most = share * outputs * inputs / (outputs + inputs)
        rank = int(most) // MULTIPLE * MULTIPLE or int(most)
        if rank < 1:
            raise SecateurError(f"low_rank: {share:g} of {name} ({outputs} x {inputs}) is less than one rank")
        if share < 1 and rank < min(outputs, inputs):
            ranks[name] = rank
    return ranks


def factors(weight: Tensor, moments: Tensor, rank: int, counts: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """`expand` (out, rank) and `reduce` (rank, in) whose product is nearest to `weight` (out, in) on inputs with second
    `moments` (in, in); errors of an output count `counts` (out,) times."""
    weight, moments = weight.double(), moments.double()
    by_row = torch.ones(len(weight), 1, device=weight.device).double()
    if counts is not None:
        by_row = (counts.double() / counts.mean()).sqrt()[:, None]
    ridge = DAMP * float(moments.diagonal().mean()) + 1e-12
    root = torch.linalg.cholesky(moments + ridge * torch.eye(len(moments), device=moments.device).double())
    # The SVD of M = W L, where C = L L^T, from the eigenvectors of its smaller square.
    scaled = by_row * weight @ root
    wide = scaled.shape[0] < scaled.shape[1]
    squares, vectors = torch.linalg.eigh(scaled @ scaled.T if wide else scaled.T @ scaled)
    vectors = vectors.flip(1)[:, :rank]  # the largest first
    scale = squares.flip(0)[:rank].clamp_min(1e-24).sqrt().sqrt()  # of both, so that they are of one size
    expand = vectors * scale if wide else scaled @ vectors / scale
    right = (scaled.T @ vectors / scale if wide else vectors * scale).T  # times L^-1 from the right
    reduce = torch.linalg.solve_triangular(root, right, upper=False, left=False)
    return expand / by_row, reduce


@torch.no_grad()
def factored(model: Net, ranks: Mapping[str, int], run: Run) -> Net:
    """A copy of `model` with the matrices in `ranks` factored, by the inputs that `run` gives, and healed by them."""
    if not ranks:
        return model
    with _inputs(model, list(ranks)) as inputs:
        moments = _Moments(inputs)
        run([model], moments.add)
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    for name, rank in ranks.items():
        weight = state.pop(f"{name}.weight")
        second = moments.sums[name][:-1, :-1]
        counts = None
        if name == EMBEDDING:  # the rows are also read as they are, the frequent ones first
            counts = 1 / (torch.arange(len(weight), device=weight.device) + ZIPF)
            counts[model.config.tokens.end :] = counts[0]  # special tokens
            rows = (weight * counts[:, None]).double().T @ weight.double()
            second = second / second.trace() + INPUT_SHARE * rows / rows.trace()
        expand, reduce = (part.float() for part in factors(weight, second, rank, counts))
        if name == EMBEDDING:
            before = state.get(f"{PROJECTION}.weight")
            projection = reduce.T.contiguous() if before is None else before @ reduce.T
            state[f"{name}.weight"], state[f"{PROJECTION}.weight"] = expand, projection
            for part in (f"{READOUT}.{leaf}" for leaf in ("weight", "bias")):
                if part in state:
                    state[part] = reduce @ state[part]
            continue
        state[f"{name}.expand.weight"], state[f"{name}.reduce.weight"] = expand, reduce
        if f"{name}.bias" in state:
            state[f"{name}.expand.bias"] = state.pop(f"{name}.bias")
    small = with_ranks(model, {**model.config.ranks, **ranks})
    small.load_state_dict(state)
    if layers := [name for name in ranks if name != EMBEDDING]:
        heal(model, small, layers, run)
    return small


@torch.no_grad()
def heal(whole: Network, small: Network, names: Sequence[str], run: Run) -> None:
    """Refit second factors and biases of `small`, by least squares, to the outputs that `whole` has on the same clips.

    Minimises E|W x + b - (V z + c)|^2 + ridge |V - V_0|^2, where x is what the whole model reads there and z = reduce
    x' what the factored one does, whose x' has the errors of all layers before.
    """
    with _inputs(whole, names) as before, _inputs(small, names) as after:
        pairs = _Pairs(small, before, after)
        run([whole, small], pairs.add)
    for name in names:
        layer = small.get_submodule(name)
        assert isinstance(layer, FactoredLinear)
        original = whole.get_submodule(name)
        assert isinstance(original, nn.Linear)
        weight = original.weight.double()
        target = weight if original.bias is None else torch.cat([weight, original.bias.double()[:, None]], 1)
        gram, cross = pairs.gram[name], pairs.cross[name]  # (rank + 1, rank + 1), (in + 1, rank + 1)
        has_bias = original.bias is not None
        if not has_bias:
            gram, cross = gram[:-1, :-1], cross[:-1, :-1]
        expand = layer.expand.weight.double()
        start = expand if not has_bias else torch.cat([expand, layer.expand.bias.double()[:, None]], 1)
        ridge = DAMP * float(gram.diagonal().mean()) + 1e-12
        eye = ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        solved = torch.linalg.solve(gram + eye, (target @ cross + ridge * start).T).T
        layer.expand.weight.copy_(solved[:, : expand.shape[1]])
        if has_bias:
            layer.expand.bias.copy_(solved[:, -1])


def run_on_clips(model: Network, tokenizer: TextCodec, data: JobData) -> Run:
    """Runs networks that read and write what `model` does on clips of the training and rehearsal sets."""

    def run(networks: Sequence[Network], after: Callable[[], None]) -> None:
        clips = joined(data.training, data.rehearsal)
        objective, batches = training_batches(model, tokenizer, data, clips, CLIPS_BATCHES, CLIPS_SECONDS)
        for batch in batches:
            for network in networks:
                objective(network, batch, TrainSettings(mix=None))
            after()

    return run


def multiplied_out(model: Net) -> Net:
    """`model` with every product multiplied out to one matrix, for formats that know no factors; others as they are."""
    ranks = dict(getattr(model.config, "ranks", {}))
    kept = {EMBEDDING: ranks[EMBEDDING]} if f"{READOUT}.weight" in model.state_dict() else {}
    if ranks == kept:
        return model
    plain = with_ranks(model, kept)
    plain.load_state_dict(multiplied_state(model))
    return plain


def with_ranks(model: Net, ranks: dict[str, int]) -> Net:
    """A network of the same widths with `ranks`, its values yet to be loaded."""
    small = type(model)(replace(model.config, ranks=ranks))
    small.dropout.p = model.dropout.p
    return small.to(next(model.parameters()).device).train(model.training)


@contextmanager
def _inputs(model: Network, names: Sequence[str]) -> Iterator[dict[str, list[Tensor]]]:
    """What each matrix has read since the dictionary was last cleared; the embedding reads what logits are made of."""
    seen: dict[str, list[Tensor]] = {}

    def hook_of(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen.setdefault(name, []).append(arguments[0].detach().flatten(0, -2).float())

        return hook

    handles = []
    for name in names:
        if name == EMBEDDING:
            record = hook_of(name)
            last = model.get_submodule(READOUT if f"{READOUT}.weight" in model.state_dict() else "decoder.norm")
            handles.append(last.register_forward_hook(lambda module, _, output, r=record: r(module, (output,))))
        else:
            handles.append(model.get_submodule(name).register_forward_pre_hook(hook_of(name)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _with_one(x: Tensor) -> Tensor:
    return torch.cat([x, x.new_ones(len(x), 1)], 1).double()


class _Moments:
    """Sums of [x, 1][x, 1]^T, (in + 1, in + 1), of each matrix's inputs."""

    def __init__(self, inputs: dict[str, list[Tensor]]) -> None:
        self.inputs, self.sums = inputs, dict[str, Tensor]()

    def add(self) -> None:
        """Add what was read and forget it."""
        for name, parts in self.inputs.items():
            x = _with_one(torch.cat(parts))
            self.sums[name] = self.sums.get(name, 0) + x.T @ x
        self.inputs.clear()


class _Pairs:
    """Of each matrix: sums of [z, 1][z, 1]^T and of [x, 1][z, 1]^T, see `heal`."""

    def __init__(self, small: Network, before: dict[str, list[Tensor]], after: dict[str, list[Tensor]]) -> None:
        self.small, self.before, self.after = small, before, after
        self.gram, self.cross = dict[str, Tensor](), dict[str, Tensor]()

    def add(self) -> None:
        """Add what both have read and forget it."""
        for name, parts in self.before.items():
            layer = self.small.get_submodule(name)
            assert isinstance(layer, FactoredLinear)
            z = _with_one(layer.reduce(torch.cat(self.after[name])))
            self.gram[name] = self.gram.get(name, 0) + z.T @ z
            self.cross[name] = self.cross.get(name, 0) + _with_one(torch.cat(parts)).T @ z
        self.before.clear()
        self.after.clear()
