"""A torch encoder-decoder as a decoding session: of a few clips, or on a GPU of large batches, whose features,
encoder and tokens stay there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..decode.clips import BatchLimits
from ..decode.rules import Rules
from ..decode.search import Hypothesis
from ..decode.session import Floats, Ints, TokenConfig
from ..features.front_end import extractor
from .frame_merging import spread
from .token_network import DecoderCache, LayerCache, TokenNetwork

STATE_BYTES = 24 << 30  # of a batch's keys and values
ROWS = 256
WAIT = 8  # steps between two looks at which rows have ended: each waits for the GPU


@dataclass(frozen=True)
class TorchState:
    """The cache after some tokens, and which encoded clip each batch row (batch,) belongs to."""

    cache: DecoderCache
    clips: Ints


class TorchSession:
    """Runs `model` for `secateur.decode`, on the device the model is on."""

    shows_attention = True

    def __init__(self, model: TokenNetwork) -> None:
        self.model = model.eval()
        self.device = next(model.parameters()).device

    @property
    def config(self) -> TokenConfig:
        """The model's config."""
        return self.model.config  # type: ignore[no-any-return]

    @torch.inference_mode()
    def encode(self, features: Floats, frames: Ints | None) -> TorchState:
        """See `DecoderSession.encode`."""
        counts = None if frames is None else torch.from_numpy(frames).to(self.device)
        cache = self.model.encode(torch.from_numpy(features).to(self.device), counts)
        return TorchState(cache, np.arange(len(features)))

    @torch.inference_mode()
    def step(self, tokens: Ints, state: TorchState) -> tuple[Floats, TorchState]:
        """See `DecoderSession.step`."""
        cache = same(state.cache)
        logits = self.model.step(torch.from_numpy(tokens).to(self.device), cache)
        return logits.float().cpu().numpy(), TorchState(cache, state.clips)

    @torch.inference_mode()
    def attention(self, tokens: Ints, state: TorchState) -> Floats:
        """See `DecoderSession.attention`."""
        scores: list[Tensor] = []

        def record(module: Any, inputs: tuple[Tensor, ...]) -> None:
            x, keys, _, mask = inputs
            scores.append(module.scores(x, keys, mask))

        layers: list[Any] = [layer.cross_attention for layer in self.model.decoder.layers]
        hooks = [layer.register_forward_pre_hook(record) for layer in layers]
        try:
            self.model.step(torch.from_numpy(tokens).to(self.device), same(state.cache))
        finally:
            for hook in hooks:
                hook.remove()
        weights: Floats = torch.cat(scores, 1).softmax(-1).float().cpu().numpy()
        frames = state.cache.frames
        return weights if frames is None else spread(weights, frames.cpu().numpy())

    @torch.inference_mode()
    def pick(self, state: TorchState, rows: Ints) -> TorchState:
        """See `DecoderSession.pick`."""
        index = torch.from_numpy(rows).to(self.device)
        clips = state.clips[rows]
        if not np.array_equal(clips, state.clips):
            return TorchState(state.cache.pick(index), clips)
        # Beams are reordered within their clip: the audio's keys and values, by far the largest part, stay as they are.
        layers = [
            LayerCache(layer.cross_keys, layer.cross_values, _rows(layer.keys, index), _rows(layer.values, index))
            for layer in state.cache.layers
        ]
        return TorchState(DecoderCache(layers, state.cache.memory_mask, state.cache.length, state.cache.frames), clips)


def _rows(values: Tensor | None, index: Tensor) -> Tensor | None:
    return None if values is None else values[index]


def same(cache: DecoderCache) -> DecoderCache:
    """A shallow copy of `cache`, which can be extended without changing it."""
    layers = [LayerCache(x.cross_keys, x.cross_values, x.keys, x.values) for x in cache.layers]
    return DecoderCache(layers, cache.memory_mask, cache.length, cache.frames)


