"""A kind of features: the logarithm of the power in equally wide bands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from secateur.features.front_end import FrontEnd, Kind

FLOOR = 1e-6


def bands(f: FrontEnd) -> NDArray[np.float32]:
    """Which line of the spectrum belongs to which band (window // 2 + 1, bins)."""
    lines = f.window // 2 + 1
    return np.eye(f.bins, dtype=np.float32)[np.arange(lines) * f.bins // lines]


class Bands(Kind):
    """A frame is `bins` bands; the last frames of a clip are filled up with silence."""

    name, title, streams = "toy-bands", "the toy's bands", True
    usual = {"bins": 12, "window": 256, "hop": 128}  # noqa: RUF012
    in_torch = "toy_asr.features_torch:BandsModule"

    def extract(self, samples: NDArray[np.float32], f: FrontEnd) -> NDArray[np.float32]:
        """(samples,) to (samples // hop, bins)."""
        count = self.frames(f, len(samples))
        padded = np.pad(samples, (0, f.window))
        rows = np.stack([padded[i * f.hop : i * f.hop + f.window] for i in range(count)] or [padded[: f.window]])
        power = np.square(np.abs(np.fft.rfft(rows, axis=1)))[:count] @ bands(f)
        return np.log(power + FLOOR).astype(np.float32)


KIND: Any = Bands()
