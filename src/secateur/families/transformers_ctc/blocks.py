"""Conformer blocks of `transformers` with any widths, and their prunable groups (Gulati et al. 2020, arXiv 2005.08100).

Heads take all their projections along, that of relative positions and the two biases of queries included; a channel of
the convolution is a pair of rows of the gated projection, its own taps, and BatchNorm's values.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.groups import Group, Place
from ..ctc.frames import BatchNorm
from .widths import BlockNames, BlockWidths


class MaskedBatchNorm(BatchNorm):
    """BatchNorm with the statistics of valid frames; `real` (batch, frames) is set before (None: all)."""

    real: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """(batch, channels, frames) to the same."""
        real = x.new_ones(len(x), x.shape[2], dtype=torch.bool) if self.real is None else self.real
        return super().forward(x, real)


class MaskedGlu(nn.Module):
    """A gated linear unit over channels that gives zero where frames are padding; `real` is set before."""

    real: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 2 * channels, frames) to (batch, channels, frames)."""
        x = F.glu(x, 1)
        return x if self.real is None else x * self.real[:, None]


def linear(old: nn.Linear, inputs: int, outputs: int) -> nn.Linear:
    """One like `old` with other widths; `old` itself where they are the same."""
    same = (old.in_features, old.out_features) == (inputs, outputs)
    return old if same else nn.Linear(inputs, outputs, old.bias is not None)


def resize_block(block: object, names: BlockNames, widths: BlockWidths, width: int, size: int) -> None:
    """Give a block of `transformers` its own widths; `width` is the residual stream's, `size` a head's."""
    for ffn, units in zip(names.ffns, (widths.ffn1, widths.ffn2), strict=True):
        forward = getattr(block, ffn)
        setattr(forward, names.up, linear(getattr(forward, names.up), width, units))
        setattr(forward, names.down, linear(getattr(forward, names.down), units, width))
    attention, inner = getattr(block, names.attention), widths.heads * size
    for part in (*names.projections, names.positions):
        if hasattr(attention, part):
            setattr(attention, part, linear(getattr(attention, part), width, inner))
    setattr(attention, names.out, linear(getattr(attention, names.out), inner, width))
    for bias in names.biases:
        if hasattr(attention, bias) and len(getattr(attention, bias)) != widths.heads:
            setattr(attention, bias, nn.Parameter(torch.zeros(widths.heads, size)))
    if hasattr(attention, "head_dim") and attention.config.num_attention_heads != widths.heads:
        attention.config = copy.copy(attention.config)  # Parakeet's reads its number of heads there
        attention.config.num_attention_heads = attention.config.num_key_value_heads = widths.heads
    conv, c = getattr(block, names.conv), widths.conv
    old = conv.depthwise_conv
    if old.out_channels == c:
        return
    biased, taps = old.bias is not None, old.kernel_size[0]
    conv.pointwise_conv1 = nn.Conv1d(width, 2 * c, 1, bias=conv.pointwise_conv1.bias is not None)
    conv.depthwise_conv = nn.Conv1d(c, c, taps, padding=old.padding, groups=c, bias=biased)
    setattr(conv, names.norm, nn.BatchNorm1d(c))
    conv.pointwise_conv2 = nn.Conv1d(c, width, 1, bias=conv.pointwise_conv2.bias is not None)


def mask_padding(block: object, names: BlockNames) -> list[MaskedBatchNorm | MaskedGlu]:
    """Make the block's convolution ignore padding, in training too; returns the modules whose `real` is to be set."""
    conv = getattr(block, names.conv)
    norm = MaskedBatchNorm(conv.depthwise_conv.out_channels)
    setattr(conv, names.norm, norm)
    if not hasattr(conv, "glu"):  # Parakeet's masks padding itself
        return [norm]
    conv.glu = MaskedGlu()
    return [norm, conv.glu]


def block_groups(block: Any, names: BlockNames, where: str, widths: BlockWidths, size: int) -> list[Group]:
    """Feed-forward units, heads and channels of the block that the network calls `where`."""
    parameters = dict(block.named_parameters())

    def rows(part: str, width: int = 1, leaves: tuple[str, ...] = (".weight", ".bias")) -> list[Place]:
        return [Place(f"{where}.{part}{leaf}", 0, width) for leaf in leaves if f"{part}{leaf}" in parameters]

    def reads(part: str, width: int = 1) -> Place:
        return Place(f"{where}.{part}.weight", 1, width, reads=True)

    members = []
    for ffn, units in zip(names.ffns, (widths.ffn1, widths.ffn2), strict=True):
        places = (*rows(f"{ffn}.{names.up}"), reads(f"{ffn}.{names.down}"))
        members.append(Group(f"{where}.{ffn}", "ffn", units, places))
    attention, conv = names.attention, names.conv
    heads = [p for part in (*names.projections, names.positions) for p in rows(f"{attention}.{part}", size)]
    heads += [p for bias in names.biases for p in rows(f"{attention}.{bias}", leaves=("",))]
    heads.append(reads(f"{attention}.{names.out}", size))
    members.append(Group(f"{where}.{attention}", "head", widths.heads, tuple(heads)))
    pairs = [
        Place(place.parameter, 0, start=half * widths.conv)
        for place in rows(f"{conv}.pointwise_conv1")
        for half in range(2)
    ]
    places = (
        *pairs,
        *rows(f"{conv}.depthwise_conv"),
        *BatchNorm.places(f"{where}.{conv}.{names.norm}"),
        reads(f"{conv}.pointwise_conv2"),
    )
    members.append(Group(f"{where}.{conv}", "conv", widths.conv, places, minimum=4))
    return members


def layer_group(stack: str, layers: Any) -> Group:
    """Whole layers of `layers`, which the network calls `stack`; each has a `gate`."""
    places = (
        Place(f"{stack}.{i}.{n}", 0, unit=i)
        for i, parameters in enumerate(layers)
        for n, _ in parameters.named_parameters()
    )
    return Group(stack, "layer", len(layers), tuple(places))


def gated(layer: nn.Module, inputs: tuple[Any, ...], output: object) -> Any:
    """A layer's output, or its input where its gate is zero (a hook)."""
    gate: Any = layer.gate
    first, *rest = output if isinstance(output, tuple) else (output,)  # WavLM passes its position bias on
    passed = gate * first + (1 - gate) * inputs[0]
    return (passed, *rest) if rest else passed


def with_gates(layers: Any) -> None:
    """Give every layer a `gate` that passes its input through once it is zero: a layer that ends in a norm has no
    weights whose zeros would."""
    for layer in layers:
        layer.gate = nn.Parameter(torch.ones(1), requires_grad=False)
        layer.register_forward_hook(gated)
