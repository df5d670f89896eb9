"""The computation that variants share: the unchanged model on one batch of clips, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...models.groups import Group
from ...models.token_network import DecoderCache, LayerCache, TokenNetwork
from ...prune.evidence import ActivationCollector, TaylorCollector
from ...prune.importance import Evidence
from ...sensitivity.gates import Gates


@dataclass
class Prefix:
    """The inputs of all layers, and cross-attention's keys and values. Stage 0 of the encoder is its convolutions."""

    mel: Tensor
    frames: Tensor | None
    valid: list[Tensor | None]  # the attention mask of every stage's output; merged frames make it shorter
    at: list[Tensor | None]  # where they are, see `Encoder.stage`
    encoder: list[Tensor]
    cross: list[tuple[Tensor, Tensor]]
    decoder: list[Tensor]

    @property
    def bytes(self) -> int:
        """Its size in memory, in bytes."""
        pairs = [t for pair in self.cross for t in pair]
        return sum(t.numel() * t.element_size() for t in [self.mel, *self.encoder, *pairs, *self.decoder])

    @classmethod
    def of(cls, model: TokenNetwork, mel: Tensor, frames: Tensor | None, inputs: Tensor) -> Prefix:
        """Run the model on features and the tokens `inputs` (batch, length)."""
        x, mask = model.encoder.embed(mel, frames, model.dropout)
        encoder: list[Tensor] = []
        valid: list[Tensor | None] = []
        starts: list[Tensor | None] = []
        at: Tensor | None = None
        for number in range(len(model.encoder.layers) + 1):
            x, mask, at = model.encoder.stage(number, x, mask, model.dropout, at)
            encoder.append(x)
            valid.append(mask)
            starts.append(at)
        cache = model.decoder.start(model.encoder.norm(x), mask)
        cross = [(layer.cross_keys, layer.cross_values) for layer in cache.layers]
        decoder = [model.decoder.embed(inputs)]
        for layer, layer_cache in zip(model.decoder.layers, cache.layers, strict=True):
            decoder.append(layer(decoder[-1], layer_cache, cache.memory_mask, model.dropout))
        return cls(mel, frames, valid, starts, encoder, cross, decoder)

    def shared(self) -> DecoderCache:
        """A new cache with the unchanged model's encoder output."""
        last = self.valid[-1]
        mask = None if last is None else last[:, None, None, :]
        return DecoderCache([LayerCache(keys, values) for keys, values in self.cross], mask)

    def encoded(self, model: TokenNetwork, starts: Sequence[int], gates: Gates) -> DecoderCache:
        """The cache of variants that first change the encoder at the stages `starts` (rising): each joins the batch
        where it begins to differ from the unchanged model."""
        encoder, clips, joined = model.encoder, len(self.mel), 0
        x, valid = self.mel, self.valid[0]
        at: Tensor | None = None
        for stage in range(len(encoder.layers) + 1):
            added = starts.count(stage)
            joined += added
            if not joined:
                continue
            if added:
                gates.assign([number for number in range(joined) for _ in range(clips)])
            if stage == 0:
                frames = None if self.frames is None else self.frames.repeat(added)
                x, valid = encoder.embed(self.mel.repeat(added, 1, 1), frames, model.dropout)
            elif added:
                before = self.valid[stage - 1]
                valid = None if before is None else before.repeat(joined, 1)
                positions = self.at[stage - 1]
                if positions is not None and len(positions) > 1:  # each variant's own
                    positions = positions.repeat(added, 1)
                    positions = positions if joined == added or at is None else torch.cat([at, positions])
                at = positions
                new = self.encoder[stage - 1].repeat(added, 1, 1)
                x = new if joined == added else torch.cat([x, new])
            x, valid, at = encoder.stage(stage, x, valid, model.dropout, at)
        return model.decoder.start(encoder.norm(x), valid)


def gather(
    model: nn.Module, groups: Sequence[Group], batches: Sequence[list[int]], loss: Callable[[list[int]], Tensor]
) -> Evidence:
    """The evidence of importance criteria, from the losses of `batches` of clips."""
    collector = TaylorCollector(model, groups)
    with ActivationCollector(model) as activations:
        for batch in batches:
            model.zero_grad(set_to_none=True)
            loss(batch).backward()  # type: ignore[no-untyped-call]
            collector.update()
    model.zero_grad(set_to_none=True)
    inputs, outputs = activations.norms()
    weights = dict(model.named_parameters())
    return Evidence(weights, collector.means(), inputs, outputs, signed=collector.signed_means())
