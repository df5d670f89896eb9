"""Kaldi's log-mel and cepstra of padded batches in torch: row by row what `extract` gives for the clip alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .filterbank import DELTA_CONTEXT, LEAST_DEVIATION, SCALE
from .front_end import FrontEnd
from .kaldi import FLOOR, cepstrum, needed, transform_size, window_of


class Fbank(nn.Module):
    """`(audio (batch, samples), lengths (batch,)) -> (features (batch, frames, inputs), frames (batch,))`, in fp32.

    `fbank` or `mfcc` with deltas and normalisation. Every row ends where its clip ends: mirror, deltas and
    normalisation use real samples and frames only, whatever stands in the padding, and frames beyond a row's own are
    zero. Nothing waits for the device.
    """

    window: Tensor
    filters: Tensor
    cosine: Tensor | None
    columns: Tensor | None

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__()
        self.front_end, part = front_end, needed(front_end)
        self.needed = part
        cosine = columns = None
        if front_end.coefficients:
            cosine = torch.from_numpy(cepstrum(front_end))
        if part.columns is not None:
            columns = torch.tensor(part.columns, dtype=torch.long)
        # Recomputed from the front-end's numbers, so no part of a checkpoint.
        window = torch.from_numpy(window_of(front_end.window_shape, front_end.window))
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", torch.from_numpy(part.filters.copy()), persistent=False)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("columns", columns, persistent=False)

    def forward(self, audio: Tensor, lengths: Tensor, input_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features of `audio` (batch, samples), of which `lengths` (batch,) samples are real.

        `input_mask` has no effect: no dimension depends on another here.
        """
        with torch.autocast(audio.device.type, enabled=False):
            audio, lengths = audio.float(), lengths.to(audio.device)
            steps = torch.arange(audio.shape[1], device=audio.device)
            audio = audio.masked_fill(steps >= lengths[:, None], 0.0)
            most, frames = self.front_end.frames(audio.shape[1]), self._frames(lengths)
            if most == 0:
                return audio.new_zeros(len(audio), 0, self.front_end.inputs), frames
            real = (torch.arange(most, device=audio.device) < frames[:, None])[..., None]
            features = append_deltas(self._statics(audio, lengths, most), frames, self.front_end.deltas)
            if self.columns is not None:
                features = features.index_select(2, self.columns)
            return normalise(features, frames, real, self.front_end.normalise), frames

    def _frames(self, lengths: Tensor) -> Tensor:
        """Frames of rows of `lengths` samples, as `FrontEnd.frames` counts them."""
        f = self.front_end
        if f.snip_edges:
            return ((lengths - f.window).div(f.hop, rounding_mode="floor") + 1).clamp_min(0)
        return (lengths + f.hop // 2).div(f.hop, rounding_mode="floor")

    def _statics(self, audio: Tensor, lengths: Tensor, most: int) -> Tensor:
        """The static features (batch, most, needed statics)."""
        f, part = self.front_end, self.needed
        if not f.snip_edges:
            audio = _mirror_ends(audio, lengths, f)
        # float64 as in `fbank`, but for Apple's GPUs, which have none.
        exact = torch.float32 if audio.device.type == "mps" else torch.float64
        samples = audio.unfold(1, f.window, f.hop)[:, :most].to(exact) * f.full_scale
        if f.remove_dc:
            samples = samples - samples.mean(2, keepdim=True)
        parts = []
        if part.energy:
            parts.append(samples.square().sum(2, keepdim=True).clamp_min(FLOOR).log().float())
        if part.bins:
            if f.preemphasis:
                samples = samples - f.preemphasis * torch.cat([samples[..., :1], samples[..., :-1]], dim=2)
            spectrum = torch.fft.rfft(samples * self.window.to(exact), transform_size(f.window))
            lines = spectrum[..., part.first : part.first + len(self.filters)]
            mel = (torch.view_as_real(lines).square().sum(-1).float() @ self.filters).clamp_min(FLOOR).log()
            parts.append(mel if self.cosine is None else mel @ self.cosine)
        return torch.cat(parts, dim=2)


def append_deltas(features: Tensor, frames: Tensor, order: int) -> Tensor:
    """`features` (batch, frames, statics) and `order` derivatives after them, as `deltas.append_deltas` for each row's
    first `frames` (batch,): (batch, frames, statics * (1 + order))."""
    if order == 0:
        return features
    most, context = features.shape[1], DELTA_CONTEXT * order
    positions = torch.arange(-context, most + context, device=features.device)
    source = torch.minimum(positions.clamp_min(0), (frames[:, None] - 1).clamp_min(0))
    around = features.gather(1, source[..., None].expand(-1, -1, features.shape[2]))
    parts = [features]
    for more in reversed(range(order)):
        around = float(SCALE) * ((around[:, 3:-1] - around[:, 1:-3]) + 2 * (around[:, 4:] - around[:, :-4]))
        parts.append(around[:, DELTA_CONTEXT * more : around.shape[1] - DELTA_CONTEXT * more])
    return torch.cat(parts, dim=2)


def normalise(features: Tensor, frames: Tensor, real: Tensor, kind: str) -> Tensor:
    """`features` (batch, frames, inputs) normalised over each row's `real` (batch, frames, 1) frames; others zero."""
    features = features.masked_fill(~real, 0.0)
    if kind == "none":
        return features
    count = frames.clamp_min(1)[:, None, None]
    exact = torch.float32 if features.device.type == "mps" else torch.float64  # or silence is not all alike
    mean = (features.sum(1, keepdim=True, dtype=exact) / count).to(features.dtype)
    features = (features - mean).masked_fill(~real, 0.0)
    if kind == "mean":
        return features
    deviation = (features.to(exact).square().sum(1, keepdim=True) / count).sqrt().to(features.dtype)
    return features / deviation.clamp_min(LEAST_DEVIATION)


def _mirror_ends(audio: Tensor, lengths: Tensor, front_end: FrontEnd) -> Tensor:
    """Each row's samples mirrored before its start and after its own end, as far as its frames reach."""
    offset = front_end.window // 2 - front_end.hop // 2  # from the first frame's start to the clip's
    before, after = max(0, offset), front_end.window
    around = torch.arange(-before, after, device=audio.device)
    positions = torch.where(around < 0, around, lengths[:, None] + around)
    # A mirror that repeats the last sample is a triangular wave with flat corners; it goes on in shorter clips.
    phase = positions.remainder((2 * lengths[:, None]).clamp_min(1))
    source = torch.minimum(phase, 2 * lengths[:, None] - 1 - phase).clamp_min(0)
    padded = nn.functional.pad(audio, (before, after)).scatter(1, positions + before, audio.gather(1, source))
    return padded[:, max(0, -offset) :]
