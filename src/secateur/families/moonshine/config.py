"""The checkpoint's contract: every width of a Moonshine, per layer, in one frozen dataclass (no torch here)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ...base.errors import SecateurError
from ...features.front_end import FrontEnd, front_end
from ...models.family import FORMAT
from ...models.frame_merging import MergingConfig
from ...text.tokens import Tokens

Keep = dict[str, list[int]]
TAPS, STRIDES = (127, 7, 3), (64, 3, 2)  # of the three convolutions on the samples
FRONT_END = front_end("waveform")
WINDOW = 30.0  # seconds of the longest clips that it was trained on


@dataclass(frozen=True)
class GroupedAttentionWidths:
    """Heads of keys and values, and how many query heads read each of them (grouped-query attention; 1: its own)."""

    heads: int
    queries: int = 1

    def shrunk(self, keep: Keep, name: str) -> GroupedAttentionWidths:
        """The widths of the attention `name` after surgery."""
        kept = keep.get(f"{name}.heads")
        return replace(self, heads=len(kept)) if kept else self


@dataclass(frozen=True)
class EncoderWidths:
    """One encoder layer."""

    attention: GroupedAttentionWidths
    ffn: int


@dataclass(frozen=True)
class DecoderWidths:
    """One decoder layer; its feed-forward has a gate for every unit."""

    self_attention: GroupedAttentionWidths
    cross_attention: GroupedAttentionWidths
    ffn: int


@dataclass(frozen=True)
class MoonshineConfig(MergingConfig):
    """All widths of the network, its front-end and its special tokens.

    Raises:
        ValueError: widths that no network can have.
    """

    width: int  # residual stream
    head_size: int
    rotary: int  # of a head's dimensions that rotate with the position
    convs: tuple[int, int]  # channels of the first two convolutions; the third gives the residual stream
    norm_channels: int  # of the norm after the first convolution: removed channels count as zeros
    text_context: int  # tokens
    vocabulary: int  # rows of the token embedding
    encoder: tuple[EncoderWidths, ...]
    decoder: tuple[DecoderWidths, ...]
    tokens: Tokens
    rope_theta: float = 10000.0
    bias: bool = False  # of queries, keys and values
    window_seconds: float = WINDOW
    front_end: FrontEnd = FRONT_END
    name: str = "moonshine"
    family: str = "moonshine"
    format: int = FORMAT

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.encoder or not self.decoder:
            raise ValueError("a Moonshine needs a layer of its encoder and one of its decoder at least")
        attentions = [e.attention for e in self.encoder]
        attentions += [a for d in self.decoder for a in (d.self_attention, d.cross_attention)]
        widths = [self.width, self.head_size, *self.convs, self.text_context, self.vocabulary]
        widths += [n for a in attentions for n in (a.heads, a.queries)]
        widths += [e.ffn for e in self.encoder] + [d.ffn for d in self.decoder]
        if min(widths) < 1:
            raise ValueError("every width must be at least 1")
        if not 0 <= self.rotary <= self.head_size or self.rotary % 2:
            raise ValueError(f"{self.rotary} dimensions of {self.head_size} cannot rotate in pairs")
        if self.norm_channels < self.convs[0]:
            raise ValueError("the norm averages over at least the channels that are there")

    @property
    def padded(self) -> bool:
        """False: clips are not padded."""
        return False

    @property
    def max_seconds(self) -> float:
        """The longest clip, in seconds, of one pass."""
        return self.window_seconds

    @property
    def window(self) -> int:
        """Samples of one pass."""
        return int(self.window_seconds * self.front_end.sample_rate)

    @property
    def position_seconds(self) -> float:
        """Seconds from one position of the encoder output to the next: 0.024, more where frames are merged."""
        return math.prod(STRIDES) * self.regular_merge / self.front_end.sample_rate

    @property
    def merge_layers(self) -> tuple[str, ...]:
        """See `MergingConfig`."""
        return tuple(f"encoder.layers.{i}" for i in range(len(self.encoder)))

    @property
    def least(self) -> int:
        """The fewest samples that give a position; shorter clips are filled up with silence."""
        need = 1
        for taps, stride in zip(reversed(TAPS), reversed(STRIDES), strict=True):
            need = (need - 1) * stride + taps
        return need

    @property
    def caches(self) -> tuple[tuple[int, int, int], ...]:
        """Heads, and dimensions of a key and a value, of every decoder layer's self-attention."""
        return tuple((d.self_attention.heads, self.head_size, self.head_size) for d in self.decoder)

    @property
    def memory_values(self) -> int:
        """Values of all cross-attentions' keys and values at one position of the memory."""
        return sum(2 * d.cross_attention.heads * self.head_size for d in self.decoder)

    def positions(self, samples: int) -> int:
        """Positions of the memory for a clip of so many samples."""
        for taps, stride in zip(TAPS, STRIDES, strict=True):
            samples = (max(samples, taps) - taps) // stride + 1
        return self.frames_read(samples)[-1]

    def with_front_end(self, front_end: FrontEnd) -> MoonshineConfig:
        """The config with another front-end.

        Raises:
            SecateurError: one that does not give samples.
        """
        if not front_end.by_sample:
            raise SecateurError("this model takes the samples themselves: it has no other features")
        return replace(self, front_end=front_end)

    def shrunk(self, keep: Keep) -> MoonshineConfig:
        """The config after surgery: `keep` maps group names (see `Moonshine.groups`) to the units that stay."""

        def count(name: str, now: int) -> int:
            return len(keep[name]) if name in keep else now

        encoder, layers = [], keep.get("encoder.layers", list(range(len(self.encoder))))
        for i in layers:
            e, name = self.encoder[i], f"encoder.layers.{i}"
            encoder.append(EncoderWidths(e.attention.shrunk(keep, f"{name}.attention"), count(f"{name}.ffn", e.ffn)))
        decoder = []
        for i in keep.get("decoder.layers", range(len(self.decoder))):
            d, name = self.decoder[i], f"decoder.layers.{i}"
            attentions = (
                d.self_attention.shrunk(keep, f"{name}.self_attention"),
                d.cross_attention.shrunk(keep, f"{name}.cross_attention"),
            )
            decoder.append(DecoderWidths(*attentions, count(f"{name}.ffn", d.ffn)))
        tokens = self.tokens
        if "vocabulary" in keep:
            tokens = tokens.renumbered({old: new for new, old in enumerate(keep["vocabulary"])})
        return replace(
            self,
            convs=(count("encoder.conv1", self.convs[0]), count("encoder.conv2", self.convs[1])),
            vocabulary=count("vocabulary", self.vocabulary),
            encoder=tuple(encoder),
            frame_merging=self.merging_of(layers),
            decoder=tuple(decoder),
            tokens=tokens,
        )


def uniform(
    *, width: int, heads: int, ffn: int, encoder_layers: int, decoder_layers: int, vocabulary: int, tokens: Tokens,
    rotary: int, text_context: int = 194, queries: int = 1, head_size: int | None = None, rope_theta: float = 10000.0,
    bias: bool = False, front_end: FrontEnd = FRONT_END, name: str = "moonshine",
) -> MoonshineConfig:  # fmt: skip
    """A Moonshine as it is published: the same widths in every layer (Jeffries et al. 2024, arXiv 2410.15608)."""
    attention = GroupedAttentionWidths(heads // queries, queries)
    return MoonshineConfig(
        width=width, head_size=head_size or width // heads, rotary=rotary, convs=(width, 2 * width),
        norm_channels=width, text_context=text_context, vocabulary=vocabulary,
        encoder=tuple(EncoderWidths(attention, ffn) for _ in range(encoder_layers)),
        decoder=tuple(DecoderWidths(attention, attention, ffn) for _ in range(decoder_layers)),
        tokens=tokens, rope_theta=rope_theta, bias=bias, front_end=front_end, name=name,
    )  # fmt: skip
