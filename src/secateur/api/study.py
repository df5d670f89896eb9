"""A study: many arms at equal compute, seeds, paired intervals, one table and one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..base.files import Json
from ..base.options import Settings, option
from .job import job


@dataclass(frozen=True, kw_only=True)
class StudyJobSettings(Settings):
    """Which study is run, on which machines. What its file may hold: `secateur.study.settings`."""

    study: Path = option(help="Run the study in this TOML file: data, model, arms, seeds.", positional=True)
    data: Path = option(Path(), "Look for the study's manifests in this folder.")
    out: Path = option(
        Path("runs/study"),
        "Write runs, results and the page into this folder; runs that are there resume.",
        writes="folder",
    )
    parallel: int = option(1, "Run this many arms at a time (with ray: workers).", least=1)
    engine: Literal["local", "ray"] = option("local", "Run on this machine, or on a Ray cluster that sees the files.")
    devices: tuple[str, ...] = option(("auto",), "Spread the processes over these devices: cpu, cuda:0,cuda:1.")
    only: tuple[str, ...] = option((), "Run only these arms.")
    seeds: tuple[int, ...] = option((), "Run these seeds instead of the study's.")
    processes: int = option(
        1, "Train each run in this many processes (GPUs, or of a CPU), through torchrun.", least=1, advanced=True
    )
    until: float | None = option(None, "Start no further run after this time.", unit="s", above=0, advanced=True)
    against: str = option("", "Compare all arms with this one instead of their controls.")
    no_run: bool = option(False, "Run nothing: make table and page from the results that are there.")
    check: bool = option(False, "Validate the study and its data, write nothing.")


@job(StudyJobSettings)
def study(settings: StudyJobSettings) -> Json:
    """Run what is not finished, then compare; returns the table, the page's path, and the runs that failed.

    Raises:
        SecateurError: a wrong study, shared speakers, results of other settings.
    """
    from ..base.extras import require

    require("torch", "train")
    from ..base.device import pick_device
    from ..base.errors import check_known
    from ..study.outcome import study_outcome
    from ..study.page import write_page
    from ..study.runs import expand, run_study
    from ..study.sets import check_sets
    from ..study.settings import read_study
    from ..study.store import collect
    from ..study.table import as_values, text
    from ..weights.fetch import check_name

    if settings.against:
        check_known("arm", settings.against, read_study(settings.study).arms)
    devices = [str(pick_device(name)) for name in settings.devices]
    if settings.check:
        study_settings = read_study(settings.study)
        for name in {study_settings.model, *(arm.model for arm in study_settings.arms.values())}:
            if name:
                check_name(name)
        check_sets(study_settings, settings.data)
        runs = expand(study_settings, settings.only, settings.seeds)
        return {"check": True, "runs": [f"{name}-{seed}" for name, seed in runs]}
    failed: list[str] = []
    if not settings.no_run:
        failed = run_study(
            settings.study, settings.data, settings.out, settings.parallel, settings.only, settings.seeds, devices,
            settings.until, settings.processes, settings.engine,
        )  # fmt: skip
        collect(settings.out, settings.out / "results")
    outcome = study_outcome(settings.study, settings.out / "results", settings.against)
    write_page(outcome, settings.out / "study.html")
    return {
        "table": text(outcome),
        "page": str(settings.out / "study.html"),
        "failed": failed,
        "arms": as_values(outcome),
    }
