"""Wav2Vec2ForCTC, HubertForCTC, WavLMForCTC and Wav2Vec2ConformerForCTC, the modules of `transformers` themselves, with
their groups declared.

Added to `transformers`' modules: layers of different widths, padded batches that equal the same clips alone where the
first convolution's norm would mix in padding, and a `gate` on every layer, zero while the layer is masked (zero weights
of a post-norm layer do not pass its input through).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...base.extras import require
from ...models.groups import Group, Place, TimeAxis
from ...models.network import STREAM, FrameNetwork
from ..ctc.frames import valid_frames
from .blocks import MaskedBatchNorm, MaskedGlu, layer_group, mask_padding, with_gates
from .config import CONFORMER, HfCtcConfig
from .merging import LayerMerges, Positions, gated, relative, rotary
from .resize import layer_groups, resize
from .widths import WAV2VEC2

CLASSES = {
    "wav2vec2": ("Wav2Vec2ForCTC", "Wav2Vec2Config"),
    "hubert": ("HubertForCTC", "HubertConfig"),
    "wavlm": ("WavLMForCTC", "WavLMConfig"),
    CONFORMER: ("Wav2Vec2ConformerForCTC", "Wav2Vec2ConformerConfig"),
}


class MaskedGroupNorm(nn.Module):
    """Normalises each channel by the mean and variance of its row's real frames; `frames` (batch,) is set before."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.frames: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) to the same."""
        if self.frames is None:
            return F.group_norm(x, len(self.weight), self.weight, self.bias, 1e-5)
        x, real = x.float(), valid_frames(self.frames, x.shape[2])[:, None]  # long sums, also under autocast
        count = self.frames.clamp_min(1)[:, None, None]
        apart = x - (x * real).sum(2, keepdim=True) / count
        variance = (apart * real).square().sum(2, keepdim=True) / count
        return apart * torch.rsqrt(variance + 1e-5) * self.weight[:, None] + self.bias[:, None]


def _positions(config: HfCtcConfig) -> Positions | None:
    """What tells the layers of `config` where merged frames are."""
    if config.kind == "wavlm":
        return gated
    return {"relative": relative("relative_position_embeddings"), "rotary": rotary}.get(config.distance or "")


class HfCtc(FrameNetwork):
    """`net` is the `transformers` module; its parameters keep their names."""

    config: HfCtcConfig

    def __init__(self, config: HfCtcConfig) -> None:
        super().__init__(config)
        network, settings = (getattr(require("transformers", "transformers"), name) for name in CLASSES[config.kind])
        # `prune` and `train` drop layers and mask frames themselves.
        self.net = network(settings(**{**config.theirs(), "layerdrop": 0.0, "apply_spec_augment": False}))
        body = self.body
        if config.group_norm:
            body.feature_extractor.conv_layers[0].layer_norm = MaskedGroupNorm(config.convs[0])
        resize(body, config)
        self.padding: list[MaskedBatchNorm | MaskedGlu] = []
        if config.conformer:
            for layer in body.encoder.layers:
                self.padding += mask_padding(layer, WAV2VEC2)
            if config.distance == "relative":  # its table is no part of a checkpoint, so that nothing would fill it
                with torch.device("cpu"):
                    body.encoder.embed_positions = type(body.encoder.embed_positions)(body.config)
        with_gates(body.encoder.layers)
        self.merges = LayerMerges(config, config.width, body.encoder.layers, _positions(config))

    @property
    def body(self) -> Any:
        """All but the output."""
        return getattr(self.net, self.config.body)

    def forward(self, features: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `FrameNetwork`; features are samples (batch, samples, 1).

        Rows of a padded batch equal the same clips run alone, as far as they are real.
        """
        x = features[..., 0]
        lengths = torch.full((len(x),), x.shape[1], device=x.device) if frames is None else frames.to(x.device)
        if x.shape[1] < self.config.least:
            x = F.pad(x, (0, self.config.least - x.shape[1]))
        short = self._shorter(lengths, len(self.config.convs))
        if self.config.group_norm:
            self.body.feature_extractor.conv_layers[0].layer_norm.frames = self._shorter(lengths, 1)
        # A row without frames is computed with one, which is not read.
        lengths = lengths.clamp_min(self.config.least)
        mask = valid_frames(lengths, x.shape[1]).long()
        if self.padding:
            real = valid_frames(self._shorter(lengths, len(self.config.convs)), self.config.shorter(x.shape[1]))
            for module in self.padding:
                module.real = real
        hidden = self.dropout(self.body(x, attention_mask=mask).last_hidden_state)
        return self.merges.outputs(self.net.lm_head(self.net.dropout(hidden)).float().log_softmax(-1), short)

    def _shorter(self, lengths: Tensor, convs: int) -> Tensor:
        """Frames after the first `convs` convolutions."""
        for kernel, stride in list(zip(self.config.kernels, self.config.strides, strict=True))[:convs]:
            lengths = (lengths - kernel + stride).clamp_min(0) // stride
        return lengths

    def on_first_grid(self) -> AbstractContextManager[object]:
        """See `Network.on_first_grid`."""
        return self.merges.on_first_grid()

    def time_axes(self) -> list[TimeAxis]:
        """None: samples have no frame shift."""
        return []

    def groups(self) -> list[Group]:
        """Heads and feed-forward units, whole layers, and channels of convolutions that no norm joins."""
        config, body = self.config, f"net.{self.config.body}"
        free = len(config.convs) - config.projection_norm if config.group_norm else 0
        members = [self._channels(body, i) for i in range(free)]
        if not config.conformer:
            where, size = f"{body}.encoder.pos_conv_embed", config.width // config.position_taps[1]
            rows = tuple(Place(f"{where}.conv.{leaf}", 0, size) for leaf in ("weight", "bias"))
            members.append(Group(where, "conv", len(config.kept_position_groups), rows))
        stack, layers = f"{body}.encoder.layers", self.body.encoder.layers
        for i, (layer, widths) in enumerate(zip(layers, config.layers, strict=True)):
            members += layer_groups(layer, f"{stack}.{i}", widths, config)
        return [*members, layer_group(stack, layers)]

    def ungrouped(self) -> dict[str, str]:
        """See `Network.ungrouped`."""
        joined = "the norm after it is over all channels of a frame: one less would change the others"
        return {
            "*.feature_extractor.*": joined,
            "*.pos_conv_embed.*": "`transformers` stores it and never runs it",
            "*.feature_projection.layer_norm.*": "it normalises all channels of a frame together",
            "*.masked_spec_embed": "only pre-training reads it",
            "*.encoder.positions.*": "the table of distances, which all layers share",
            "*.gru_rel_pos_linear.*": "all heads of the layer share it",
            "*.gate": "passes the input of a masked layer through",
            "*.lm_head.*": "a row for every token",
            "*": STREAM,
        }

    def _channels(self, body: str, i: int) -> Group:
        """Channels of one convolution of the feature encoder; a zeroed channel is a removed one: GELU(0) = 0."""
        where = f"{body}.feature_extractor.conv_layers"
        own = self.body.feature_extractor.conv_layers[i]
        rows = [Place(f"{where}.{i}.{name}", 0) for name, _ in own.named_parameters()]
        last = i + 1 == len(self.config.convs)
        reader = f"{body}.feature_projection.projection.weight" if last else f"{where}.{i + 1}.conv.weight"
        return Group(f"{where}.{i}", "conv", self.config.convs[i], (*rows, Place(reader, 1, reads=True)), minimum=4)
