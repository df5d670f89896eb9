"""The checkpoint's contract of a `transformers` CTC model: its own config, and every width that pruning changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ...base.errors import SecateurError
from ...base.files import Json
from ...features.front_end import FrontEnd, front_end
from ...models.family import FORMAT
from ...models.frame_merging import MergingConfig
from .widths import WAV2VEC2, BlockNames, BlockWidths, Keep, LayerWidths

FRONT_END = front_end("waveform", normalise="mean_variance")
# Keys that the fields below hold; the rest of a transformers config is kept as `settings`.
OWN_KEYS = (
    "model_type", "conv_dim", "num_feat_extract_layers", "num_hidden_layers", "num_attention_heads",
    "intermediate_size", "vocab_size", "pad_token_id", "architectures", "transformers_version", "torch_dtype", "dtype",
    "_name_or_path", "_attn_implementation", "id2label", "label2id", "gradient_checkpointing",
)  # fmt: skip
# Supported values of keys that change the layers.
SUPPORTED: dict[str, tuple[Any, ...]] = {
    "add_adapter": (False,), "adapter_attn_dim": (None,), "conv_pos_batch_norm": (False,),
    "hidden_act": ("gelu", "swish", "silu"), "feat_extract_activation": ("gelu",), "layer_norm_eps": (1e-5,),
    "position_embeddings_type": ("relative", "rotary", None),
}  # fmt: skip
CONFORMER = "wav2vec2-conformer"
UNEVEN = "similar frames have no even distances, which its relative positions need: merge by mean or learned"


@dataclass(frozen=True)
class HfCtcConfig(MergingConfig):
    """Wav2Vec2ForCTC, HubertForCTC, WavLMForCTC or Wav2Vec2ConformerForCTC: `settings` are those of their own config
    that pruning leaves alone.

    Raises:
        ValueError: widths that no network can have, or a variant that is not known here.
    """

    units: int  # of the output; number 0 is the blank
    kind: Literal["wav2vec2", "hubert", "wavlm", "wav2vec2-conformer"]
    head_size: int
    convs: tuple[int, ...]  # channels of the feature encoder's convolutions
    layers: tuple[LayerWidths | BlockWidths, ...]
    positions: tuple[int, ...] = ()  # groups of the position convolution that were kept; empty: all
    settings: Json = field(default_factory=dict)
    front_end: FrontEnd = FRONT_END
    name: str = "hf-ctc"
    family: str = "hf_ctc"
    format: int = FORMAT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.merge_similar and self.distance == "relative":
            raise ValueError(UNEVEN)
        if self.units < 2 or not self.layers or not self.convs:
            raise ValueError("a CTC model needs two units, a convolution and a layer at least")
        if {type(layer) for layer in self.layers} != {BlockWidths if self.conformer else LayerWidths}:
            raise ValueError("layers of another kind than the model's")
        widths = [n for layer in self.layers for n in vars(layer).values() if isinstance(n, int)]
        if min([self.head_size, *self.convs, *widths]) < 1:
            raise ValueError("every width must be at least 1")
        if not len(self.convs) == len(self.kernels) == len(self.strides):
            raise ValueError("conv_dim, conv_kernel and conv_stride must be equally long")
        for layer in self.layers if self.kind == "wavlm" else ():
            if layer.heads < self.all_heads and len(getattr(layer, "kept", ())) != layer.heads:
                raise ValueError("a layer of WavLM with fewer heads must list which it kept")
        if self.positions and not set(self.positions) <= set(range(self.position_taps[1])):
            raise ValueError(f"positions are numbers from 0 to {self.position_taps[1] - 1}")
        for name, usual in SUPPORTED.items():
            if self.settings.get(name, usual[0]) not in usual:
                known = " or ".join(map(repr, usual))
                raise ValueError(f"{name} {self.settings[name]!r} is not known here (known: {known})")

    @property
    def conformer(self) -> bool:
        """Whether its layers are Conformer blocks."""
        return self.kind == CONFORMER

    @property
    def body(self) -> str:
        """The name of everything but the output in `transformers`."""
        return self.kind.replace("-", "_")

    @property
    def activation(self) -> str:
        """Between the two halves of a feed-forward, and in a block's convolution."""
        return "gelu" if self.settings.get("hidden_act", "gelu") == "gelu" else "silu"

    @property
    def distance(self) -> Literal["relative", "rotary"] | None:
        """The kind of a Conformer's position embeddings."""
        kind: Any = self.settings.get("position_embeddings_type", "relative") if self.conformer else None
        return kind  # type: ignore[no-any-return]

    @property
    def block_taps(self) -> int:
        """Taps of a block's convolution."""
        return int(self.settings.get("conv_depthwise_kernel_size", 31))

    @property
    def width(self) -> int:
        """Of the residual stream."""
        return int(self.settings.get("hidden_size", 768))

    @property
    def kernels(self) -> tuple[int, ...]:
        """Taps of the feature encoder's convolutions."""
        return tuple(self.settings.get("conv_kernel", (10, 3, 3, 3, 3, 2, 2)))

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the same."""
        return tuple(self.settings.get("conv_stride", (5, 2, 2, 2, 2, 2, 2)))

    @property
    def group_norm(self) -> bool:
        """Whether each channel of the first convolution is normalised by itself; else all of a frame are."""
        return bool(self.settings.get("feat_extract_norm", "group") == "group")

    @property
    def before(self) -> bool:
        """Whether layers are normalised before they compute ("stable layer norm") rather than after."""
        return bool(self.settings.get("do_stable_layer_norm", False))

    @property
    def position_taps(self) -> tuple[int, int]:
        """Taps and groups of the convolution that stands for positions."""
        taps = self.settings.get("num_conv_pos_embeddings", 128)
        return int(taps), int(self.settings.get("num_conv_pos_embedding_groups", 16))

    @property
    def kept_position_groups(self) -> tuple[int, ...]:
        """Groups of the position convolution that were kept."""
        return self.positions or tuple(range(self.position_taps[1]))

    @property
    def projection_norm(self) -> bool:
        """Whether what the convolutions give is normalised before it is projected."""
        return bool(self.kind != "hubert" or self.settings.get("feat_proj_layer_norm", True))

    @property
    def all_heads(self) -> int:
        """Heads of an unpruned layer."""
        return self.width // self.head_size

    @property
    def distances(self) -> tuple[int, int]:
        """Rows of WavLM's table of relative positions, and the distance in frames from which on all share one."""
        return int(self.settings.get("num_buckets", 320)), int(self.settings.get("max_bucket_distance", 800))

    @property
    def mask_vector(self) -> bool:
        """Whether the checkpoint has the mask embedding of pre-training."""
        return bool(self.settings.get("mask_time_prob", 0.05) > 0 or self.settings.get("mask_feature_prob", 0.0) > 0)

    @property
    def max_seconds(self) -> float:
        """Infinite: no clip is too long."""
        return math.inf

    @property
    def subsampled(self) -> int:
        """Samples to one frame of the output."""
        return math.prod(self.strides) * self.regular_merge

    @property
    def merge_layers(self) -> tuple[str, ...]:
        """See `MergingConfig`."""
        return tuple(f"net.{self.body}.encoder.layers.{i}" for i in range(len(self.layers)))

    @property
    def least(self) -> int:
        """The fewest samples that give a frame."""
        samples = 1
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples

    @property
    def uniform(self) -> bool:
        """Whether `transformers` itself can build this network: all layers alike, all heads and positions there."""
        first = self.layers[0]
        if self.positions:
            return False
        if isinstance(first, BlockWidths):
            return set(self.layers) == {BlockWidths(first.ffn1, self.all_heads, self.width, first.ffn1)}
        return set(self.layers) == {LayerWidths(self.all_heads, first.ffn)}

    def shorter(self, samples: int) -> int:
        """Frames that the layers read of a clip of so many samples, before any are merged."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples = max(samples - kernel + stride, 0) // stride
        return samples

    def with_front_end(self, front_end: FrontEnd) -> HfCtcConfig:
        """The config with another front-end.

        Raises:
            SecateurError: one that does not give samples.
        """
        if not front_end.by_sample:
            raise SecateurError("this model takes the samples themselves: it has no other features")
        return replace(self, front_end=front_end)

    def shrunk(self, keep: Keep) -> HfCtcConfig:
        """The config after surgery: `keep` maps group names (see `HfCtc.groups`) to the units that stay."""
        body = f"net.{self.body}"
        kept_layers = keep.get(f"{body}.encoder.layers", range(len(self.layers)))
        layers = tuple(self._shrunk(self.layers[i], keep, f"{body}.encoder.layers.{i}") for i in kept_layers)
        convs = [keep.get(f"{body}.feature_extractor.conv_layers.{i}") for i in range(len(self.convs))]
        channels = tuple(len(k) if k else n for k, n in zip(convs, self.convs, strict=True))
        positions = self.positions
        if f"{body}.encoder.pos_conv_embed" in keep:
            positions = tuple(self.kept_position_groups[unit] for unit in keep[f"{body}.encoder.pos_conv_embed"])
            positions = () if len(positions) == self.position_taps[1] else positions
        merging = self.merging_of(list(kept_layers))
        return replace(self, layers=layers, convs=channels, positions=positions, frame_merging=merging)

    def _shrunk(self, layer: LayerWidths | BlockWidths, keep: Keep, where: str) -> LayerWidths | BlockWidths:
        """One layer after surgery."""
        if isinstance(layer, BlockWidths):
            return layer.shrunk(keep, WAV2VEC2, where)
        heads, ffn = keep.get(f"{where}.attention"), keep.get(f"{where}.feed_forward")
        kept = layer.kept
        if heads and self.kind == "wavlm":
            before = layer.kept or tuple(range(layer.heads))
            kept = tuple(before[unit] for unit in heads)
            kept = () if len(kept) == self.all_heads else kept
        return LayerWidths(len(heads) if heads else layer.heads, len(ffn) if ffn else layer.ffn, kept)

    def theirs(self) -> Json:
        """The values of the `transformers` config; heads and feed-forward are as wide as in the first layer."""
        first = self.layers[0]
        ffn = first.ffn1 if isinstance(first, BlockWidths) else first.ffn
        return {
            **self.settings, "vocab_size": self.units, "pad_token_id": 0, "conv_dim": list(self.convs),
            "num_feat_extract_layers": len(self.convs), "num_hidden_layers": len(self.layers),
            "num_attention_heads": self.all_heads, "intermediate_size": ffn,
        }  # fmt: skip


def widths_of(config: HfCtcConfig) -> dict[str, str]:
    """See `Family.widths`."""
    return dict(_parts(config))


def _parts(config: HfCtcConfig) -> Iterator[tuple[str, str]]:
    body = f"net.{config.body}"
    for i, channels in enumerate(config.convs):
        yield f"{body}.feature_extractor.conv_layers.{i}.conv", f"{channels} channels"
    if not config.conformer:
        yield f"{body}.encoder.pos_conv_embed.conv", f"{len(config.kept_position_groups)} groups"
    for i, layer in enumerate(config.layers):
        where = f"{body}.encoder.layers.{i}"
        if isinstance(layer, BlockWidths):
            yield from block_widths(layer, WAV2VEC2, where)
            continue
        kept = f" (of {config.all_heads}: {', '.join(map(str, layer.kept))})" if layer.kept else ""
        yield f"{where}.attention", f"{layer.heads} heads{kept}"
        yield f"{where}.feed_forward", f"{layer.ffn} units"


def block_widths(widths: BlockWidths, names: BlockNames, where: str) -> Iterator[tuple[str, str]]:
    """Those of one Conformer block, which is called `where`."""
    first, second = names.ffns
    yield f"{where}.{first}", f"{widths.ffn1} units"
    yield f"{where}.{names.attention}", f"{widths.heads} heads"
    yield f"{where}.{names.conv}", f"{widths.conv} channels"
    yield f"{where}.{second}", f"{widths.ffn2} units"
