"""A latency model of this CPU: calibrated once on random widths, then the time of each part is predicted from a config.

The time of a clip is taken as linear in the multiply-accumulates of each part (`Family.parts`), with a rate of its own
for every part: a decoder step is limited by memory bandwidth, an encoder is not. Rates are the non-negative
least-squares solution for exported models of random widths, each timed beside the whole one, and kept in the cache.
"""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.files import cache_dir, read_json, write_json
from ..base.options import to_dict
from ..base.progress import track
from ..decode.clips import encode_clips
from ..export.onnx import export_onnx
from ..models.family import Config, TextCodec, family_of
from ..models.groups import Group
from ..models.network import Network
from ..prune.budget import Keep
from ..prune.shrink import shrink
from ..prune.vocabulary import special_rows
from ..runtime.contents import CTC_FILES, read_contents
from ..runtime.onnx_session import OnnxSession
from ..runtime.recogniser import Recogniser

Matrix = NDArray[np.float64]
SECONDS, TOKENS = 5.0, 16  # a usual clip, as in `prune.units.COSTS`
SESSIONS, THREADS = 3, 1
MODELS = 9  # of random widths
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class LatencyModel:
    """Share of the whole model's time: `rest` and each part's MACs times its rate."""

    rest: float
    rates: dict[str, float]
    off: float  # the largest error on the calibration models, as a share of the whole model's time
    whole_ms: float

    def __call__(self, config: Config) -> float:
        """The predicted share of the whole model's time that a config takes."""
        return self.rest + sum(self.rates.get(name, 0.0) * macs for name, macs in macs_by_part(config).items())

    def milliseconds(self, config: Config) -> dict[str, float]:
        """Predicted milliseconds of each part, on this CPU."""
        times = {name: self.whole_ms * self.rates.get(name, 0.0) * macs for name, macs in macs_by_part(config).items()}
        return {**times, "rest": self.whole_ms * self.rest}


def macs_by_part(config: Config) -> dict[str, int]:
    """Multiply-accumulates of the timed clip, by part."""
    seconds = min(SECONDS, config.max_seconds)
    return family_of(config).parts(config, seconds, TOKENS)


def latency_model(
    model: Network, text: TextCodec, whole: TimedExport, groups: Sequence[Group], precision: str,
    cache: Path | None = None,
) -> LatencyModel:  # fmt: skip
    """The latency model of networks cut from `model` in `groups` and vocabulary, timed beside `whole`; calibrated
    once a machine, then read from the cache."""
    path = (cache or cache_dir()) / "latency" / f"{_key(model.config, groups, precision)}.json"
    if path.exists():
        values = read_json(path)
        return LatencyModel(**values["model"])
    random = np.random.default_rng(0)
    rows, shares, milliseconds = [macs_by_part(model.config)], [1.0], []
    for _ in track(range(MODELS), "timing parts", MODELS):
        small = shrink(model, _random_plan(groups, random) | _random_rows(model, random))
        ms, _, share = side_by_side(whole, TimedExport(small, text, precision, sessions=2), 3)
        rows.append(macs_by_part(small.config))
        shares.append(share)
        milliseconds.append(ms)
    names = sorted(rows[0])
    size = {name: max(row[name] for row in rows) or 1 for name in names}
    table = np.array([[1.0, *(row[name] / size[name] for name in names)] for row in rows])
    coefficients = non_negative(table, np.array(shares))
    off = float(np.abs(table @ coefficients - shares).max())
    rates = {name: float(rate) / size[name] for name, rate in zip(names, coefficients[1:], strict=True)}
    result = LatencyModel(float(coefficients[0]), rates, off, float(np.median(milliseconds)))
    write_json(path, {"machine": machine(), "model": to_dict(result)})
    return result


def _random_plan(groups: Sequence[Group], random: np.random.Generator) -> Keep:
    """A plan that keeps much or little of every part, in all layers alike: extremes tell parts apart best."""
    plan: Keep = {}
    shares: dict[str, float] = {}
    for group in groups:
        names = [name for name in group.name.split(".") if not name.isdigit()]
        attention = group.kind in ("head", "query_key", "value")  # heads times dimensions make its width
        part = ".".join(names[:-1] if attention else names)
        share = shares.setdefault(part, float(random.choice([0.15, 0.9]))) + random.uniform(-0.05, 0.05)
        share = share**0.5 if attention else share
        size = group.units // group.blocks
        count = int(np.clip(round(share * size), min(group.minimum, size), size))
        plan[group.name] = [b * size + i for b in range(group.blocks) for i in range(count)]
    return plan


def _random_rows(model: Network, random: np.random.Generator) -> Keep:
    """A part of the vocabulary, special tokens included, where there is one."""
    if not any(g.kind == "vocabulary" for g in model.groups()):
        return {}
    rows = range(round(random.choice([0.1, 0.5, 1.0]) * model.config.tokens.end))
    return {"vocabulary": sorted({*rows, *special_rows(model.config)})}


def non_negative(table: Matrix, targets: Matrix) -> Matrix:
    """Non-negative least squares: columns with negative coefficients are dropped until none is left.

    >>> non_negative(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([1.0, 0.5])).round(2).tolist()
    [0.75, 0.0]
    """
    free = np.ones(table.shape[1], bool)
    while True:
        solution = np.zeros(table.shape[1])
        # A little ridge: parts whose widths never varied share what they cost.
        part = table[:, free]
        solution[free] = np.linalg.solve(part.T @ part + 1e-6 * np.eye(int(free.sum())), part.T @ targets)
        if (solution >= 0).all():
            return solution
        free &= solution > 0


def machine() -> dict[str, str]:
    """What a measured time depends on besides the model: CPU, system, runtime."""
    import onnxruntime

    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"cpu": name, "system": platform.system(), "onnxruntime": onnxruntime.__version__}


def _key(config: Config, groups: Sequence[Group], precision: str) -> str:
    """A name that changes with the machine and with what is timed."""
    identity = [machine(), to_dict(config), [g.name for g in groups], precision, THREADS, SECONDS, TOKENS, MODELS]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]


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
