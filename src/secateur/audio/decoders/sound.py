"""What every decoder gives: an open recording, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...base.errors import SecateurError

RATES = (4_000, 384_000)  # Hz; telephones have 8 kHz, the finest studio formats 384 kHz
MOST_CHANNELS = 64

Block = tuple[NDArray[np.float32], int]  # samples (frames, channels), and their rate in Hz


@dataclass
class Sound:
    """An open recording, to be read once."""

    rate: int  # Hz
    channels: int
    frames: int | None  # samples a channel that there are, as far as is known before decoding
    format: str  # container and coding, such as "WAV PCM_16"
    blocks: Callable[[int], Iterator[Block]]  # all from a frame on; frames before it need `exact`
    seeks: bool = False  # whether `blocks` may begin after frame 0
    preroll: float = 0.0  # seconds before the first frame wanted, until a decoder that begins there gives the same
    notes: list[str] = field(default_factory=list)  # what a person should know, when all is decoded


def check_rate(name: str, rate: int, channels: int) -> None:
    """Refuse what is no recording.

    Raises:
        SecateurError: a rate or a number of channels outside the limits.
    """
    if not RATES[0] <= rate <= RATES[1]:
        raise SecateurError(f"{name}: a sample rate of {rate} Hz is not from {RATES[0]} to {RATES[1]} Hz")
    if not 1 <= channels <= MOST_CHANNELS:
        raise SecateurError(f"{name}: {channels} channels, more than the limit of {MOST_CHANNELS}")
