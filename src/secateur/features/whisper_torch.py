"""Log-mel features of padded batches in torch: row by row what `whisper.log_mel` gives for the clip alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .front_end import FrontEnd
from .whisper import FLOOR, RANGE, check_kind, kept_filters


class LogMel(nn.Module):
    """`(audio (batch, samples), lengths (batch,)) -> (mel (batch, frames, mels), frames (batch,))`, always in fp32.

    Every row ends where its clip ends: the reflection at the end and the maximum use real samples only, whatever
    the padding holds, and frames beyond `lengths // hop` are zero. Nothing waits for the device.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__()
        check_kind(front_end)
        self.front_end = front_end
        self.first, filters = kept_filters(front_end)
        # Recomputed from the front-end's numbers, so no part of a checkpoint.
        self.register_buffer("window", torch.hann_window(front_end.window), persistent=False)
        self.register_buffer("filters", torch.from_numpy(filters.copy()), persistent=False)

    def forward(
        self, audio: Tensor, lengths: Tensor, pad_to: int | None = None, input_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features of `audio` (batch, samples), of which `lengths` (batch,) samples are real.

        `pad_to` samples: every row is a clip that silence fills up to there (Whisper's 30 s windows), so that the
        silence counts as real and all rows have `pad_to // hop` frames. `input_mask` (mels,): the bins that a
        masked network still reads; the maximum is over them, as if the others were not computed (None: all).

        Raises:
            ValueError: rows longer than `pad_to`.
        """
        hop, half = self.front_end.hop, self.front_end.window // 2
        with torch.autocast(audio.device.type, enabled=False):
            audio, lengths = audio.float(), lengths.to(audio.device)
            steps = torch.arange(audio.shape[1], device=audio.device)
            audio = audio.masked_fill(steps >= lengths[:, None], 0.0)
            if pad_to is not None:
                if audio.shape[1] > pad_to:
                    raise ValueError(f"audio of {audio.shape[1]} samples does not fit pad_to={pad_to}")
                audio = nn.functional.pad(audio, (0, pad_to - audio.shape[1]))
                lengths = torch.full_like(lengths, pad_to)
            frames = lengths // hop
            most = audio.shape[1] // hop
            if most == 0:
                return audio.new_zeros(len(audio), 0, self.front_end.inputs), frames
            spectrum = torch.stft(
                _reflect_ends(audio, lengths, half), self.front_end.window, hop, window=self.window,
                center=False, return_complex=True,
            )[..., :most]  # fmt: skip
            lines = spectrum[:, self.first : self.first + len(self.filters)]
            power = torch.view_as_real(lines).square().sum(-1)
            mel = torch.log10((power.transpose(1, 2) @ self.filters).clamp_min(FLOOR))
            real = (torch.arange(most, device=audio.device) < frames[:, None])[..., None]
            counted = real if input_mask is None else real & input_mask.to(mel.device)
            loudest = mel.masked_fill(~counted, -torch.inf).amax((1, 2), keepdim=True)
            mel = (torch.maximum(mel, loudest - RANGE) + 4) / 4
            return mel.masked_fill(~real, 0.0), frames


def _reflect_ends(audio: Tensor, lengths: Tensor, half: int) -> Tensor:
    """`half` samples of reflection before every row's start and after its own end: (batch, half + samples + half)."""
    around = torch.arange(half, device=audio.device)
    before = (around - half).expand(len(audio), -1)
    after = lengths[:, None] + around
    positions = torch.cat([before, after], dim=1)
    # Reflection is a triangular wave over the clip's samples; it bounces again in clips shorter than `half`.
    last = (lengths[:, None] - 1).clamp_min(0)
    phase = positions.remainder((2 * last).clamp_min(1))
    source = torch.minimum(phase, 2 * last - phase).clamp_min(0)
    return nn.functional.pad(audio, (half, half)).scatter(1, positions + half, audio.gather(1, source))
