"""Where the pieces of a job run: in this process, or on the workers of a Ray cluster.

A piece is anything that can be pickled, and so is `make`, which returns the function that does one: it loads the model
once in each process. Bulk transcription, sensitivity maps and studies define their own pieces.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, Literal, Protocol, TypeVar

from .errors import SecateurError
from .extras import require
from .progress import say, track

P = TypeVar("P")
A = TypeVar("A")
T = TypeVar("T")
A_co = TypeVar("A_co", covariant=True)
EngineName = Literal["local", "ray"]
TRIES = 3  # a piece that kills this many workers is at fault itself


class Pool(Protocol[P, A_co]):
    """Workers that take one piece each."""

    def free(self) -> bool:
        """Whether another piece can be taken."""

    def busy(self) -> bool:
        """Whether a piece is being done."""

    def submit(self, piece: P) -> None:
        """Take a piece; only when free."""

    def wait(self) -> tuple[P, A_co]:
        """The next finished piece and its result; only when busy."""


def run_here(do: Callable[[P], A], pieces: Iterable[P], done: Callable[[P, A], None], label: str) -> None:
    """Do the pieces one after the other, in this process."""
    for piece in track(pieces, label):
        done(piece, do(piece))


def run_ahead(
    begin: Callable[[P], T], finish: Callable[[P, T], A], pieces: Iterable[P], done: Callable[[P, A], None],
    label: str, ahead: int = 2,
) -> None:  # fmt: skip
    """Do the pieces one after the other; `ahead` of them are begun (read, say) before they are finished."""
    begun: deque[tuple[P, T]] = deque()

    def one() -> None:
        piece, token = begun.popleft()
        done(piece, finish(piece, token))

    for piece in track(pieces, label):
        begun.append((piece, begin(piece)))
        if len(begun) > ahead:
            one()
    while begun:
        one()


def run_pool(pool: Pool[P, A], pieces: Iterable[P], done: Callable[[P, A], None], label: str) -> None:
    """Hand pieces out as workers become free, never more than there are workers; results arrive in any order."""
    finished = 0

    def one() -> None:
        nonlocal finished
        done(*pool.wait())
        finished += 1
        say(f"{label}: {finished} pieces done")

    for piece in pieces:
        while not pool.free():
            one()
        pool.submit(piece)
    while pool.busy():
        one()


class _Worker:
    """An actor on the cluster: calls `make` with its first piece, so that an error in it comes back as a result."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._make = make
        self._do: Callable[[Any], Any] | None = None

    def process(self) -> int:
        """The id of the worker's process."""
        import os

        return os.getpid()

    def do(self, piece: object) -> Any:
        """The answer of `make()` to one piece."""
        if self._do is None:
            self._do = self._make()
        return self._do(piece)


class RayEngine(Generic[P, A]):
    """`workers` processes of a Ray cluster (`RAY_ADDRESS`, or one on this machine); a `Pool`.

    When a worker dies, another one is started and repeats its piece. Models, manifests and
    audio must be at the same place on every machine. `gpu` gives each worker a GPU, or its share where there are fewer.
    A piece that has ended `TRIES` workers gets the answer of `given_up`, if that is given, and the others go on.

    Raises:
        SecateurError: ray is not installed, or fewer than one worker is asked for.
    """

    def __init__(
        self, make: Callable[[], Callable[[P], A]], workers: int, gpu: bool, label: str,
        given_up: Callable[[P, str], A] | None = None,
    ) -> None:  # fmt: skip
        self.ray = require("ray", "ray")
        if workers < 1:
            raise SecateurError(f"--workers must be at least 1, found {workers}")
        self.make, self.label, self.given_up = make, label, given_up
        self.workers: list[Any] = []
        self.started = not self.ray.is_initialized()
        if self.started:
            self.ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
        gpus = min(1.0, self.ray.cluster_resources().get("GPU", 0) / workers) if gpu else 0
        if gpu and not gpus:
            self.close()
            raise SecateurError("no GPU is in the Ray cluster: use --device cpu, or start its nodes with --num-gpus")
        self.remote = self.ray.remote(num_cpus=1, num_gpus=gpus)(_Worker)
        self.workers = [self.remote.remote(make) for _ in range(workers)]
        self._idle = list(self.workers)
        self._running: dict[Any, tuple[Any, P, int]] = {}  # task to worker, piece and how often it was started

    def free(self) -> bool:
        """See `Pool`."""
        return bool(self._idle)

    def busy(self) -> bool:
        """See `Pool`."""
        return bool(self._running)

    def submit(self, piece: P) -> None:
        """See `Pool`."""
        self._begin(piece, 1)

    def wait(self) -> tuple[P, A]:
        """See `Pool`.

        Raises:
            SecateurError: a piece that ended several workers, or what a worker could not read.
        """
        errors = self.ray.exceptions
        while True:
            ready, _ = self.ray.wait(list(self._running), num_returns=1)
            worker, piece, tries = self._running.pop(ready[0])
            try:
                answer: A = self.ray.get(ready[0])
            except (errors.RayActorError, errors.WorkerCrashedError) as problem:
                if tries >= TRIES and self.given_up is not None:
                    self._replace(worker)
                    return piece, self.given_up(piece, f"{TRIES} workers died on its piece")
                if tries >= TRIES:
                    raise SecateurError(
                        f"{self.label}: {TRIES} workers died on the same piece (memory?): fewer --workers, or "
                        "--engine local"
                    ) from problem
                say(f"{self.label}: a worker died; its piece is repeated")
                self._replace(worker)
                self._begin(piece, tries + 1)
                continue
            except errors.RayTaskError as problem:
                if isinstance(problem.cause, SecateurError):
                    raise SecateurError(str(problem.cause)) from problem
                raise
            self._idle.append(worker)
            return piece, answer

    def run(self, pieces: Iterable[P], done: Callable[[P, A], None], label: str) -> None:
        """Do all pieces; `done` is called with each result as it arrives."""
        self.label = label
        run_pool(self, pieces, done, label)

    def close(self) -> None:
        """End the workers, and the cluster if it was started for them."""
        for worker in self.workers:
            self.ray.kill(worker)
        if self.started:
            self.ray.shutdown()

    def _replace(self, worker: object) -> None:
        """A new worker, idle, for one that died; Ray starts it wherever there is room."""
        self.workers.remove(worker)
        self.workers.append(self.remote.remote(self.make))
        self._idle.append(self.workers[-1])

    def _begin(self, piece: P, tries: int) -> None:
        worker = self._idle.pop()
        self._running[worker.do.remote(piece)] = (worker, piece, tries)
