"""The checkpoint's contract: every width of a Whisper, per layer, in one frozen dataclass (no torch here)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ...base.errors import SecateurError, nearest
from ...base.files import read_json
from ...features.front_end import FrontEnd
from ...models.family import FORMAT
from ...models.family import parse_config as parse_any
from ...models.frame_merging import MergingConfig, merged_length
from ...text.tokens import Tokens
from .generation import WITH_IDS, kept_heads

LONGEST_WINDOW = 600  # s; every clip may be padded to it


@dataclass(frozen=True)
class AttentionWidths:
    """One attention: `heads`, and per head the dimensions of queries and keys and those of values."""

    heads: int
    query_key: int
    value: int

    def shrunk(self, keep: dict[str, list[int]], name: str) -> AttentionWidths:
        """The widths of the attention `name` after surgery.

        Raises:
            SecateurError: heads that would keep different numbers of dimensions.
        """
        heads = keep.get(f"{name}.heads", list(range(self.heads)))
        return AttentionWidths(
            heads=len(heads),
            query_key=_per_head(keep.get(f"{name}.query_key"), heads, self.query_key, name),
            value=_per_head(keep.get(f"{name}.value"), heads, self.value, name),
        )


@dataclass(frozen=True)
class EncoderWidths:
    """One encoder layer."""

    attention: AttentionWidths
    ffn: int


@dataclass(frozen=True)
class DecoderWidths:
    """One decoder layer."""

    self_attention: AttentionWidths
    cross_attention: AttentionWidths
    ffn: int


@dataclass(frozen=True)
class WhisperConfig(MergingConfig):
    """All widths of the network, its front-end and its special tokens."""

    width: int  # residual stream
    conv_channels: int  # between the two convolutions
    audio_context: int  # encoder positions, 20 ms each
    text_context: int  # decoder positions
    vocabulary: int  # rows of the token embedding
    encoder: tuple[EncoderWidths, ...]
    decoder: tuple[DecoderWidths, ...]
    tokens: Tokens
    front_end: FrontEnd = FrontEnd()
    attention_scale: float = 0.125  # 1 / sqrt(head dimension before pruning); pruning dimensions does not change it
    ranks: dict[str, int] = field(default_factory=dict)  # of the matrices that are a product of two, by name
    conv_outputs: int = 0  # channels of the second convolution before a matrix to a cut width; 0: it has the width
    padded: bool = (
        True  # expects clips padded to the whole audio context (as OpenAI trained it); False: cut to the clip
    )
    alignment_heads: tuple[tuple[int, ...], ...] = ()  # layer and head of cross-attention; (): nothing says which
    generation: dict[str, Any] = field(default_factory=dict)  # other fields of a generation config, as they were read
    name: str = "whisper"
    family: str = "whisper"
    format: int = FORMAT

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.conv_channels, self.audio_context, self.text_context, self.vocabulary) < 1:
            raise ValueError("width, conv_channels, audio_context, text_context and vocabulary are at least 1")
        if self.max_seconds > LONGEST_WINDOW:
            raise ValueError(f"a window of {self.max_seconds:g} s; at most {LONGEST_WINDOW} s are read at once")
        if self.conv_outputs < 0 or (self.conv_outputs and "decoder.token_embedding" not in self.ranks):
            raise ValueError("conv_outputs: a cut width needs a rank of decoder.token_embedding")
        if self.ranks:
            shapes = self.matrices
            for name, rank in self.ranks.items():
                if name not in shapes or not 1 <= rank <= max(shapes[name]):
                    most = f"1 to {max(shapes[name])}" if name in shapes else f"no matrix{nearest(name, shapes)}"
                    raise ValueError(f"ranks: '{name}' has rank {rank}: {most}")

    @cached_property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """Outputs and inputs of every matrix of the layers, and rows and width of the token embedding, by name."""
        w, shapes = self.width, dict[str, tuple[int, int]]()
        for i, e in enumerate(self.encoder):
            shapes |= _layer_matrices(f"encoder.layers.{i}", w, {"attention": e.attention}, e.ffn)
        for i, d in enumerate(self.decoder):
            parts = {"self_attention": d.self_attention, "cross_attention": d.cross_attention}
            shapes |= _layer_matrices(f"decoder.layers.{i}", w, parts, d.ffn)
        return shapes | {"decoder.token_embedding": (self.vocabulary, w)}

    @cached_property
    def matrix_values(self) -> dict[str, int]:
        """Values of every matrix as it is stored, which are also the multiply-accumulates of one position."""
        return {
            name: self.ranks[name] * (outputs + inputs) if name in self.ranks else outputs * inputs
            for name, (outputs, inputs) in self.matrices.items()
        }

    @cached_property
    def norm_readers(self) -> dict[str, tuple[str, ...]]:
        """The linear layers that read each norm of the residual streams; those of tokens (`conv_outputs`) not."""
        readers: dict[str, tuple[str, ...]] = {}
        for i in range(len(self.encoder)):
            layer = f"encoder.layers.{i}"
            readers[f"{layer}.attention_norm"] = tuple(f"{layer}.attention.{p}" for p in ("query", "key", "value"))
            readers[f"{layer}.ffn_norm"] = (f"{layer}.ffn.up",)
        crosses = [f"decoder.layers.{i}.cross_attention" for i in range(len(self.decoder))]
        readers["encoder.norm"] = tuple(f"{cross}.{p}" for cross in crosses for p in ("key", "value"))
        for i in range(len(self.decoder)):
            layer = f"decoder.layers.{i}"
            own = tuple(f"{layer}.self_attention.{p}" for p in ("query", "key", "value"))
            readers |= {f"{layer}.self_attention_norm": own, f"{layer}.ffn_norm": (f"{layer}.ffn.up",)}
            readers[f"{layer}.cross_attention_norm"] = (f"{layer}.cross_attention.query",)
        return readers

    @property
    def merge_layers(self) -> tuple[str, ...]:
        """See `MergingConfig`."""
        return tuple(f"encoder.layers.{i}" for i in range(len(self.encoder)))

    @property
    def max_seconds(self) -> float:
        """The longest clip, in seconds, that one window can hold."""
        return self.audio_context * 2 * self.front_end.hop / self.front_end.sample_rate

    @property
    def window(self) -> int:
        """Samples that one window can hold."""
        return self.audio_context * 2 * self.front_end.hop

    @property
    def position_seconds(self) -> float:
        """Seconds from one position of the encoder output to the next; before similar ones were merged."""
        return 2 * self.front_end.hop * self.regular_merge / self.front_end.sample_rate

    @property
    def caches(self) -> tuple[tuple[int, int, int], ...]:
        """Heads, and dimensions of a key and a value, of every decoder layer's self-attention."""
        widths = [d.self_attention for d in self.decoder]
        return tuple((w.heads, w.query_key, w.value) for w in widths)

    @property
    def memory_values(self) -> int:
        """Values of all cross-attentions' keys and values at one position of the memory."""
        widths = [d.cross_attention for d in self.decoder]
        return sum(w.heads * (w.query_key + w.value) for w in widths)

    def positions(self, samples: int) -> int:
        """Positions of the memory for a clip of so many samples, all of them where clips are padded."""
        first = self.audio_context if self.padded else samples // (2 * self.front_end.hop) + 1
        return merged_length(first, self.frame_merging)

    def with_front_end(self, front_end: FrontEnd) -> WhisperConfig:
        """The config with another front-end; the audio context keeps its length in seconds."""
        ratio = front_end.frame_ms / self.front_end.frame_ms
        return replace(self, front_end=front_end, audio_context=int((self.audio_context - 1) / ratio + 1e-9) + 1)

    def shrunk(self, keep: dict[str, list[int]]) -> WhisperConfig:
        """The config after surgery: `keep` maps group names (see `Whisper.groups`) to the units that stay."""

        def count(name: str, current: int) -> int:
            return len(keep[name]) if name in keep else current

        encoder = []
        layers = keep.get("encoder.layers", list(range(len(self.encoder))))
        for i in layers:
            e, name = self.encoder[i], f"encoder.layers.{i}"
            attention = e.attention.shrunk(keep, f"{name}.attention")
            encoder.append(EncoderWidths(attention, count(f"{name}.ffn", e.ffn)))
        decoder = []
        for i in keep.get("decoder.layers", range(len(self.decoder))):
            d, name = self.decoder[i], f"decoder.layers.{i}"
            decoder.append(
                DecoderWidths(
                    d.self_attention.shrunk(keep, f"{name}.self_attention"),
                    d.cross_attention.shrunk(keep, f"{name}.cross_attention"),
                    count(f"{name}.ffn", d.ffn),
                )
            )
        front_end = self.front_end
        if "encoder.mel" in keep:
            front_end = front_end.keeping(keep["encoder.mel"])
        tokens, generation = self.tokens, self.generation
        if "vocabulary" in keep:
            generation = {key: value for key, value in generation.items() if key not in WITH_IDS}
            tokens = tokens.renumbered({old: new for new, old in enumerate(keep["vocabulary"])})
        return replace(
            self,
            conv_channels=count("encoder.conv", self.conv_channels),
            conv_outputs=count("encoder.conv2", self.conv_outputs),
            audio_context=count("encoder.positions", self.audio_context),
            text_context=count("decoder.positions", self.text_context),
            vocabulary=count("vocabulary", self.vocabulary),
            encoder=tuple(encoder),
            frame_merging=self.merging_of(layers),
            decoder=tuple(decoder),
            tokens=tokens,
            front_end=front_end,
            ranks=self._ranks_of(keep),
            alignment_heads=kept_heads(self.alignment_heads, keep),
            generation=generation,
        )

    def _ranks_of(self, keep: dict[str, list[int]]) -> dict[str, int]:
        """Ranks when only `keep` is left: layers are numbered anew."""
        new = {
            f"{side}.layers.{old}.": f"{side}.layers.{i}."
            for side, layers in (("encoder", self.encoder), ("decoder", self.decoder))
            for i, old in enumerate(keep.get(f"{side}.layers", range(len(layers))))
        }
        ranks = {}
        for name, rank in self.ranks.items():
            head, _, tail = name.rpartition(".layers.")
            layer = f"{head}.layers.{tail.split('.')[0]}." if head else ""
            if not layer or layer in new:
                left = len(keep.get(f"{name}.rank", range(rank)))
                ranks[name if not layer else new[layer] + name.removeprefix(layer)] = left
        return ranks


