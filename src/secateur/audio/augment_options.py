"""What is done to training audio, in one frozen dataclass that needs no torch; `augment` does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..base.options import Settings, option


@dataclass(frozen=True)
class AugmentOptions(Settings):
    """How training audio is changed, clip by clip. A chance is the share of clips; a pair is a range to draw from.

    Rooms, telephones and gain are off until asked for: whether they help depends on where the model will listen.
    Log-mel features that are normalised by the clip's maximum, as Whisper's, hardly notice gain.
    """

    speeds: tuple[float, ...] = option(
        (0.9, 1.0, 1.1), "Play every clip at one of these speeds, drawn anew each time.", least=0.5, most=2
    )
    room_chance: float = option(0.0, "Add reverberation to this share of the clips.", unit="share", least=0, most=1)
    rt60: tuple[float, ...] = option(
        (0.1, 0.6), "Draw the reverberation time (60 dB down) from this range.", unit="s", above=0, most=5,
        advanced=True, goes_with="room_chance",
    )  # fmt: skip
    direct_db: tuple[float, ...] = option(
        (0.0, 12.0),
        "Draw the direct sound's level over the reverberation's from this range.",
        unit="dB",
        advanced=True,
        goes_with="room_chance",
    )
    noise_chance: float = option(
        0.5,
        "Mix noise into this share of the clips, where recordings of noise are given.",
        unit="share",
        least=0,
        most=1,
    )
    snr_db: tuple[float, ...] = option((5.0, 20.0), "Draw the signal-to-noise ratio from this range.", unit="dB")
    telephone_chance: float = option(
        0.0, "Pass this share of the clips through a telephone band.", unit="share", least=0, most=1
    )
    gain_chance: float = option(
        0.0, "Change the level of this share of the clips.", unit="share", least=0, most=1, advanced=True
    )
    gain_db: tuple[float, ...] = option(
        (-12.0, 6.0), "Draw the change of level from this range.", unit="dB", advanced=True, goes_with="gain_chance"
    )

    warp_chance: float = option(
        0.0, "Warp the frequencies of this share of the clips, as a vocal tract of another length does (VTLP): for "
        "children's speech.", unit="share", least=0, most=1,
    )  # fmt: skip
    warp: tuple[float, ...] = option(
        (0.85, 1.2),
        "Draw the warp's factor from this range; above 1 formants go up.",
        least=0.5,
        most=2,
        advanced=True,
        goes_with="warp_chance",
    )
    warp_kind: Literal["spectrum", "envelope"] = option(
        "spectrum",
        "Warp harmonics and formants together, or the spectral envelope alone: formants without pitch.",
        advanced=True,
        goes_with="warp_chance",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rt60", "direct_db", "snr_db", "gain_db", "warp"):
            limits = getattr(self, name)
            if len(limits) != 2 or limits[0] > limits[1]:
                raise ValueError(f"{name}: expected two numbers, the lower first, found {limits}")
        if not self.speeds:
            raise ValueError("speeds: expected one or more from 0.5 to 2, found none")
