"""secateur study: many arms at equal compute, seeds, intervals; one table and one page."""

from __future__ import annotations

from ..api.study import StudyJobSettings, study
from ..base.files import Json
from ..base.locale import translated
from .shown import with_titles

HELP = "Answer a question with a study: arms at equal compute, seeds, paired intervals, one table and a page."
EXAMPLE = """secateur study study.toml --data ../shared/data --out runs/study --parallel 2
secateur study study.toml --data /shared/data --out /shared/runs/study --engine ray --parallel 8"""


Options = StudyJobSettings


def run(options: StudyJobSettings) -> Json:
    """Run what is not finished, then compare."""
    summary: Json = study(options)
    return {**summary, "_exit": 1 if summary.get("failed") else 0}


def show(result: Json) -> str:
    """The table, and where the page is."""
    if result.get("check"):
        runs = f"{len(result['runs'])} runs: {', '.join(result['runs'])}"
        return translated(f"nothing is wrong with it: {runs}")
    lines = [with_titles(result["table"]), translated(f"page: {result['page']}")]
    if result["failed"]:
        lines.append(translated(f"failed: {', '.join(result['failed'])} (see log.txt in their folders)"))
    return "\n".join(lines)
