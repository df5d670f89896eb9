"""WavLM's attention with gated relative position bias (Chen et al. 2021, arXiv 2110.13900), with any heads.

In `transformers` the first layer owns the table of distances that all share, and every head gates it by its own slice
of the stream. Here the encoder owns the table, so that any layer can be removed, and an attention lists the heads it
kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GATES = 8  # values that a head's two gates are summed from


def buckets_of(distances: Tensor, buckets: int, farthest: int) -> Tensor:
    """The row of the table for each of `distances` (frames, key minus query): near ones have their own."""
    half = buckets // 2
    exact = half // 2
    distance = distances.abs()
    far = torch.log(distance.clamp_min(1).float() / exact) / math.log(farthest / exact) * (half - exact)
    far = (exact + far).long().clamp_max(half - 1)
    return (distances > 0).long() * half + torch.where(distance < exact, distance, far)


class WavLmAttention(nn.Module):
    """Heads `kept` out of `heads` of `size` dimensions each; parameters are named as in `transformers`."""

    def __init__(self, width: int, size: int, kept: Sequence[int], farthest: int, table: nn.Embedding) -> None:
        super().__init__()
        inner = len(kept) * size
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, width)
        self.gru_rel_pos_const = nn.Parameter(torch.ones(1, len(kept), 1, 1))
        self.gru_rel_pos_linear = nn.Linear(size, GATES)
        self.size, self.kept, self.farthest = size, list(kept), farthest
        self._shared = [table]  # the encoder's, in a list so that it is not stored again here

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, position_bias: Tensor | None = None,
        at: Tensor | None = None, **unused: object,
    ) -> tuple[Tensor, None, Tensor]:  # fmt: skip
        """(batch, frames, width) to the same; `attention_mask` (batch, frames) is true where frames are real, and
        `position_bias` (1 or batch, all heads, frames, frames) is made by the first layer and handed on; `at` (1 or
        batch, frames) is where frames are that were merged."""
        x, (batch, length, _) = hidden_states, hidden_states.shape
        if position_bias is None:
            steps = torch.arange(length, device=x.device)[None] if at is None else at
            table = self._shared[0]
            rows = buckets_of(steps[:, None] - steps[:, :, None], table.num_embeddings, self.farthest)
            position_bias = table(rows).permute(0, 3, 1, 2)
        query, key, value = (
            part(x).view(batch, length, -1, self.size).transpose(1, 2)
            for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        slices = x.view(batch, length, -1, self.size)[:, :, self.kept].transpose(1, 2)
        gates = self.gru_rel_pos_linear(slices).unflatten(-1, (2, GATES // 2)).sum(-1)
        first, second = gates.sigmoid().chunk(2, -1)
        gate = first * (second * self.gru_rel_pos_const - 1) + 2
        bias = gate * position_bias[:, self.kept]
        if attention_mask is not None:
            bias = bias.masked_fill(~attention_mask.bool()[:, None, None], -torch.inf)
        attended = F.scaled_dot_product_attention(query, key, value, bias.to(query.dtype))
        return self.out_proj(attended.transpose(1, 2).flatten(2)), None, position_bias
