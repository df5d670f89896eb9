"""Where a clip's speech begins and ends, and its room tone: the sound of the room when nobody speaks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAME = 0.02  # s, of one energy
FLOOR_DB = -80.0  # dBFS; what is quieter counts as this
STRETCH = 0.3  # s, of a clip's quietest stretch, which its room tone is made of
GRAIN = 0.1  # s
ABOVE = 0.3  # of the way, in dB, from a clip's quietest tenth to its loudest twentieth: what is above is speech
BELOW_LOUD = 10.0  # dB; speech is at least what is less than this below the loudest twentieth

Samples = NDArray[np.float32]


def levels(audio: Samples, rate: int) -> NDArray[np.float64]:
    """dBFS of every 20 ms of samples (n,); a shorter clip has one."""
    size = round(FRAME * rate)
    padded = np.pad(audio, (0, max(0, size - len(audio))))
    power = np.square(padded[: len(padded) // size * size].reshape(-1, size), dtype=np.float64).mean(1)
    decibels: NDArray[np.float64] = np.maximum(10 * np.log10(power + 1e-12), FLOOR_DB)
    return decibels


def edges(audio: Samples, rate: int) -> tuple[int, int]:
    """The samples between which there is speech, by energy, to 20 ms; a clip in which nothing stands out is all speech.

    Speech is what stands out of the clip's own quietest tenth by `ABOVE` of the way to its loudest twentieth (in dB)
    for 60 ms.
    """
    db = levels(audio, rate)
    floor, loud = np.quantile(db, [0.1, 0.95])
    threshold = min(floor + ABOVE * (loud - floor), loud - BELOW_LOUD)
    around = np.convolve(db, np.ones(3), "same") / np.convolve(np.ones(len(db)), np.ones(3), "same")
    spoken = np.flatnonzero(around >= threshold)
    if not len(spoken):
        return 0, len(audio)
    size = round(FRAME * rate)
    return int(spoken[0]) * size, min(int(spoken[-1] + 1) * size, len(audio))


def quiet_middle(audio: Samples, rate: int) -> int:
    """The sample of the quietest moment (100 ms) in the middle half of the speech: where a pause fits best."""
    start, end = edges(audio, rate)
    db = np.convolve(levels(audio, rate), np.ones(5) / 5, "same")
    size = round(FRAME * rate)
    first, last = (round((start + share * (end - start)) / size) for share in (0.25, 0.75))
    inside = db[first : max(last, first + 1)]
    quietest = first + int(np.argmin(inside)) if len(inside) else len(db) // 2
    return min(quietest * size + size // 2, len(audio))


def room_tone(audio: Samples, samples: int, rate: int, random: np.random.Generator) -> Samples:
    """Tone (samples,) of the room of a clip: grains drawn from its quietest stretch, their signs too, overlapping by
    half under a sine window, so that the power stays and no period is left."""
    db = levels(audio, rate)
    width = min(round(STRETCH / FRAME), len(db))
    counted = np.where(db > FLOOR_DB, db, 0.0)  # dead samples at an end are no room tone
    quiet = int(np.argmin(np.convolve(counted, np.ones(width), "valid"))) * round(FRAME * rate)
    size = round(GRAIN * rate) // 2 * 2
    stretch = audio[quiet : quiet + round(STRETCH * rate)]
    stretch = np.pad(stretch, (0, max(0, size - len(stretch))))
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    grains = -(-samples // (size // 2)) + 1
    starts = random.integers(0, len(stretch) - size + 1, grains)
    signs = random.choice([-1.0, 1.0], grains)
    cut = stretch[starts[:, None] + np.arange(size)] * window * signs[:, None]
    tone = cut[1:, : size // 2] + cut[:-1, size // 2 :]
    laid: Samples = tone.reshape(-1)[:samples].astype(np.float32)
    return laid
