"""Jobs killed with SIGKILL at random moments, and what became of them; the counts go to a file for results/faults.md.

    python experiments/faults/run.py --kills 200 --out experiments/faults/results/kills.json

Train, prune, study and export run on real spoken digits and small random models, in forked processes (see
tests/faults/zygote.py): half of the kills come at a random time, half just before a random change to a file. After
every kill each file must be whole or an ignorable temporary; every killed run then goes on (perhaps killed again) and
must end with the weights, errors, texts and log of an undisturbed one, bit by bit.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "faults"), str(ROOT / "tests")]

from jobs import JOBS, prepare, zygote  # noqa: E402
from kills import Campaign  # noqa: E402

from secateur.base.files import read_json, write_json  # noqa: E402

SHARES = {"train": 0.3, "prune": 0.3, "export": 0.25, "study": 0.15}


def main() -> None:
    """Kill, count, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SECATEUR_DATA", ROOT.parent / "shared/data")))
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=JOBS)
    parser.add_argument("--out", type=Path, help="rows of other jobs that are there stay")
    options = parser.parse_args()
    started = time.monotonic()
    known = read_json(options.out) if options.out and options.out.exists() else {"minutes": 0, "rows": []}
    rows = [row for row in known["rows"] if row["job"] not in options.jobs]
    with tempfile.TemporaryDirectory() as scratch, zygote() as forks:
        place = Path(scratch) / "place"
        place.mkdir()
        prepare(place, options.data)
        for job in options.jobs:
            count = round(options.kills * SHARES[job])
            row = Campaign(job, place, Path(scratch) / job, forks, options.seed).run(count)
            print(row, flush=True)
            rows.append(row)
    minutes = known["minutes"] + round((time.monotonic() - started) / 60)
    about: dict[str, Any] = {"python": platform.python_version(), "cores": os.cpu_count(), "minutes": minutes}
    if options.out:
        write_json(options.out, {**about, "rows": rows})
    sys.exit(any(row["failures"] for row in rows))


if __name__ == "__main__":
    main()
