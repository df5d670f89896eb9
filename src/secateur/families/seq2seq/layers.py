"""Pre-norm layers of encoder and decoder, around whatever attention and feed-forward a family has.

An attention is a module with `keys_values(x, start)`, `forward(x, keys, values, mask, causal, start)`,
`scores(x, keys, mask)` and `groups()`; `start` is the position of the first of `x`, or those of all (1 or batch,
length) where frames are merged, for families that rotate by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.frame_merging import SHORT
from ...models.groups import Group, Place, prefixed
from ...models.token_network import LayerCache

FAR = 1 << 20  # a frame beyond any clip


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Tensor:
    """Queries (batch, heads, n, dim) among keys and values (batch, heads, length, dim): (batch, n, heads * dim).

    `mask` is True where attention is allowed. Queries may have several times the rows of `keys`, one set after the
    other: variants with the same audio, whose keys and values are then read once for all.
    """
    times = len(queries) // len(keys)
    if times > 1:
        queries = queries.reshape(times, -1, *queries.shape[1:]).permute(1, 2, 0, 3, 4).flatten(2, 3)
    attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=causal, scale=scale)
    if times > 1:
        attended = attended.reshape(*queries.shape[:2], times, -1, attended.shape[3])
        attended = attended.permute(2, 0, 1, 3, 4).flatten(0, 1)
    return attended.transpose(1, 2).flatten(2)


def picked(values: Tensor, frames: Tensor, dim: int = 1) -> Tensor:
    """`values` (1 or batch, ...) at `frames` (1 or batch, n), which stand along `dim`; the last for those beyond."""
    rows = max(len(values), len(frames))
    frames = frames.clamp_max(values.shape[dim] - 1).expand(rows, -1)
    shape = [1] * values.dim()
    shape[0], shape[dim] = frames.shape
    target = [rows, *values.shape[1:]]
    target[dim] = frames.shape[1]
    return values.expand(rows, *values.shape[1:]).gather(dim, frames.reshape(shape).expand(target))


class Merge(nn.Module):
    """What merges frames of an encoder, by `factor` (1: not at all)."""

    factor: float
    similar = False

    def starts(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
        """The frames (batch, left, width) of (batch, frames, width) that are left, their attention mask, and the first
        frame (1 or batch, left) in each."""
        raise NotImplementedError

    def after(self, x: Tensor, valid: Tensor | None, at: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """`x` (batch, frames, width) and its attention mask merged, and `at` (1 or batch, frames): of the frames before
        all merges the first in each, None while nothing is merged."""
        if self.factor == 1:
            return x, valid, at
        length = x.shape[1]
        x, valid, first = self.starts(x, valid)
        if at is None:
            return x, valid, first
        return x, valid, torch.where(first < length, picked(at, first), FAR)

    @staticmethod
    def places(at: Tensor, length: int) -> Tensor:
        """The position (1 or batch, length) that each of `length` first frames went into; see `after` for `at`."""
        frames = torch.arange(length, device=at.device).expand(len(at), -1).contiguous()
        return torch.searchsorted(at.contiguous(), frames, right=True) - 1


class FrameMerge(Merge):
    """Merges every `factor` frames into one, see `models.frame_merging`.

    `width` makes it trained, with a weight for each frame of a window and each channel.
    """

    weight: nn.Parameter | None

    def __init__(self, factor: int, width: int | None = None) -> None:
        super().__init__()
        self.factor = factor
        weight = None if width is None or factor == 1 else nn.Parameter(torch.full((factor, width), 1 / factor))
        self.register_parameter("weight", weight)

    def starts(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
        """See `Merge`."""
        x, valid = self(x, valid)
        return x, valid, torch.arange(x.shape[1], device=x.device)[None] * self.factor

    def forward(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames, width) and its attention mask (batch, frames) to (batch, ceil(frames / factor), width)."""
        f = int(self.factor)
        if f == 1:
            return x, valid
        length = x.shape[1]
        windows = -(-length // f)
        index = torch.arange(windows * f, device=x.device)
        if valid is None:
            x = x[:, index.clamp_max(length - 1)] if windows * f > length else x
        else:
            last = valid.sum(1, keepdim=True).clamp_min(1) - 1
            index = torch.minimum(index[None], last)
            x = x.gather(1, index[:, :, None].expand(-1, -1, x.shape[2]))
            valid = valid[:, ::f]
        x = x.reshape(len(x), windows, f, x.shape[2])
        return (x.mean(2) if self.weight is None else (x * self.weight).sum(2)), valid


class SimilarFrameMerge(Merge):
    """Merges the most alike neighbours until `ceil(frames / factor)` are left, see `models.frame_merging`."""

    similar = True

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames, width) and its attention mask (batch, frames) to (batch, at least ceil(frames / factor),
        width)."""
        x, valid, _ = self.traced(x, valid)
        return x, valid

    def starts(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
        """See `Merge`; `FAR` in padding."""
        x, valid, place = self.traced(x, valid)
        frame = torch.arange(place.shape[1], device=x.device)
        begins = F.pad(place[:, 1:] != place[:, :-1], (1, 0), value=True)
        return x, valid, torch.where(begins, frame, FAR).sort(1).values[:, : x.shape[1]]

    def traced(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
        """`forward`, and the position (batch, frames) that each frame went into."""
        batch, length, _ = x.shape
        frame = torch.arange(length, device=x.device).expand(batch, length)
        if self.factor == 1 or length < 2:
            return x, valid, frame
        counts = valid.sum(1, keepdim=True) if valid is not None else frame.new_full((batch, 1), length)
        kept = torch.ceil(counts.double() / self.factor - SHORT).long()
        into = self._absorbed(x, counts, kept)  # -1, 0 or 1: the neighbour that a frame goes into, 0 if it stays
        stays = (into == 0) & (frame < counts)
        index = (stays.cumsum(1) - 1).clamp_min(0)  # of those that stay: their place
        place = index.gather(1, (frame + into).clamp(0, length - 1))
        # Each frame that stays, with its neighbours if they went into it: no more than three rows are added.
        left = F.pad(into == 1, (1, 0))[:, :-1, None].to(x.dtype)
        right = F.pad(into == -1, (0, 1))[:, 1:, None].to(x.dtype)
        total = x + left * F.pad(x, (0, 0, 1, 0))[:, :-1] + right * F.pad(x, (0, 0, 0, 1))[:, 1:]
        means = total / (1 + left + right)
        rows = torch.where(stays, frame, frame + length).sort(1).indices[:, : int(kept.max())]
        x = means.gather(1, rows[:, :, None].expand(-1, -1, x.shape[2]))
        if valid is not None:
            valid = torch.arange(x.shape[1], device=x.device) < kept
        return x, valid, place

    @staticmethod
    def _absorbed(x: Tensor, counts: Tensor, kept: Tensor) -> Tensor:
        """-1, 0 or 1 for every frame (batch, frames): `counts - kept` of the odd ones go to the left or right."""
        length = x.shape[1]
        frame = torch.arange(length, device=x.device)[None]
        normed = F.normalize(x.detach().float(), dim=2)
        alike = (normed[:, :-1] * normed[:, 1:]).sum(2)  # of a frame and the next one
        before = F.pad(alike, (1, 0), value=-2.0)
        after = F.pad(alike, (0, 1), value=-2.0).masked_fill(frame + 1 >= counts, -2.0)
        best = torch.maximum(before, after).masked_fill((frame % 2 == 0) | (frame >= counts), -3.0)
        order = best.sort(dim=1, descending=True, stable=True).indices
        rank = torch.empty_like(order).scatter_(1, order, frame.expand_as(order))
        goes = rank < counts - kept
        return torch.where(goes, torch.where(after > before, 1, -1), 0)


def frame_merges(
    factors: Sequence[float], width: int | Sequence[int] | None = None, similar: bool = False
) -> nn.ModuleList:
    """A merge for every factor; `width`, one or theirs, makes them trained."""
    if similar:
        return nn.ModuleList(SimilarFrameMerge(factor) for factor in factors)
    widths = width if isinstance(width, Sequence) else [width] * len(factors)
    return nn.ModuleList(FrameMerge(int(factor), width) for factor, width in zip(factors, widths, strict=True))


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and feed-forward."""

    attention: Any
    ffn: Any

    def __init__(self, attention: nn.Module, ffn: nn.Module, norm: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.attention_norm = norm()
        self.attention = attention
        self.ffn_norm = norm()
        self.ffn = ffn

    def forward(self, x: Tensor, mask: Tensor | None, drop: nn.Dropout, start: int | Tensor = 0) -> Tensor:
        """(batch, positions, width) to the same."""
        normed = self.attention_norm(x)
        x = x + drop(self.attention(normed, *self.attention.keys_values(normed, start), mask, start=start))
        return x + drop(self.ffn(self.ffn_norm(x)))  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """The groups of attention and feed-forward."""
        return prefixed(self.attention.groups(), "attention") + prefixed(self.ffn.groups(), "ffn")


class DecoderLayer(nn.Module):
    """Pre-norm causal self-attention, cross-attention to the encoder, feed-forward."""

    self_attention: Any
    cross_attention: Any
    ffn: Any

    def __init__(
        self, self_attention: nn.Module, cross_attention: nn.Module, ffn: nn.Module, norm: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        self.self_attention_norm = norm()
        self.self_attention = self_attention
        self.cross_attention_norm = norm()
        self.cross_attention = cross_attention
        self.ffn_norm = norm()
        self.ffn = ffn

    def forward(self, x: Tensor, cache: LayerCache, memory_mask: Tensor | None, drop: nn.Dropout) -> Tensor:
        """(batch, length, width) to the same; `cache` is read and extended."""
        normed = self.self_attention_norm(x)
        length, past = x.shape[1], cache.past
        keys, values = cache.extend(*self.self_attention.keys_values(normed, past))
        causal = None
        if past and length > 1:  # several new tokens after old ones: each attends to all old ones and its predecessors
            causal = torch.ones(length, past + length, dtype=torch.bool, device=x.device).tril(past)
        x = x + drop(self.self_attention(normed, keys, values, causal, not past and length > 1, past))
        normed = self.cross_attention_norm(x)
        x = x + drop(self.cross_attention(normed, cache.cross_keys, cache.cross_values, memory_mask))
        return x + drop(self.ffn(self.ffn_norm(x)))  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """The groups of both attentions and of the feed-forward."""
        return (
            prefixed(self.self_attention.groups(), "self_attention")
            + prefixed(self.cross_attention.groups(), "cross_attention")
            + prefixed(self.ffn.groups(), "ffn")
        )


def layer_groups(model: nn.Module) -> list[Group]:
    """Whole layers of both sides, and the groups of every layer."""
    members = []
    for side, branches in (("encoder", ("attention",)), ("decoder", ("self_attention", "cross_attention"))):
        layers = model.get_submodule(f"{side}.layers")
        assert isinstance(layers, nn.ModuleList)
        places = []
        for i, layer in enumerate(layers):
            # A layer whose branches all add zero equals no layer.
            parameters = dict(layer.named_parameters())
            outs = [f"{branch}.out" for branch in branches] + ["ffn.down"]
            ends = [f"{out}{part}.{p}" for out in outs for part in ("", ".expand") for p in ("weight", "bias")]
            places += [Place(f"{side}.layers.{i}.{end}", 0, unit=i) for end in ends if end in parameters]
        members.append(Group(f"{side}.layers", "layer", len(layers), tuple(places)))
        for i, layer in enumerate(layers):
            members += prefixed(layer.groups(), f"{side}.layers.{i}")  # type: ignore[operator]
    return members
