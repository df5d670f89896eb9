"""What a result file says of its run: command, commit, machine, date, load.

Every benchmark writes it beside its figures; `results/` names it with each table (`tools/provenance.py`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import secateur
from secateur.allocation.latency import machine

LOAD_BEFORE = round(os.getloadavg()[0], 1)  # before the benchmark itself adds to it


def how(code: Path | None = None) -> dict[str, object]:
    """Of this process: its words (of absolute paths the last part), the commit of its code (or of the checkout `code`),
    CPU and cores, the day, the load average before it began (1 minute) and at the end (5 minutes, itself included)."""
    script = Path(sys.argv[0])
    words = [re.sub(r"(^|=)/\S*?([^/\s]+)/?$", r"\1\2", word) for word in sys.argv[1:]]
    return {
        "command": " ".join(["python", f"{script.parent.name}/{script.name}", *words]),
        "commit": commit(code or Path(secateur.__file__).resolve().parents[2]),
        "machine": {**machine(), "cores": os.cpu_count()},
        "date": f"{datetime.now(tz=UTC):%Y-%m-%d}",
        "load_before": LOAD_BEFORE,
        "load": round(os.getloadavg()[1], 1),
    }


def commit(root: Path) -> str:
    """The short commit of a checkout, "+ changes" where its `src` or `benchmarks` differ; "" without git.

    Of a branch that is not on `main` yet it is the commit that it began at, with changes: a rebase changes its own.
    """

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "HEAD")
    base = git("merge-base", "HEAD", "main") or head
    changed = base != head or git("status", "--porcelain", "--untracked-files=no", "--", "src", "benchmarks")
    return f"{base[:8]} + changes" if base and changed else base[:8]
