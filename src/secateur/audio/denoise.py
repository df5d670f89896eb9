"""Denoising on request: a spectral gate in numpy, or the small network GTCRN through ONNX Runtime.

Neither is applied unless asked for: a recogniser that knows noisy speech can do worse on what a denoiser leaves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from .gtcrn import Gtcrn
from .stft import istft, stft

SPECTRAL = "spectral"

_WINDOW_SECONDS = 0.032
_OVERLAP = 4  # frames that see each sample
_QUIET_SHARE = 0.1  # of the frames: a clip of speech has at least so many pauses
_SMOOTHING = 0.98  # of the signal-to-noise ratio over time (Ephraim and Malah's value)


def denoise(
    audio: NDArray[np.float32], sample_rate: int = 16000, method: str | Path = SPECTRAL, floor_db: float = -18.0
) -> NDArray[np.float32]:
    """`audio` (samples,) with less noise, at the same rate and length.

    `method` is "spectral" (see `spectral_gate`; `floor_db` is for it alone) or the path of a GTCRN model in ONNX. For
    many clips build one `Gtcrn` and call it: loading takes longer than a short clip.

    Raises:
        SecateurError: neither a known method nor a model file, or a file that is not a GTCRN model.
    """
    if str(method) == SPECTRAL:
        return spectral_gate(audio, sample_rate, floor_db)
    if not Path(method).is_file():
        raise SecateurError(f"{method}: neither the method '{SPECTRAL}' nor the file of a GTCRN model (.onnx)")
    return Gtcrn(method)(audio, sample_rate)


def spectral_gate(audio: NDArray[np.float32], sample_rate: int, floor_db: float = -18.0) -> NDArray[np.float32]:
    """`audio` (samples,) with steady noise turned down by up to `floor_db` dB.

    The noise power N(f) of each bin is its mean over the quietest tenth of the frames. With the ratio g = |X|^2 / N
    of frame t, a decision-directed estimate of the signal-to-noise ratio (Ephraim and Malah 1984) follows speech at
    once and keeps still in noise, so that no tones are left, and Wiener's gain comes of it:

        x(t) = 0.98 G(t-1)^2 g(t-1) + 0.02 max(g(t) - 1, 0),   G(t) = max(x / (1 + x), 10^(floor_db / 20))
    """
    if len(audio) == 0:
        return audio
    size = 1 << round(np.log2(_WINDOW_SECONDS * sample_rate))
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    spectra = stft(audio, window, size // _OVERLAP)
    power = np.square(np.abs(spectra))
    ratio = power / np.maximum(_noise_power(power), 1e-12)
    lowest = 10 ** (floor_db / 20)
    gain = np.empty_like(ratio)
    previous = np.maximum(ratio[0] - 1, 0)  # the last frame's speech power over noise power
    for t, ratios in enumerate(ratio):
        estimate = _SMOOTHING * previous + (1 - _SMOOTHING) * np.maximum(ratios - 1, 0)
        gain[t] = np.maximum(estimate / (1 + estimate), lowest)
        previous = np.square(gain[t]) * ratios
    return istft(spectra * gain, window, size // _OVERLAP, len(audio))


def _noise_power(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Noise power of each bin (bins,) from power spectra (frames, bins)."""
    loudness = power.sum(axis=1)
    # Digital silence, such as padding, is no sample of the noise.
    sounding = power[loudness > 1e-10 * loudness.max()]
    if len(sounding) == 0:
        return np.zeros(power.shape[1], np.float32)
    count = max(1, round(_QUIET_SHARE * len(sounding)))
    quietest = np.argpartition(sounding.sum(axis=1), count - 1)[:count]
    mean: NDArray[np.float32] = sounding[quietest].mean(axis=0)
    return mean
