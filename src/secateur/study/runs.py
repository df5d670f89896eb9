"""Runs of a study: every arm and seed is one process, started here or by a worker of a Ray cluster; finished ones are
skipped, killed ones resume."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..base.engine import TRIES, EngineName, Pool, RayEngine
from ..base.errors import SecateurError, nearest
from ..base.files import Json, read_json
from ..base.options import to_dict
from ..base.progress import say
from .arm import complete, finished
from .record import NAME, changed, defaults_of, refuse_other
from .sets import arm_record, check_sets
from .settings import StudySettings, arm_settings, needed_runs, read_study, waits_for

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


def unfinished(study: StudySettings, todo: Sequence[tuple[str, int]], out: Path) -> list[tuple[str, int]]:
    """The runs of `todo` that are left to do.

    A run is done when its folder says so, or when another machine's result of it lies in `out/results`: result files
    accumulate, checkpoints stay where they were made. So what an unfinished run starts from is run again.
    """

    def left(run: tuple[str, int], needed: bool) -> bool:
        name, seed = run
        recorded = (out / "results" / f"{name}-{seed}.json").exists()
        return complete(out / f"{name}-{seed}") is None and (needed or not recorded)

    left_runs: set[tuple[str, int]] = set()
    ahead = [(run, False) for run in todo]
    while ahead:
        run, needed = ahead.pop()
        if run not in left_runs and left(run, needed):
            left_runs.add(run)
            ahead += [(other, True) for other in needed_runs(study, *run) if other in todo]
    return [run for run in todo if run in left_runs]


def expand(study: StudySettings, only: Sequence[str] = (), seeds: Sequence[int] = ()) -> list[tuple[str, int]]:
    """Every (arm, seed), all arms of a seed before the next seed, teachers before their pupils.

    Raises:
        SecateurError: `only` names no arm (with the nearest).
    """
    for name in only:
        if name not in study.arms:
            raise SecateurError(f"no arm '{name}' in this study{nearest(name, study.arms)}")
    names = [n for n in study.arms if not only or n in only]
    names.sort(key=lambda n: bool(waits_for(study, n)))
    chosen = {n: tuple(seeds) or study.seeds_of(n) for n in names}
    chosen |= {n: study.seeds_of(n) for n in names if study.arms[n].untrained}
    order = list(dict.fromkeys(seed for n in names for seed in chosen[n]))
    return [(name, seed) for seed in order for name in names if seed in chosen[name]]


def run_study(
    path: Path, data_folder: Path, out: Path, parallel: int = 1, only: Sequence[str] = (), seeds: Sequence[int] = (),
    devices: Sequence[str] = ("cpu",), until: float | None = None, processes: int = 1, engine: EngineName = "local",
) -> list[str]:  # fmt: skip
    """Run what is not finished, `parallel` runs at a time, spread over `devices`; returns the runs that failed.

    With `processes` above 1 every run trains on so many GPUs, or CPU processes, through torchrun. With the engine "ray"
    runs are dealt to the workers of a cluster that sees the same files; one that dies costs the run it had in hand what
    it did since its last saved state. After `until` seconds no further run is started, so that a lent machine gives
    results rather than half-done runs.

    Raises:
        SecateurError: a wrong study, shared speakers, or a teacher that is not part of what is run.
    """
    study = read_study(path)
    check_sets(study, data_folder)
    todo = expand(study, only, seeds)
    check_records(study, todo, data_folder, out)
    waiting = unfinished(study, todo, out)
    say(f"{len(todo)} runs, {len(todo) - len(waiting)} finished before")
    paths = StudyPaths(path.resolve(), data_folder.resolve(), out.resolve(), processes)
    if engine == "ray":
        with cluster(paths, parallel, devices) as pool:
            return _run(study, path, out, waiting, pool, until)
    local = Processes(paths, [devices[i % len(devices)] for i in range(parallel)])
    return _run(study, path, out, waiting, local, until)


def check_records(study: StudySettings, todo: Sequence[tuple[str, int]], data_folder: Path, out: Path) -> None:
    """Refuse a folder in which a run of the same name had other settings or data: its results would be shown as these.

    Raises:
        SecateurError: the first such run, and what differs.
    """
    for name, seed in todo:
        folder, result = out / f"{name}-{seed}", out / "results" / f"{name}-{seed}.json"
        if (folder / NAME).exists():
            refuse_other(read_json(folder / NAME), arm_record(study, name, seed, data_folder), folder)
            continue
        summary = read_json(result)["summary"] if result.exists() else finished(folder)
        if summary is None:
            continue
        then, settings = summary["arm"], arm_settings(study, name, seed)
        now, usual = to_dict(settings), defaults_of(settings)
        odd = [line for part in ("train", "prune") for line in _other(then.get(part), now[part], usual.get(part), part)]
        if odd:
            where = folder if folder.exists() else result
            shown = "; ".join(odd[:4])
            raise SecateurError(f"{where}: another run is here ({shown}); name another --out, or delete it")


def _other(then: Json | None, now: Json | None, usual: Json | None, part: str) -> list[str]:
    """What a summary that was written without a record says of other settings; it may lack newer ones."""
    if then is None or now is None:
        return [] if then is now else [f"{part} was {'none' if then is None else 'there'}"]
    known = {key: value for key, value in then.items() if key in now}
    if now.get("plan") or now.get("target"):  # what was recorded is what the plan came to
        known = {key: value for key, value in known.items() if key not in ("remove", "amounts", "plan", "target")}
    return list(changed(known, {key: now[key] for key in known}, usual, part))


def _run(
    study: StudySettings, path: Path, out: Path, waiting: list[Piece], pool: Pool[Piece, int], until: float | None
) -> list[str]:
    """Deal out what is ready until nothing is left; the runs that failed."""
    failed: list[str] = []
    started = time.monotonic()
    while waiting or pool.busy():
        if until is not None and waiting and time.monotonic() - started > until:
            say(f"time is up: {len(waiting)} runs are left for another time")
            waiting = []
        ready = [(n, s) for n, s in waiting if _ready(study, n, s, out)]
        while ready and pool.free():
            piece = ready.pop(0)
            waiting.remove(piece)
            pool.submit(piece)
        if not pool.busy():
            if waiting:
                raise SecateurError(
                    f"{path}: {', '.join(n for n, _ in waiting)} wait for an arm that is not part of what is run"
                )
            break
        (name, seed), code = pool.wait()
        summary = complete(out / f"{name}-{seed}")
        if code or summary is None:
            failed.append(f"{name}-{seed}")
            say(f"{name}-{seed}: FAILED, see {out / f'{name}-{seed}' / 'log.txt'}")
            waiting = [run for run in waiting if (name, seed) not in needed_runs(study, *run)]
        else:
            errors = ", ".join(f"{k} {100 * v:.2f}" for k, v in summary["error"].items() if "@" not in k)
            say(f"{name}-{seed}: {errors}; {summary['steps']} steps, {summary['seconds']} s")
    return failed


def _ready(study: StudySettings, name: str, seed: int, out: Path) -> bool:
    return all(complete(out / f"{arm}-{of}") is not None for arm, of in needed_runs(study, name, seed))
