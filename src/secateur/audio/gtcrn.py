"""GTCRN, a speech enhancer of 48,800 parameters (Rong et al. 2024), frame by frame through ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from .resample import resample
from .stft import istft, stft

_RATE = 16000  # Hz
_WINDOW, _HOP = 512, 256  # samples; the window is the root of Hann's, as the network was trained with
_MIX = [1, _WINDOW // 2 + 1, 1, 2]  # one frame: (batch, bins, frames, real and imaginary part)


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
        if list(mix.shape) != _MIX or not fixed or len(self._session.get_outputs()) != 1 + len(caches):
            raise SecateurError(f"{path}: not a streaming GTCRN model (its first input is {mix.name} {mix.shape})")
        self._mix = mix.name
        self._caches = {cache.name: tuple(cache.shape) for cache in caches}

    def __call__(self, audio: NDArray[np.float32], sample_rate: int = _RATE) -> NDArray[np.float32]:
        """`audio` (samples,) with less noise; other rates than 16 kHz are resampled there and back."""
        if len(audio) == 0:
            return audio
        resampled = resample(audio, sample_rate, _RATE)
        window = np.sqrt(np.hanning(_WINDOW + 1)[:-1]).astype(np.float32)
        spectra = stft(resampled, window, _HOP)
        caches = {name: np.zeros(shape, np.float32) for name, shape in self._caches.items()}
        cleaned = np.empty_like(spectra)
        for t, frame in enumerate(spectra):
            mix = np.stack([frame.real, frame.imag], axis=-1).reshape(_MIX).astype(np.float32)
            output, *new = self._session.run(None, {self._mix: mix, **caches})
            cleaned[t] = output[0, :, 0, 0] + 1j * output[0, :, 0, 1]
            caches = dict(zip(self._caches, new, strict=True))
        clean = resample(istft(cleaned, window, _HOP, len(resampled)), _RATE, sample_rate)
        return np.pad(clean[: len(audio)], (0, max(0, len(audio) - len(clean))))
