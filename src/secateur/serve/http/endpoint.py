"""Where speech begins and pauses, by its level over that of the background."""

from __future__ import annotations

import numpy as np

from ...models.decoding.segments import Audio

FRAME = 0.02  # seconds
OVER = 9.0  # dB over the background that speech has
FLOOR = -60.0  # dB of full scale; below, nobody speaks
START = 0.16  # seconds of loud frames, within half a second, that are speech
PAUSE = 0.7  # seconds of quiet that end it


class Endpointer:
    """Follows one stream (samples at `rate` Hz)."""

    def __init__(self, rate: int, before: Endpointer | None = None, pause: float = PAUSE) -> None:
        self.rate, self.pause = rate, pause
        self.background: float = before.background if before is not None else -45.0
        self._rest = np.zeros(0, np.float32)
        self._loud: list[bool] = []
        self.speech = False
        self._quiet = 0.0

    def take(self, samples: Audio) -> tuple[bool, bool]:
        """Whether somebody has spoken so far, and whether they have paused since."""
        size = round(FRAME * self.rate)
        audio = np.concatenate([self._rest, samples])
        frames = audio[: len(audio) // size * size].reshape(-1, size)
        self._rest = audio[frames.size :]
        for level in 10 * np.log10((frames**2).mean(1) + 1e-10):
            # The background falls at once and rises slowly, 3 dB a second.
            self.background = min(level, self.background + 3 * FRAME) if level > FLOOR - 20 else self.background
            loud = bool(level > max(FLOOR, self.background + OVER))
            self._loud = [*self._loud[-24:], loud]
            if sum(self._loud) * FRAME >= START:
                self.speech = True
            self._quiet = 0.0 if loud else self._quiet + FRAME
        return self.speech, self.speech and self._quiet >= self.pause
