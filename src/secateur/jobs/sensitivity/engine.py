"""Who does the pieces: this process, or the workers of a Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ...base.errors import SecateurError
from ...base.extras import require
from ...base.progress import say, track
from .probe import Probe, ProbeSpec, make_probe
from .store import Piece

Answer = tuple[list[Any], float]  # losses or texts of each variant, and the seconds it took
Done = Callable[[Piece, Answer], None]
TRIES = 3  # a piece that ends so many workers is to blame itself


def measure(probe: Probe, piece: Piece) -> Answer:
    """Do one piece."""
    start = time.perf_counter()
    if piece.phase == "decode":
        return list(probe.texts(piece.variants)), time.perf_counter() - start
    found = probe.losses(piece.variants, piece.phase).tolist()
    return found, time.perf_counter() - start


def run_here(probe: Probe, pieces: Sequence[Piece], done: Done, label: str) -> None:
    """One piece after the other, in this process."""
    for piece in track(pieces, label, quiet=not pieces):
        done(piece, measure(probe, piece))


class _Worker:
    """Lives on the cluster: loads the model once, then measures what it is given."""

    def __init__(self, spec: ProbeSpec) -> None:
        self.probe = make_probe(spec)

    def process(self) -> int:
        """Its process id."""
        import os

        return os.getpid()

    def measure(self, piece: Piece) -> Answer:
        """Do one piece."""
        return measure(self.probe, piece)


class RayEngine:
    """`workers` processes of a Ray cluster (`RAY_ADDRESS`, or one on this machine), each with the model loaded.

    A worker that dies costs the piece it had in hand: another one is started and does it again.

    Raises:
        SecateurError: ray is not installed.
    """

    def __init__(self, spec: ProbeSpec, workers: int) -> None:
        self.ray = require("ray", "ray")
        self.spec, self.count = spec, workers
        self.started = not self.ray.is_initialized()
        if self.started:
            self.ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
        gpus = 0 if spec.device == "cpu" else min(1.0, self.ray.cluster_resources().get("GPU", 0) / workers)
        self.remote = self.ray.remote(num_cpus=1, num_gpus=gpus)(_Worker)
        self.workers = [self.remote.remote(spec) for _ in range(workers)]

    def run(self, pieces: Sequence[Piece], done: Done, label: str) -> None:
        """Deal the pieces out; answers come in any order.

        Raises:
            SecateurError: a piece that ended several workers, or what a worker could not read.
        """
        waiting = list(pieces)
        free, lost = list(self.workers), dict.fromkeys(range(len(waiting)), 0)
        busy: dict[Any, tuple[Any, Piece]] = {}
        order = {id(piece): number for number, piece in enumerate(waiting)}
        finished = 0
        while waiting or busy:
            while waiting and free:
                worker, piece = free.pop(), waiting.pop(0)
                busy[worker.measure.remote(piece)] = (worker, piece)
            ready, _ = self.ray.wait(list(busy), num_returns=1)
            worker, piece = busy.pop(ready[0])
            try:
                answer = self.ray.get(ready[0])
            except (self.ray.exceptions.RayActorError, self.ray.exceptions.WorkerCrashedError) as problem:
                number = order[id(piece)]
                lost[number] += 1
                if lost[number] >= TRIES:
                    raise SecateurError(
                        f"{label}: {TRIES} workers died on the same piece (memory?): fewer --workers, or --engine local"
                    ) from problem
                say(f"{label}: a worker died; its {len(piece.variants)} variants are done again")
                self.workers.remove(worker)
                self.workers.append(self.remote.remote(self.spec))
                free.append(self.workers[-1])
                waiting.insert(0, piece)
                continue
            done(piece, answer)
            free.append(worker)
            finished += 1
            say(f"{label}: {finished}/{len(pieces)} pieces")

    def close(self) -> None:
        """End the workers, and the cluster if it was started for them."""
        for worker in self.workers:
            self.ray.kill(worker)
        if self.started:
            self.ray.shutdown()
