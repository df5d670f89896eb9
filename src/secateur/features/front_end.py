"""The front-end's numbers; part of the checkpoint, so that training and runtime compute the same features."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrontEnd:
    """How a clip becomes features: log-mel as Whisper computes it (see `secateur.features.mel`).

    `kept_bins` lists the mel bins that the network still reads, out of `bins`; None means all of them.
    """

    sample_rate: int = 16000  # Hz
    window: int = 400  # samples
    hop: int = 160  # samples
    bins: int = 80
    kept_bins: tuple[int, ...] | None = None

    @property
    def inputs(self) -> int:
        """Features a frame that reach the network."""
        return self.bins if self.kept_bins is None else len(self.kept_bins)
