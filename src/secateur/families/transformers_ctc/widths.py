"""Widths of one layer, as numbers (no torch): a Transformer layer's, or a Conformer block's and the names of its
parts."""

from __future__ import annotations

from dataclasses import dataclass

Keep = dict[str, list[int]]


@dataclass(frozen=True)
class LayerWidths:
    """One Transformer layer: heads of attention and units of the feed-forward.

    `kept` lists which of the original heads were kept, where that matters (WavLM); empty: all.
    """

    heads: int
    ffn: int
    kept: tuple[int, ...] = ()


@dataclass(frozen=True)
class BlockWidths:
    """One Conformer block: units of its two feed-forwards, heads, and channels of its convolution."""

    ffn1: int
    heads: int
    conv: int
    ffn2: int

    def shrunk(self, keep: Keep, names: BlockNames, where: str) -> BlockWidths:
        """The widths of the block `where` after surgery."""

        def count(part: str, now: int) -> int:
            return len(keep.get(f"{where}.{part}", range(now)))

        first, second = names.ffns
        return BlockWidths(
            count(first, self.ffn1),
            count(names.attention, self.heads),
            count(names.conv, self.conv),
            count(second, self.ffn2),
        )


@dataclass(frozen=True)
class BlockNames:
    """What `transformers` calls the parts of one kind of Conformer block."""

    ffns: tuple[str, str]
    up: str
    down: str
    attention: str
    projections: tuple[str, str, str]  # queries, keys, values
    out: str
    positions: str  # the projection of relative positions
    biases: tuple[str, str]  # added to queries for content scores, and for position scores
    conv: str
    norm: str  # BatchNorm
    norms: tuple[str, str, str, str, str]  # LayerNorm before each of the four parts, and after the last


WAV2VEC2 = BlockNames(
    ffns=("ffn1", "ffn2"), up="intermediate_dense", down="output_dense", attention="self_attn",
    projections=("linear_q", "linear_k", "linear_v"), out="linear_out", positions="linear_pos",
    biases=("pos_bias_u", "pos_bias_v"), conv="conv_module", norm="batch_norm",
    norms=("ffn1_layer_norm", "self_attn_layer_norm", "conv_module.layer_norm", "ffn2_layer_norm", "final_layer_norm"),
)  # fmt: skip
PARAKEET = BlockNames(
    ffns=("feed_forward1", "feed_forward2"), up="linear1", down="linear2", attention="self_attn",
    projections=("q_proj", "k_proj", "v_proj"), out="o_proj", positions="relative_k_proj", biases=("bias_u", "bias_v"),
    conv="conv", norm="norm",
    norms=("norm_feed_forward1", "norm_self_att", "norm_conv", "norm_feed_forward2", "norm_out"),
)  # fmt: skip
