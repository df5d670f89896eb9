"""The checkpoint's contract of a ParakeetForCTC: its encoder's own settings, and every width that pruning changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ...base.errors import SecateurError
from ...base.files import Json
from ...features.front_end import FrontEnd, front_end
from ...models.family import FORMAT
from ...models.frame_merging import MergingConfig
from ..transformers_ctc.config import UNEVEN, block_widths
from ..transformers_ctc.widths import PARAKEET, BlockWidths, Keep

FRONT_END = front_end("nemo")
# Keys that the fields below hold; the rest of the encoder's config is kept as `settings`.
OWN_KEYS = (
    "model_type", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size",
    "subsampling_conv_channels", "subsampling_factor", "num_mel_bins", "architectures", "transformers_version",
    "torch_dtype", "dtype", "_name_or_path", "_attn_implementation", "id2label", "label2id", "problem_type",
    "output_hidden_states", "return_dict", "output_attentions", "chunk_size_feed_forward", "is_encoder_decoder",
)  # fmt: skip
# Supported values of keys that change the layers.
SUPPORTED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "subsampling_conv_kernel_size": (3,),
    "subsampling_conv_stride": (2,),
}


@dataclass(frozen=True)
class ParakeetConfig(MergingConfig):
    """`convs` are channels of the subsampling, each of whose convolutions halves time and frequency.

    Raises:
        ValueError: widths that no network can have, or a variant that is not known here.
    """

    units: int  # of the output; number 0 is the blank
    width: int  # of the residual stream
    head_size: int
    convs: tuple[int, ...]
    layers: tuple[BlockWidths, ...]
    settings: Json = field(default_factory=dict)
    front_end: FrontEnd = FRONT_END
    name: str = "parakeet"
    family: str = "parakeet"
    format: int = FORMAT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.merge_similar:
            raise ValueError(UNEVEN)
        if self.units < 2 or not self.layers or not self.convs:
            raise ValueError("a CTC model needs two units, a convolution and a layer at least")
        widths = [n for layer in self.layers for n in vars(layer).values()]
        if min([self.head_size, self.width, *self.convs, *widths]) < 1:
            raise ValueError("every width must be at least 1")
        if self.front_end.kind != FRONT_END.kind or self.front_end.bins % self.stride:
            raise ValueError(f"its features are of the kind 'nemo', with a multiple of {self.stride} bins")
        for name, usual in SUPPORTED.items():
            if self.settings.get(name, usual[0]) not in usual:
                raise ValueError(f"{name} {self.settings[name]!r} is not known here (known: {usual[0]!r})")

    @property
    def lines(self) -> int:
        """Frequency lines after subsampling."""
        return self.front_end.bins // self.stride

    @property
    def stride(self) -> int:
        """Frames of features to one that the blocks read."""
        return 1 << len(self.convs)

    @property
    def subsampled(self) -> int:
        """Frames of features to one of the output."""
        return self.stride * self.regular_merge

    @property
    def merge_layers(self) -> tuple[str, ...]:
        """See `MergingConfig`."""
        return tuple(f"net.encoder.layers.{i}" for i in range(len(self.layers)))

    @property
    def taps(self) -> int:
        """Taps of a block's convolution."""
        return int(self.settings.get("conv_kernel_size", 9))

    @property
    def biases(self) -> tuple[bool, bool]:
        """Whether linear layers, and a block's convolutions, have biases."""
        return bool(self.settings.get("attention_bias", True)), bool(self.settings.get("convolution_bias", True))

    @property
    def input_scale(self) -> float:
        """What the first block's input is multiplied by."""
        return math.sqrt(self.width) if self.settings.get("scale_input", True) else 1.0

    @property
    def max_seconds(self) -> float:
        """Infinite: no clip is too long."""
        return math.inf

    @property
    def uniform(self) -> bool:
        """Whether `transformers` itself can build this network: all blocks alike, their convolution as wide as the
        stream, one number of channels in the subsampling (heads may be fewer)."""
        first = self.layers[0]
        alike = BlockWidths(first.ffn1, first.heads, self.width, first.ffn1)
        return set(self.layers) == {alike} and len(set(self.convs)) == 1

    def shorter(self, frames: int) -> int:
        """Frames that the blocks read of so many frames of features, before any are merged."""
        for _ in self.convs:
            frames = (frames + 1) // 2
        return frames

    def with_front_end(self, front_end: FrontEnd) -> ParakeetConfig:
        """The config with another front-end.

        Raises:
            SecateurError: any other, since 2-D convolutions read the bins and positions are counted in frames.
        """
        if front_end != self.front_end:
            raise SecateurError("Parakeet's bins are a picture and its positions are counted in frames: neither can go")
        return self

    def shrunk(self, keep: Keep) -> ParakeetConfig:
        """The config after surgery: `keep` maps group names (see `Parakeet.groups`) to the units that stay."""
        stack = "net.encoder.layers"
        kept_layers = keep.get(stack, range(len(self.layers)))
        layers = tuple(self.layers[i].shrunk(keep, PARAKEET, f"{stack}.{i}") for i in kept_layers)
        convs = [keep.get(f"net.encoder.subsampling.{i}") for i in range(len(self.convs))]
        channels = tuple(len(k) if k else n for k, n in zip(convs, self.convs, strict=True))
        return replace(self, layers=layers, convs=channels, frame_merging=self.merging_of(list(kept_layers)))

    def theirs(self) -> Json:
        """The values of the `transformers` encoder config; every block as wide as the first, but for its
        convolution, and the subsampling as wide as its first layer."""
        first = self.layers[0]
        return {
            **self.settings, "hidden_size": self.width, "head_dim": self.head_size, "num_attention_heads": first.heads,
            "num_hidden_layers": len(self.layers), "intermediate_size": first.ffn1,
            "subsampling_conv_channels": self.convs[0], "subsampling_factor": self.stride,
            "num_mel_bins": self.front_end.bins,
        }  # fmt: skip


def depthwise(i: int) -> int:
    """Where in the subsampling's list the depthwise convolution of stage `i` > 0 is; the pointwise one is next."""
    return 3 * i - 1


def widths_of(config: ParakeetConfig) -> dict[str, str]:
    """See `Family.widths`."""
    return dict(_parts(config))


def _parts(config: ParakeetConfig) -> Iterator[tuple[str, str]]:
    for i, channels in enumerate(config.convs):
        yield f"net.encoder.subsampling.layers.{depthwise(i) + 1 if i else 0}", f"{channels} channels"
    for i, block in enumerate(config.layers):
        yield from block_widths(block, PARAKEET, f"net.encoder.layers.{i}")
