"""The same in torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from secateur.features.front_end import FrontEnd

from .features import FLOOR, bands


class BandsModule(nn.Module):
    """`(audio (batch, samples), lengths) -> (features, frames)`; frames beyond a row's own are zero."""

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__()
        self.front_end = front_end
        self.register_buffer("bands", torch.from_numpy(bands(front_end)), persistent=False)

    def forward(self, audio: Tensor, lengths: Tensor, input_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        f = self.front_end
        lengths = lengths.to(audio.device)
        real = torch.arange(audio.shape[1], device=audio.device) < lengths[:, None]
        audio = nn.functional.pad(audio.float().masked_fill(~real, 0.0), (0, f.window))
        frames, most = lengths // f.hop, (audio.shape[1] - f.window) // f.hop
        rows = audio.unfold(1, f.window, f.hop)[:, :most]
        power = torch.view_as_real(torch.fft.rfft(rows)).square().sum(-1) @ self.bands
        kept = torch.arange(most, device=audio.device) < frames[:, None]
        return (power + FLOOR).log() * kept[..., None], frames