class DeviceSession(TorchSession):
    """`TorchSession` whose greedy choice and sampling run on the device, in the model's own type.

    Rows that have ended leave the batch when half of them have.
    """

    def __init__(self, model: TokenNetwork, rows: int = ROWS) -> None:
        super().__init__(model)
        cuda = self.device.type == "cuda"
        if cuda:
            # cuDNN's attention builds a plan for every new shape.
            torch.backends.cuda.enable_cudnn_sdp(False)
        room = int(0.4 * torch.cuda.get_device_properties(self.device).total_memory) if cuda else STATE_BYTES
        self.dtype = next(self.model.parameters()).dtype
        self.limits = BatchLimits(rows, min(STATE_BYTES, room), self.dtype.itemsize, 2.0)
        self.features = extractor(model.config.front_end).to(self.device)
        self._rules: dict[tuple[bytes, bytes], tuple[Tensor, Tensor]] = {}

    def to_bf16(self) -> None:
        """Compute in bf16 from now on: the model's own weights are rounded."""
        self.model.bfloat16()
        self.dtype = torch.bfloat16
        self.limits = replace(self.limits, value_bytes=self.dtype.itemsize)

    @torch.inference_mode()
    def encode(self, features: Floats, frames: Ints | None) -> TorchState:
        """See `DecoderSession.encode`."""
        counts = None if frames is None else torch.from_numpy(frames).to(self.device)
        return self._encode(torch.from_numpy(features).to(self.device), counts)

    @torch.inference_mode()
    def encode_audio(self, clips: Sequence[Floats], pad_to: int | None, most: int) -> TorchState:
        """Features and encoder of `clips` (samples,); `pad_to` samples each, or as they are, at most `most` frames."""
        longest = max(map(len, clips))
        host = torch.zeros(len(clips), longest, pin_memory=self.device.type == "cuda")
        table = host.numpy()
        for row, clip in zip(table, clips, strict=True):
            row[: len(clip)] = clip
        lengths = torch.tensor([len(clip) for clip in clips]).to(self.device)
        audio = host.to(self.device, non_blocking=True)
        mask = self.model.input_mask
        if pad_to is not None:
            features, _ = self.features(audio, lengths, pad_to=pad_to, input_mask=mask)
            return self._encode(features, None)
        features, frames = self.features(audio, lengths, input_mask=mask)
        return self._encode(features[:, :most], frames.clamp_max(most))

    def _encode(self, features: Tensor, frames: Tensor | None) -> TorchState:
        cache = self.model.encode(features.to(self.dtype), frames)
        return TorchState(cache, np.arange(len(features)))

    @torch.inference_mode()
    def prompted(
        self, tokens: Ints, state: TorchState, split: int, no_speech: int
    ) -> tuple[Tensor, TorchState, Floats]:
        """Feed the prompts `tokens` (batch, n): logits (batch, vocabulary) on the device and the state after them.

        Also the probability (batch,) of the token `no_speech` after the first `split` tokens; 0 asks for none.
        """
        cache = same(state.cache)
        table = torch.from_numpy(tokens).to(self.device)
        silence = np.zeros(0, np.float32)
        if split:
            logits = self.model.step(table[:, :split], cache).float()
            silence = logits.softmax(-1)[:, no_speech].cpu().numpy()
            table = table[:, split:]
        if table.shape[1]:
            logits = self.model.step(table, cache).float()
        return logits, TorchState(cache, state.clips), silence

    @torch.inference_mode()
    def roll(
        self, state: TorchState, logits: Tensor, rules: Rules, most: int, temperature: float = 0.0,
        draws: NDArray[np.float64] | None = None,
    ) -> list[Hypothesis]:  # fmt: skip
        """Up to `most` tokens a row after `logits` (batch, vocabulary), without timestamps.

        Temperature 0 takes the likeliest; else `draws` (batch, most) in [0, 1) choose from softmax(logits /
        temperature), as `decode.search.sample` does.
        """
        end, cache = rules.tokens.end, same(state.cache)
        always, at_start = self._biases(rules)
        batch = len(logits)
        history = torch.full((batch, most), end, device=self.device)
        scores = torch.zeros(batch, most, device=self.device)
        rows = torch.arange(batch, device=self.device)
        chances = None if draws is None else torch.from_numpy(draws).to(self.device)
        done = torch.zeros(batch, dtype=torch.bool, device=self.device)
        for length in range(most):
            allowed = logits + (always if length else at_start)
            if chances is None or temperature == 0:
                chosen = allowed.argmax(-1)
            else:
                heights = ((allowed - allowed.amax(-1, keepdim=True)).double() / temperature).exp().cumsum(-1)
                chosen = torch.searchsorted(heights, chances[rows, length, None] * heights[:, -1:], right=True)[:, 0]
            chosen = chosen.masked_fill(done, end)
            history[rows, length] = chosen
            gained = allowed.gather(1, chosen[:, None])[:, 0] - allowed.logsumexp(-1)
            scores[rows, length] = gained.masked_fill(done, 0.0)
            done = done | (chosen == end)
            if length + 1 == most:
                break
            if length % WAIT == WAIT - 1:
                going = int((~done).sum())
                if not going:
                    break
                if going <= len(rows) // 2:
                    kept = torch.nonzero(~done)[:, 0]
                    rows, chosen, done, cache = rows[kept], chosen[kept], done[kept], cache.pick(kept)
            logits = self.model.step(chosen[:, None], cache).float()
        tokens, log_probs = history.tolist(), scores.tolist()
        lengths = (history != end).sum(1).tolist()
        return [
            Hypothesis(tuple(tokens[i][:n]), tuple(log_probs[i][: min(n + 1, most)])) for i, n in enumerate(lengths)
        ]

    def _biases(self, rules: Rules) -> tuple[Tensor, Tensor]:
        """The rules' masks on the device; `Rules` are made for every batch, mostly with the same values."""
        key = rules.always.tobytes(), rules.at_start.tobytes()
        if key not in self._rules:
            always, at_start = (torch.from_numpy(m).to(self.device) for m in (rules.always, rules.at_start))
            self._rules[key] = always, at_start
        return self._rules[key]
