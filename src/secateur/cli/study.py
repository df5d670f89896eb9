"""secateur study: many arms at equal compute, seeds, intervals; one table and one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..base.errors import SecateurError
from ..base.options import option

HELP = "answer a question with a study: arms at equal compute, seeds, paired intervals, one table and a page"
EXAMPLE = """secateur study study.toml --data ../shared/data --out runs/study --parallel 2
secateur study study.toml --data /shared/data --out /shared/runs/study --engine ray --parallel 8"""


@dataclass(frozen=True)
class Options:
    """What the command takes."""

    study: Path = option(help="TOML file: data, model, arms, seeds", positional=True)
    data: Path = option(Path(), "folder that the study's manifests are relative to")
    out: Path = option(Path("runs/study"), "folder for the runs (resumed when they are there), results and the page")
    parallel: int = option(1, help="runs at a time; with ray: workers")
    engine: Literal["local", "ray"] = option("local", help="this machine, or a Ray cluster that sees the same files")
    devices: tuple[str, ...] = option(("auto",), "devices to spread the processes over: cpu, cuda:0,cuda:1")
    only: tuple[str, ...] = option((), help="arms to run; all by default")
    seeds: tuple[int, ...] = option((), help="seeds instead of the study's")
    processes: int = option(1, help="GPUs or CPU processes that each run trains on, through torchrun")
    until: float | None = option(None, help="start no further run after so many seconds")
    against: str = option("", help="compare all arms with this one instead of their controls")
    no_run: bool = option(False, help="run nothing: make table and page from the results that are there")


def run(options: Options) -> dict[str, Any]:
    """Run what is not finished, then compare."""
    from ..base.device import pick_device
    from ..study.outcome import study_outcome
    from ..study.page import write_page
    from ..study.runs import run_study
    from ..study.store import collect
    from ..study.table import as_values, text

    failed: list[str] = []
    if not options.no_run:
        if options.parallel < 1:
            raise SecateurError(f"--parallel must be at least 1, found {options.parallel}")
        devices = [str(pick_device(name)) for name in options.devices]
        failed = run_study(
            options.study, options.data, options.out, options.parallel, options.only, options.seeds, devices,
            options.until, options.processes, options.engine,
        )  # fmt: skip
        collect(options.out, options.out / "results")
    outcome = study_outcome(options.study, options.out / "results", options.against)
    write_page(outcome, options.out / "study.html")
    return {
        "table": text(outcome), "page": str(options.out / "study.html"), "failed": failed,
        "arms": as_values(outcome), "_exit": 1 if failed else 0,
    }  # fmt: skip


def show(result: dict[str, Any]) -> str:
    """The table, and where the page is."""
    lines = [result["table"], f"page: {result['page']}"]
    if result["failed"]:
        lines.append(f"failed: {', '.join(result['failed'])} (see log.txt in their folders)")
    return "\n".join(lines)
