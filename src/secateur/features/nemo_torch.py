"""NeMo's log-mel of padded batches in torch: row by row what `nemo.nemo_log_mel` gives for the clip alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .front_end import FrontEnd
from .kaldi import transform_size
from .nemo import GUARD, LEAST_DEVIATION, tables


class NemoLogMel(nn.Module):
    """`(audio (batch, samples), lengths (batch,)) -> (features (batch, frames, bins), frames (batch,))`.

    Padding is zero.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__()
        self.front_end = front_end
        # Recomputed from the front-end's numbers, so no part of a checkpoint.
        for name, table in zip(("window", "filters"), tables(front_end), strict=True):
            self.register_buffer(name, torch.from_numpy(table.copy()), persistent=False)

    def forward(self, audio: Tensor, lengths: Tensor, input_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See the class; no bin depends on another, so `input_mask` has no effect."""
        f = self.front_end
        with torch.autocast(audio.device.type, enabled=False):
            # float64 as in `nemo`, but for Apple's GPUs, which have none.
            exact = torch.float32 if audio.device.type == "mps" else torch.float64
            lengths = lengths.to(audio.device)
            frames, most = lengths.div(f.hop, rounding_mode="floor"), audio.shape[1] // f.hop
            if most == 0:
                return audio.new_zeros(len(audio), 0, f.bins, dtype=torch.float32), frames
            audio = audio.to(exact)
            audio = torch.cat([audio[:, :1], audio[:, 1:] - f.preemphasis * audio[:, :-1]], 1)
            audio = audio.masked_fill(torch.arange(audio.shape[1], device=audio.device) >= lengths[:, None], 0.0)
            views = nn.functional.pad(audio, (f.window // 2, f.window // 2)).unfold(1, f.window, f.hop)[:, :most]
            spectrum = torch.fft.rfft(views * self.window.to(exact), transform_size(f.window))
            mel = (torch.view_as_real(spectrum).square().sum(-1) @ self.filters.to(exact) + GUARD).log()
            real = (torch.arange(most, device=audio.device) < frames[:, None])[..., None]
            count = frames.clamp_min(1)[:, None, None]
            apart = mel - mel.masked_fill(~real, 0.0).sum(1, keepdim=True) / count
            apart = apart.masked_fill(~real, 0.0)
            deviation = (apart.square().sum(1, keepdim=True) / (count - 1).clamp_min(1)).sqrt()
            return (apart / (deviation + LEAST_DEVIATION)).float(), frames
