"""Where a recording is quiet: pauses between words, found within what word times leave open."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAME = 0.01  # s
SMOOTH = 3  # frames
QUIET = 0.3  # of the way (dB) from the quietest to speech, below which nobody speaks


class Pauses:
    """The level of a recording by frames, and its quiet stretches."""

    def __init__(self, samples: NDArray[np.floating], rate: int) -> None:
        size = round(FRAME * rate)
        frames = max(1, len(samples) // size)
        cut = np.zeros(frames * size, np.float32)
        cut[: min(len(samples), len(cut))] = samples[: len(cut)]
        power = np.square(cut.reshape(frames, size)).mean(1) + 1e-10
        power = np.convolve(power, np.ones(SMOOTH) / SMOOTH, mode="same")
        self.level = 10 * np.log10(power)  # dB
        floor, speech = np.percentile(self.level, (5, 90))
        self.quiet = self.level < floor + QUIET * max(speech - floor, 10.0)
        self.seconds = len(samples) / rate

    def between(self, first: float, last: float) -> tuple[float, float] | None:
        """The longest quiet stretch that touches `first` to `last` (s), or None; its whole length, also beyond."""
        a = int(np.clip(first / FRAME, 0, len(self.quiet) - 1))
        b = int(np.clip(np.ceil(last / FRAME), a + 1, len(self.quiet)))
        best: tuple[int, int] | None = None
        i = a
        while i < b:
            if not self.quiet[i]:
                i += 1
                continue
            start = end = i
            while start > 0 and self.quiet[start - 1]:
                start -= 1
            while end < len(self.quiet) and self.quiet[end]:
                end += 1
            if best is None or end - start > best[1] - best[0]:
                best = start, end
            i = end
        return None if best is None else (best[0] * FRAME, best[1] * FRAME)