def _layer_matrices(
    layer: str, width: int, attentions: dict[str, AttentionWidths], ffn: int
) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of the matrices of one layer."""
    shapes: dict[str, tuple[int, int]] = {}
    for part, a in attentions.items():
        keys, values = a.heads * a.query_key, a.heads * a.value
        shapes |= {f"{layer}.{part}.{name}": (keys, width) for name in ("query", "key")}
        shapes |= {f"{layer}.{part}.value": (values, width), f"{layer}.{part}.out": (width, values)}
    return shapes | {f"{layer}.ffn.up": (ffn, width), f"{layer}.ffn.down": (width, ffn)}


def _per_head(kept: list[int] | None, heads: list[int], current: int, name: str) -> int:
    """Dimensions that stay in every kept head; they must be equally many."""
    if kept is None:
        return current
    counts = {sum(1 for unit in kept if unit // current == head) for head in heads}
    if len(counts) != 1:
        raise SecateurError(f"{name}: every head must keep the same number of dimensions, found {sorted(counts)}")
    return counts.pop()


def uniform(
    *, width: int, heads: int, ffn: int, encoder_layers: int, decoder_layers: int, vocabulary: int, tokens: Tokens,
    audio_context: int = 1500, text_context: int = 448, bins: int = 80, name: str = "whisper",
) -> WhisperConfig:  # fmt: skip
    """A Whisper as OpenAI trains them: the same widths in every layer (Radford et al. 2022, table 1)."""
    attention = AttentionWidths(heads, width // heads, width // heads)
    return WhisperConfig(
        width=width,
        conv_channels=width,
        audio_context=audio_context,
        text_context=text_context,
        vocabulary=vocabulary,
        encoder=tuple(EncoderWidths(attention, ffn) for _ in range(encoder_layers)),
        decoder=tuple(DecoderWidths(attention, attention, ffn) for _ in range(decoder_layers)),
        tokens=tokens,
        front_end=FrontEnd(bins=bins),
        attention_scale=(width // heads) ** -0.5,
        name=name,
    )


def parse_config(values: object, where: str) -> WhisperConfig:
    """A Whisper's config from its JSON values.

    Raises:
        SecateurError: another format version or family, an unknown key, a wrong type.
    """
    config = parse_any(values, where)
    if not isinstance(config, WhisperConfig):
        raise SecateurError(f"{where}: a Whisper is needed here, this model is of the family '{config.family}'")
    return config


def read_config(path: str | Path) -> WhisperConfig:
    """The config in a JSON file.

    Raises:
        SecateurError: see `parse_config`.
    """
    return parse_config(read_json(path), str(path))
