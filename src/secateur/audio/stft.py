"""Short-time spectra and back, for processing sound in between (features have their own, see `features.whisper`)."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray


def stft(audio: NDArray[np.float32], window: NDArray[np.float32], hop: int) -> NDArray[np.complex64]:
    """Spectra (frames, bins) of `audio` (samples,), frame t centred on sample `t * hop`, silence beyond the ends.

    `len(window)` is a multiple of `hop`.
    """
    half = len(window) // 2
    frames = -(-len(audio) // hop) + 1
    padded = np.zeros((frames - 1) * hop + len(window), np.float32)
    padded[half : half + len(audio)] = audio
    spectra = np.fft.rfft(sliding_window_view(padded, len(window))[::hop] * window, axis=1)
    return spectra.astype(np.complex64, copy=False)


def istft(spectra: NDArray[np.complex64], window: NDArray[np.float32], hop: int, samples: int) -> NDArray[np.float32]:
    """The sound (samples,) of spectra that `stft` gave with the same window and hop: weighted overlap-add."""
    frames = np.fft.irfft(spectra, len(window), axis=1) * window
    overlap = len(window) // hop
    summed = np.zeros((len(frames) + overlap - 1, hop))
    weights = np.zeros_like(summed)
    for step in range(overlap):
        part = slice(step * hop, (step + 1) * hop)
        summed[step : step + len(frames)] += frames[:, part]
        weights[step : step + len(frames)] += np.square(window[part])
    sound = (summed / np.maximum(weights, 1e-8)).reshape(-1)
    half = len(window) // 2
    return sound[half : half + samples].astype(np.float32)
