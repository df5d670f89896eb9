"""What a study leaves behind: one small JSON file a run (errors a clip, log, settings) and one list of the clips.

Tables and pages are made from these files alone, so they can be committed and results accumulate over machines.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.files import Json, read_json, write_json
from ..evaluate.result import Result, read_result
from ..evaluate.sounds import SoundErrors, sound_errors
from .arm import finished
from .run_folder import read_log

CLIPS = "clips.json"


@dataclass(frozen=True)
class Clips:
    """The clips of one test set, in the order of every run's errors."""

    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    words: tuple[int, ...]
    seconds: tuple[float, ...]
    extras: tuple[Json, ...]


@dataclass(frozen=True)
class RunFile:
    """One finished arm and seed."""

    arm: str
    seed: int
    summary: Json
    log: tuple[Json, ...]
    errors: dict[str, tuple[int, ...]]  # test set -> errors of every clip
    sounds: dict[str, tuple[SoundErrors, ...]] = field(default_factory=dict)  # the same of Chinese, in pinyin

    def rate(self, data: str, clips: Clips) -> float:
        """The error rate on a set."""
        return sum(self.errors[data]) / sum(clips.words)


def collect(out: Path, target: Path) -> int:
    """Write the small files of all runs under `out` that were tested into `target`; returns how many there are.

    Raises:
        SecateurError: a run was tested on other clips than those on record.
    """
    known = {n: list(c) for n, c in read_json(target / CLIPS).items()} if (target / CLIPS).exists() else {}
    count = 0
    for folder in sorted(p for p in out.iterdir() if p.is_dir()):
        summary = finished(folder)  # its tests are done; disturbed ones may be missing when a run was cut short
        if summary is None:
            continue
        errors, sounds, schemes = {}, {}, {}
        for path in sorted((folder / "results").glob("*.json")):
            result = read_result(path)
            rows = _clips(result)
            base = path.stem.partition("@")[0]
            if known.setdefault(base, rows) != rows:
                raise SecateurError(f"{path}: other clips than those in {target / CLIPS}")
            errors[path.stem] = [row.counts.errors for row in result.rows]
            schemes[base] = result.normalise
            if result.sounds is not None:
                sounds[path.stem] = [astuple(sound_errors(row.reference, row.hypothesis)) for row in result.rows]
        metrics = folder / "metrics.jsonl"
        log = read_log(metrics) if metrics.exists() else []
        values = {"summary": summary, "log": log, "errors": errors, "normalise": schemes}
        values |= {"sounds": sounds} if sounds else {}
        write_json(target / f"{folder.name}.json", values, indent=None)
        count += 1
    write_json(target / CLIPS, known, indent=None)
    return count


def _clips(result: Result) -> list[list[Any]]:
    return [
        [row.id, row.speaker, row.counts.reference, round(row.seconds, 2),
         {k: v for k, v in row.extras.items() if k in ("age", "gender", "accent")}]
        for row in result.rows
    ]  # fmt: skip


def read_store(folder: Path) -> tuple[list[RunFile], dict[str, Clips]]:
    """All runs in a store, and the clips of every set.

    Raises:
        SecateurError: nothing is there.
    """
    if not (folder / CLIPS).exists():
        raise SecateurError(f"{folder}: no results of a study here; run `secateur study` first")
    clips = {name: Clips(*map(tuple, zip(*rows, strict=True))) for name, rows in read_json(folder / CLIPS).items()}
    runs, known = [], dict[str, str]()
    for path in sorted(folder.glob("*.json")):
        if path.name == CLIPS:
            continue
        values = read_json(path)
        for name, scheme in values.get("normalise", {}).items():
            if scheme and known.setdefault(name, scheme) != scheme:
                raise SecateurError(
                    f"{path}: texts of {name} were normalised by '{scheme}', those of other runs by '{known[name]}': "
                    "run all arms with the same `normalise`"
                )
        arm, seed = path.stem.rsplit("-", 1)
        errors = {name: tuple(row) for name, row in values["errors"].items()}
        sounds = {n: tuple(SoundErrors(*clip) for clip in rows) for n, rows in values.get("sounds", {}).items()}
        runs.append(RunFile(arm, int(seed), values["summary"], tuple(values["log"]), errors, sounds))
    return runs, clips
