"""Exported models timed beside each other on this machine's CPU, through the runtime that ships them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ...export.contents import CTC_FILES, read_contents
from ...export.onnx import export_onnx
from ...models.decoding.clips import encode_clips
from ...models.family import TextCodec
from ...serve.onnx_session import OnnxSession
from ...serve.recogniser import Recogniser

SECONDS, TOKENS = 5.0, 16  # a usual clip, as in `prune.units.COSTS`


class Exported:
    """A model as it is shipped: `run` hears one clip of `seconds` and writes `tokens`; `bytes` is its files' size.

    Features, encoder and every step of the decoder are run, or the whole network with CTC; words are not looked at.
    """

    def __init__(
        self, model: Any, text: TextCodec, precision: str = "fp32", threads: int = 1, seconds: float = SECONDS,
        tokens: int = TOKENS,
    ) -> None:  # fmt: skip
        config = model.config
        seconds = min(seconds, config.max_seconds)
        rate = config.front_end.sample_rate
        audio = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate)).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            path = export_onnx(model, text, Path(folder) / "model", precision, trial=False)
            self.bytes = read_contents(path).bytes
            self.run: Callable[[], None]
            if (path / CTC_FILES[0]).exists():
                network: Any = Recogniser.load(path, threads)
                self.run = lambda: network.log_probs([audio])
            else:
                self.run = _whisper(OnnxSession(path, threads), audio, tokens)
        self.clock = time.thread_time if threads == 1 else time.perf_counter
        self.run()

    def seconds(self) -> float:
        """What one run takes: of one thread its own time, which other programs on the machine do not add to."""
        start = self.clock()
        self.run()
        return self.clock() - start


def _whisper(session: OnnxSession, audio: np.ndarray[Any, np.dtype[np.float32]], tokens: int) -> Callable[[], None]:
    prompt = np.array([session.config.tokens.prompt()], np.int64)
    steps = min(tokens, session.config.text_context - prompt.shape[1])

    def run() -> None:
        state = encode_clips(session, [audio])
        _, state = session.step(prompt, state)
        for _ in range(steps):
            _, state = session.step(np.ones((1, 1), np.int64), state)

    return run


def side_by_side(first: Exported, second: Exported, rounds: int = 9) -> tuple[float, float, float]:
    """Milliseconds of each, and the second's share of the first's time: medians over `rounds`, in each both in turn."""
    pairs = [(first.seconds(), second.seconds()) for _ in range(rounds)]
    return (
        1000 * median(a for a, _ in pairs), 1000 * median(b for _, b in pairs), median(b / a for a, b in pairs)
    )  # fmt: skip
