"""Denoising on request: a spectral gate in numpy, or the small network GTCRN through ONNX Runtime.

Neither is applied unless asked for: a recogniser that knows noisy speech can do worse on what a denoiser leaves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..base.errors import SecateurError
from .arrays import resample

SPECTRAL = "spectral"

_WINDOW_SECONDS = 0.032
_OVERLAP = 4  # frames that see each sample
_QUIET_SHARE = 0.1  # of the frames: a clip of speech has at least so many pauses
_SMOOTHING = 0.98  # of the signal-to-noise ratio over time (Ephraim and Malah's value)


_GTCRN_RATE = 16000  # Hz
_GTCRN_WINDOW, _GTCRN_HOP = 512, 256  # samples; the window is the root of Hann's, as the network was trained with
_GTCRN_MIX = [1, _GTCRN_WINDOW // 2 + 1, 1, 2]  # one frame: (batch, bins, frames, real and imaginary part)


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


class Gtcrn:
    """A loaded model: call it with a clip. State lasts a clip, so that clips do not affect each other."""

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        """Load the streaming ONNX model at `path`.

        Raises:
            SecateurError: not an ONNX model, or not one with GTCRN's inputs and outputs.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as problem:  # ONNX Runtime's errors share no class
            raise SecateurError(f"{path}: cannot be loaded as an ONNX model: fetch it again") from problem
        mix, *caches = self._session.get_inputs()
        fixed = all(isinstance(size, int) for cache in caches for size in cache.shape)
        if list(mix.shape) != _GTCRN_MIX or not fixed or len(self._session.get_outputs()) != 1 + len(caches):
            raise SecateurError(f"{path}: not a streaming GTCRN model (its first input is {mix.name} {mix.shape})")
        self._mix = mix.name
        self._caches = {cache.name: tuple(cache.shape) for cache in caches}

    def __call__(self, audio: NDArray[np.float32], sample_rate: int = _GTCRN_RATE) -> NDArray[np.float32]:
        """`audio` (samples,) with less noise; other rates than 16 kHz are resampled there and back."""
        if len(audio) == 0:
            return audio
        resampled = resample(audio, sample_rate, _GTCRN_RATE)
        window = np.sqrt(np.hanning(_GTCRN_WINDOW + 1)[:-1]).astype(np.float32)
        spectra = stft(resampled, window, _GTCRN_HOP)
        caches = {name: np.zeros(shape, np.float32) for name, shape in self._caches.items()}
        cleaned = np.empty_like(spectra)
        for t, frame in enumerate(spectra):
            mix = np.stack([frame.real, frame.imag], axis=-1).reshape(_GTCRN_MIX).astype(np.float32)
            output, *new = self._session.run(None, {self._mix: mix, **caches})
            cleaned[t] = output[0, :, 0, 0] + 1j * output[0, :, 0, 1]
            caches = dict(zip(self._caches, new, strict=True))
        clean = resample(istft(cleaned, window, _GTCRN_HOP, len(resampled)), _GTCRN_RATE, sample_rate)
        return np.pad(clean[: len(audio)], (0, max(0, len(audio) - len(clean))))
