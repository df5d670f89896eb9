"""Arms side by side: a TOML file names data, model and arms; every arm and seed is one process.

model = "tiny.en"
learn = ["speechocean762/train.jsonl"]
retain = ["librispeech-mini/train.jsonl"]
dev = ["speechocean762/dev.jsonl"]
[tests]
speechocean762 = "speechocean762/test.jsonl"
[train]                      # what all arms share
epochs = 8
[arms.dense]
[arms.pruned60.prune]
remove = 0.6
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError, nearest
from ..base.options import from_dict, read_toml
from ..base.progress import say
from ..data.manifest import Utterance, read_manifest
from ..data.split import without_texts_of
from ..prune.settings import PruneSettings
from ..train.settings import TrainSettings
from .arm import ArmSettings, JobData, finished, run_arm


@dataclass(frozen=True)
class StudySettings:
    """The TOML file. Paths of manifests are relative to the data folder."""

    model: str
    learn: tuple[str, ...]
    dev: tuple[str, ...]
    tests: dict[str, str]
    retain: tuple[str, ...] = ()
    retain_share: float = 0.5
    longest: float = 20.0  # seconds: longer clips are left out of training
    seeds: tuple[int, ...] = (0,)
    train: dict[str, Any] = field(default_factory=dict)
    arms: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_study(path: Path) -> StudySettings:
    """The study in a TOML file, all arms checked.

    Raises:
        SecateurError: a key that nothing knows (with the nearest), or a wrong type.
    """
    study = from_dict(StudySettings, read_toml(path), str(path))
    for name in study.arms:
        arm_settings(study, name, 0, str(path))
    return study


def arm_settings(study: StudySettings, name: str, seed: int, where: str = "study") -> ArmSettings:
    """One arm: the shared training settings, overridden by its own."""
    table = study.arms[name]
    for key in table:
        if key not in ("train", "prune", "teacher", "zero_shot"):
            raise SecateurError(
                f"{where}: arms.{name}: unknown key '{key}'{nearest(key, ['train', 'prune', 'teacher', 'zero_shot'])}"
            )
    train = None
    if not table.get("zero_shot", False):
        train = from_dict(TrainSettings, study.train | table.get("train", {}), f"{where}: arms.{name}.train")
        train = replace(train, seed=seed)
    prune = from_dict(PruneSettings, table["prune"], f"{where}: arms.{name}.prune") if "prune" in table else None
    return ArmSettings(name, train, prune)


def read_sets(names: Sequence[str], folder: Path) -> list[Utterance]:
    """The clips of several manifests under the data folder."""
    return [u for name in names for u in read_manifest(folder / name)]


def run_one(study: StudySettings, name: str, seed: int, data_folder: Path, out: Path, device: str) -> None:
    """Run one arm in this process; its teacher, if it names one, is an earlier arm of the same seed."""
    import torch

    from ..models.checkpoint import load_checkpoint
    from ..models.weights.fetch import load_model

    model, tokenizer = load_model(study.model)
    learn = [u for u in read_sets(study.learn, data_folder) if u.duration <= study.longest]
    retain = [u for u in read_sets(study.retain, data_folder) if u.duration <= study.longest]
    data = JobData(
        learn=learn, retain=retain, retain_share=study.retain_share, dev=read_sets(study.dev, data_folder),
        tests={
            n: without_texts_of(read_sets([path], data_folder), learn + retain) for n, path in study.tests.items()
        },
        device=torch.device(device),
    )  # fmt: skip
    teacher = None
    wanted = study.arms[name].get("teacher")
    if wanted == "original":
        teacher = model
    elif wanted:
        teacher = load_checkpoint(out / f"{wanted}-{seed}", device)[0]
    run_arm(arm_settings(study, name, seed), model, tokenizer, data, out / f"{name}-{seed}", teacher)


def run_study(
    path: Path, data_folder: Path, out: Path, parallel: int = 1, only: Sequence[str] = (), seeds: Sequence[int] = (),
    devices: Sequence[str] = ("cpu",),
) -> list[str]:  # fmt: skip
    """Run every arm and seed that is not finished, `parallel` at a time; returns the names of those that failed."""
    study = read_study(path)
    for name in only:
        if name not in study.arms:
            raise SecateurError(f"{path}: no arm '{name}'{nearest(name, study.arms)}")
    todo = [
        (name, seed)
        for name in study.arms if not only or name in only
        for seed in (seeds or study.seeds)
        if not (study.arms[name].get("zero_shot") and seed != (seeds or study.seeds)[0])
    ]  # fmt: skip
    waiting = [(n, s) for n, s in todo if finished(out / f"{n}-{s}") is None]
    say(f"{len(todo)} runs, {len(todo) - len(waiting)} finished before")
    running: dict[subprocess.Popen[bytes], tuple[str, int, str]] = {}
    failed: list[str] = []
    free = [devices[i % len(devices)] for i in range(parallel)]
    while waiting or running:
        ready = [(n, s) for n, s in waiting if _teacher_ready(study, n, s, todo, out)]
        while ready and free:
            name, seed = ready.pop(0)
            waiting.remove((name, seed))
            device = free.pop(0)
            folder = out / f"{name}-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            words = [
                sys.executable,
                "-m",
                "secateur.jobs.study",
                str(path),
                str(data_folder),
                str(out),
                name,
                str(seed),
                device,
            ]
            with (folder / "log.txt").open("ab") as log:
                running[subprocess.Popen(words, stdout=log, stderr=log)] = (name, seed, device)
            say(f"{name}-{seed}: started on {device}")
        if not running:
            raise SecateurError(
                f"{path}: {', '.join(n for n, _ in waiting)} wait for a teacher that is not part of the study"
            )
        time.sleep(0.5)
        for process in [p for p in running if p.poll() is not None]:
            name, seed, device = running.pop(process)
            free.append(device)
            summary = finished(out / f"{name}-{seed}")
            if process.returncode or summary is None:
                failed.append(f"{name}-{seed}")
                say(f"{name}-{seed}: FAILED, see {out / f'{name}-{seed}' / 'log.txt'}")
                waiting = [(n, s) for n, s in waiting if not (study.arms[n].get("teacher") == name and s == seed)]
            else:
                errors = ", ".join(f"{k} {100 * v:.2f}" for k, v in summary["error"].items())
                gone = f"removed {100 * summary['removed']:.1f} %"
                say(f"{name}-{seed}: {errors}; {gone}; {summary['steps']} steps, {summary['seconds']} s")
    return failed


def _teacher_ready(study: StudySettings, name: str, seed: int, todo: list[tuple[str, int]], out: Path) -> bool:
    wanted = study.arms[name].get("teacher")
    return wanted in (None, "original") or finished(out / f"{wanted}-{seed}") is not None


if __name__ == "__main__":
    spec, data_root, target, arm_name, arm_seed, arm_device = sys.argv[1:]
    run_one(read_study(Path(spec)), arm_name, int(arm_seed), Path(data_root), Path(target), arm_device)
