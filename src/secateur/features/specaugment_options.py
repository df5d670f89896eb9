"""SpecAugment's numbers, in one frozen dataclass that needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.options import Settings, option


@dataclass(frozen=True)
class SpecAugmentOptions(Settings):
    """How much SpecAugment hides of training features (Park et al. 2019). A mask's width is drawn evenly from 0 up."""

    time_masks: int = option(2, "Hide this many stretches of time in each clip.", unit="masks", least=0)
    time_width: int = option(20, "Hide at most this much time with each mask.", unit="frames", least=0)
    time_share: float = option(
        0.2, "Limit each time mask to this share of the clip, so that short clips stay intelligible.", unit="share",
        least=0, most=1, advanced=True,
    )  # fmt: skip
    frequency_masks: int = option(2, "Hide this many frequency bands in each clip.", unit="masks", least=0)
    frequency_width: int = option(15, "Hide at most this many bins with each frequency mask.", unit="bins", least=0)
