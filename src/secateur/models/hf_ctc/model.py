"""Wav2Vec2ForCTC, HubertForCTC and WavLMForCTC, the modules of `transformers` themselves, with their groups declared.

What `transformers` lacks is added from outside: layers of different widths, rows of a padded batch that equal the same
clips alone where the first convolution's norm would mix in padding, and a `gate` on every layer, zero while the
layer is masked (a layer that is normalised after it computes has no zeros of its own that let its input pass).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...base.extras import require
from ..ctc.frames import real_frames
from ..groups import Group, Place, TimeAxis
from ..network import STREAM, FrameRecogniser
from .config import HfCtcConfig, LayerWidths
from .wavlm import RelativeAttention

CLASSES = {
    "wav2vec2": ("Wav2Vec2ForCTC", "Wav2Vec2Config"), "hubert": ("HubertForCTC", "HubertConfig"),
    "wavlm": ("WavLMForCTC", "WavLMConfig"),
}  # fmt: skip
PROJECTIONS = ("q_proj", "k_proj", "v_proj")


class RealGroupNorm(nn.Module):
    """Normalises each channel by the mean and variance of its row's real frames; `frames` (batch,) is set before."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.frames: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) to the same."""
        if self.frames is None:
            return F.group_norm(x, len(self.weight), self.weight, self.bias, 1e-5)
        x, real = x.float(), real_frames(self.frames, x.shape[2])[:, None]  # long sums, also under autocast
        count = self.frames.clamp_min(1)[:, None, None]
        apart = x - (x * real).sum(2, keepdim=True) / count
        variance = (apart * real).square().sum(2, keepdim=True) / count
        return apart * torch.rsqrt(variance + 1e-5) * self.weight[:, None] + self.bias[:, None]


