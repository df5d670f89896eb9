"""Exported models timed against each other on this machine's CPU, in the runtime that they are deployed in."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..decode.clips import encode_clips
from ..export.onnx import export_onnx
from ..models.family import Config, TextCodec
from ..models.network import Network
from ..runtime.contents import CTC_FILES, read_contents
from ..runtime.onnx_session import OnnxSession
from ..runtime.recogniser import Recogniser

SECONDS, TOKENS = 5.0, 16  # a usual clip, as in `prune.units.COSTS`


SESSIONS = 3
Samples = NDArray[np.float32]


class TimedExport:
    """A model as it is deployed: `run` decodes one clip of `seconds` to `tokens`; `bytes` is its files' size.

    Features, encoder and every step of the decoder are run, or the whole network with CTC; texts are ignored.
    The files are loaded `sessions` times: the placement of weights in memory changes a session's time by up to a
    tenth, so that one session measures a model poorly.
    """

    def __init__(
        self, model: Network, text: TextCodec, precision: str = "fp32", threads: int = 1, seconds: float = SECONDS,
        tokens: int = TOKENS, sessions: int = SESSIONS,
    ) -> None:  # fmt: skip
        config = model.config
        seconds = min(seconds, config.max_seconds)
        rate = config.front_end.sample_rate
        audio = _noise(seconds, rate)
        with tempfile.TemporaryDirectory() as folder:
            path = export_onnx(model, text, Path(folder) / "model", precision, trial=False)
            self.bytes = read_contents(path).bytes
            load = _ctc if (path / CTC_FILES[0]).exists() else _whisper
            self.runs = [load(path, threads, audio, tokens) for _ in range(sessions)]
        self._begin(threads)

    @classmethod
    def of_clips(
        cls, model: Network, text: TextCodec, precision: str, clips: Sequence[tuple[float, int]],
        nibbles: Sequence[str] = (), sessions: int = 2,
    ) -> list[TimedExport]:  # fmt: skip
        """One export, timed in one thread on clips of several (seconds, tokens)."""
        with tempfile.TemporaryDirectory() as folder:
            path = export_onnx(model, text, Path(folder) / "model", precision, trial=False, nibbles=nibbles)
            return [cls.of_folder(path, model.config, seconds, tokens, sessions) for seconds, tokens in clips]

    @classmethod
    def of_folder(cls, path: Path, config: Config, seconds: float, tokens: int, sessions: int = 2) -> TimedExport:
        """An exported folder as it is, timed in one thread."""
        timed = cls.__new__(cls)
        audio = _noise(min(seconds, config.max_seconds), config.front_end.sample_rate)
        load = _ctc if (path / CTC_FILES[0]).exists() else _whisper
        timed.bytes = read_contents(path).bytes
        timed.runs = [load(path, 1, audio, tokens) for _ in range(sessions)]
        timed._begin(1)
        return timed

    def _begin(self, threads: int) -> None:
        """The clock, and a first run of every session, which allocates."""
        self.clock = time.thread_time if threads == 1 else time.perf_counter
        for run in self.runs:
            run()

    def run(self, number: int = 0) -> None:
        """Decode the clip in session `number`, modulo the number of sessions."""
        self.runs[number % len(self.runs)]()

    def seconds(self, number: int = 0) -> float:
        """Seconds of one run; with one thread its CPU time, which other programs on the machine do not add to."""
        start = self.clock()
        self.run(number)
        return self.clock() - start


def _noise(seconds: float, rate: int) -> Samples:
    """What a clip is timed on: it sounds like nothing, and takes as long as speech."""
    return 0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate)).astype(np.float32)


def _ctc(path: Path, threads: int, audio: Samples, tokens: int) -> Callable[[], None]:
    network: Any = Recogniser.load(path, threads)
    return lambda: network.log_probs([audio])


def _whisper(path: Path, threads: int, audio: Samples, tokens: int) -> Callable[[], None]:
    session = OnnxSession(path, threads)
    prompt = np.array([session.config.tokens.prompt()], np.int64)
    steps = min(tokens, session.config.text_context - prompt.shape[1])

    def run() -> None:
        state = encode_clips(session, [audio])
        _, state = session.step(prompt, state)
        for _ in range(steps):
            _, state = session.step(np.ones((1, 1), np.int64), state)

    return run


def side_by_side(first: TimedExport, second: TimedExport, rounds: int = 4) -> tuple[float, float, float]:
    """Milliseconds of each, and the second's share of the first's time.

    In each round all sessions of both run in turn. The time of a session is its median over rounds, that of a model the
    mean over its sessions.
    """
    first_times, second_times = (np.zeros((rounds, len(model.runs))) for model in (first, second))
    for i in range(rounds):
        for session in range(max(len(first.runs), len(second.runs))):
            for times, model in ((first_times, first), (second_times, second)):
                if session < len(model.runs):
                    times[i, session] = model.seconds(session)
    a, b = (float(np.median(times, 0).mean()) for times in (first_times, second_times))
    return 1000 * a, 1000 * b, b / a
