"""A run of a study as a process of its own: started here, or by a worker of a Ray cluster."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..base.engine import TRIES, RayEngine
from ..base.progress import say

Piece = tuple[str, int]  # arm and seed
LOOK = 0.5  # seconds between two looks at what runs


@dataclass(frozen=True)
class StudyPaths:
    """Where a run reads and writes, and on how many processes it trains."""

    study: Path
    data: Path
    out: Path
    processes: int = 1

    def start(self, piece: Piece, device: str) -> subprocess.Popen[bytes]:
        """Start the process of one run; its output goes to log.txt."""
        name, seed = piece
        folder = self.out / f"{name}-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        python = [sys.executable]
        if self.processes > 1:
            python += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(self.processes)]
        words = [*python, "-m", "secateur.study.one", str(self.study), str(self.data), str(self.out)]
        with (folder / "log.txt").open("ab") as log:
            return subprocess.Popen([*words, name, str(seed), device], stdout=log, stderr=log)


class Processes:
    """Runs on this machine, one at a time on each of `devices`; a `Pool` whose answers are exit codes."""

    def __init__(self, paths: StudyPaths, devices: Sequence[str]) -> None:
        self.paths, self._free = paths, list(devices)
        self._running: dict[subprocess.Popen[bytes], tuple[Piece, str]] = {}

    def free(self) -> bool:
        """See `Pool`."""
        return bool(self._free)

    def busy(self) -> bool:
        """See `Pool`."""
        return bool(self._running)

    def submit(self, piece: Piece) -> None:
        """See `Pool`."""
        device = self._free.pop(0)
        self._running[self.paths.start(piece, device)] = (piece, device)
        say(f"{piece[0]}-{piece[1]}: started on {device}")

    def wait(self) -> tuple[Piece, int]:
        """See `Pool`."""
        while True:
            for process in list(self._running):
                code = process.poll()
                if code is not None:
                    piece, device = self._running.pop(process)
                    self._free.append(device)
                    return piece, code
            time.sleep(LOOK)


def make_runner(paths: StudyPaths, device: str) -> Callable[[Piece], int]:
    """The function of a worker: run one process to its end, and again when something killed it.

    A worker that is killed leaves its process behind; the next one waits for that (see `one.alone`) and finds it done.
    """

    def run(piece: Piece) -> int:
        for _ in range(TRIES):
            code = paths.start(piece, device).wait()
            if code >= 0:
                break
        return code

    return run


@contextmanager
def cluster(paths: StudyPaths, workers: int, devices: Sequence[str]) -> Iterator[RayEngine[Piece, int]]:
    """Workers of a Ray cluster, each with a GPU unless the first of `devices` is the CPU."""
    gpu = devices[0] != "cpu"
    make = partial(make_runner, paths, "cuda" if gpu else "cpu")
    pool: RayEngine[Piece, int] = RayEngine(make, workers, gpu, "study")
    try:
        yield pool
    finally:
        pool.close()