def gated(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    """A layer's output, or its input where its gate is zero."""
    gate: Any = layer.gate
    first, *others = output if isinstance(output, tuple) else (output,)  # WavLM hands its distances on
    passed = gate * first + (1 - gate) * inputs[0]
    return (passed, *others) if others else passed


class HfCtc(FrameRecogniser):
    """`net` is the `transformers` module; its parameters keep their names."""

    config: HfCtcConfig

    def __init__(self, config: HfCtcConfig) -> None:
        super().__init__(config)
        network, settings = (getattr(require("transformers", "transformers"), name) for name in CLASSES[config.kind])
        # Layers are left out, and frames hidden, by `prune` and `train`, which know what they do.
        self.net = network(settings(**{**config.theirs(), "layerdrop": 0.0, "apply_spec_augment": False}))
        body = self.body
        if config.group_norm:
            body.feature_extractor.conv_layers[0].layer_norm = RealGroupNorm(config.convs[0])
        if config.kind == "wavlm":
            body.encoder.positions = nn.Embedding(config.distances[0], config.all_heads)
        for layer, widths in zip(body.encoder.layers, config.layers, strict=True):
            self._resize(layer, widths)
            layer.gate = nn.Parameter(torch.ones(1), requires_grad=False)
            layer.register_forward_hook(gated)

    @property
    def body(self) -> Any:
        """All but the output."""
        return getattr(self.net, self.config.kind)

    def _resize(self, layer: Any, widths: LayerWidths) -> None:
        width, inner = self.config.width, widths.heads * self.config.head_size
        attention, forward = layer.attention, layer.feed_forward
        if self.config.kind == "wavlm":
            kept, table = widths.kept or range(widths.heads), self.body.encoder.positions
            layer.attention = RelativeAttention(width, self.config.head_size, kept, self.config.distances[1], table)
        elif attention.num_heads != widths.heads:
            for part in PROJECTIONS:
                setattr(attention, part, nn.Linear(width, inner))
            attention.out_proj, attention.num_heads = nn.Linear(inner, width), widths.heads
        if forward.intermediate_dense.out_features != widths.ffn:
            forward.intermediate_dense = nn.Linear(width, widths.ffn)
            forward.output_dense = nn.Linear(widths.ffn, width)

    def forward(self, features: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `FrameRecogniser`; features are samples (batch, samples, 1).

        Rows of a padded batch equal the same clips run alone, as far as they are real.
        """
        x = features[..., 0]
        lengths = torch.full((len(x),), x.shape[1], device=x.device) if frames is None else frames.to(x.device)
        if x.shape[1] < self.config.least:
            x = F.pad(x, (0, self.config.least - x.shape[1]))
        short = self._shorter(lengths, len(self.config.convs))
        if self.config.group_norm:
            self.body.feature_extractor.conv_layers[0].layer_norm.frames = self._shorter(lengths, 1)
        # A row without a frame is computed as if it had one; nobody reads it.
        mask = real_frames(lengths.clamp_min(self.config.least), x.shape[1]).long()
        hidden = self.dropout(self.body(x, attention_mask=mask).last_hidden_state)
        return self.net.lm_head(self.net.dropout(hidden)).float().log_softmax(-1), short

    def _shorter(self, lengths: Tensor, convs: int) -> Tensor:
        """Frames after the first `convs` convolutions."""
        for kernel, stride in list(zip(self.config.kernels, self.config.strides, strict=True))[:convs]:
            lengths = (lengths - kernel + stride).clamp_min(0) // stride
        return lengths

    def over_time(self) -> list[TimeAxis]:
        """None: samples cannot be further apart."""
        return []

    def groups(self) -> list[Group]:
        """Heads and feed-forward units, whole layers, and channels of convolutions that no norm joins."""
        config, body = self.config, f"net.{self.config.kind}"
        free = len(config.convs) - config.projection_norm if config.group_norm else 0
        found = [self._channels(body, i) for i in range(free)]
        stack, every = f"{body}.encoder.layers", list[Place]()
        for i, widths in enumerate(config.layers):
            attention, forward = f"{stack}.{i}.attention", f"{stack}.{i}.feed_forward"
            rows = [
                Place(f"{attention}.{part}.{leaf}", 0, config.head_size)
                for part in PROJECTIONS
                for leaf in ("weight", "bias")
            ]
            reads = Place(f"{attention}.out_proj.weight", 1, config.head_size, reads=True)
            if config.kind == "wavlm":
                rows.append(Place(f"{attention}.gru_rel_pos_const", 1, masked=False))
            found.append(Group(attention, "head", widths.heads, (*rows, reads)))
            rows = [Place(f"{forward}.intermediate_dense.{leaf}", 0) for leaf in ("weight", "bias")]
            reads = Place(f"{forward}.output_dense.weight", 1, reads=True)
            found.append(Group(forward, "ffn", widths.ffn, (*rows, reads)))
            names = (name for name, _ in self.body.encoder.layers[i].named_parameters())
            every += [Place(f"{stack}.{i}.{name}", 0, unit=i) for name in names]
        return [*found, Group(stack, "layer", len(config.layers), tuple(every))]

    def stays_whole(self) -> dict[str, str]:
        """See `Recogniser`."""
        joined = "the norm after it looks at all channels of a frame together: one less would change the others"
        return {
            "*.feature_extractor.*": joined,
            "*.pos_conv_embed.*": "weight-normed over all channels of a tap, and as wide as the residual stream",
            "*.feature_projection.layer_norm.*": "it normalises all channels of a frame together",
            "*.masked_spec_embed": "only pre-training reads it",
            "*.encoder.positions.*": "the table of distances, which all layers share",
            "*.gru_rel_pos_linear.*": "all heads of the layer share it",
            "*.gate": "what lets a masked layer's input pass",
            "*.lm_head.*": "a row for every token",
            "*": STREAM,
        }

    def _channels(self, body: str, i: int) -> Group:
        """Channels of one convolution of the feature encoder; they are silent once they are zero: GELU(0) = 0."""
        where = f"{body}.feature_extractor.conv_layers"
        own = self.body.feature_extractor.conv_layers[i]
        rows = [Place(f"{where}.{i}.{name}", 0) for name, _ in own.named_parameters()]
        last = i + 1 == len(self.config.convs)
        reader = f"{body}.feature_projection.projection.weight" if last else f"{where}.{i + 1}.conv.weight"
        return Group(f"{where}.{i}", "conv", self.config.convs[i], (*rows, Place(reader, 1, reads=True)), minimum=4)
