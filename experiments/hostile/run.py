"""Valid files of every kind, spoilt at random and read: how many were tried, and how many were not handled.

    python experiments/hostile/run.py --inputs 1000 --out experiments/hostile/results/inputs.json

Handled is what is read after all, or refused with one line, within `SECONDS` and `MEGABYTES`. Everything else is kept
in --keep: an exception of another kind, a crash of the process, too much time, too much memory. Each kind is read in a
process of its own that is replaced when it dies.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import platform
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "hostile"), str(ROOT / "tests")]

from kinds import Kind, make_kinds  # noqa: E402
from mutate import EDITS, Edit  # noqa: E402

from secateur.base.files import read_json, write_json  # noqa: E402

SECONDS, MEGABYTES = 20, 1500


def drawn(dice: random.Random) -> tuple[list[Edit], bool]:
    """Edits, and whether they are of the value rather than the bytes."""
    count = dice.choice((1, 1, 1, 2, 3, 5, 8))
    # Headers are where the lies are told: half of all edits are in the first twentieth.
    edits = [(dice.choice(EDITS), dice.random() * dice.choice((0.05, 1.0)), dice.getrandbits(32)) for _ in range(count)]
    return edits, dice.random() < 0.7


class TooSlowError(Exception):
    """An input took longer than it may."""


def read_many(kind: Kind, seeds: list[str], scratch: Path, answers: Any) -> None:
    """Read one input a seed; the answers go down the pipe one by one, so that a crash is of the next."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (MEGABYTES << 20),) * 2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)  # decoders complain there

    def late(*_: Any) -> None:
        raise TooSlowError(f"longer than {SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    for seed in seeds:
        edits, as_value = drawn(random.Random(seed))
        signal.alarm(SECONDS)
        try:
            found = kind.outcome(kind.spoilt(edits, as_value), scratch)
        except TooSlowError:
            found = "too slow"
        signal.alarm(0)
        answers.send(found)


def try_kind(kind: Kind, count: int, seed: int, scratch: Path, keep: Path | None) -> dict[str, Any]:
    """The counts of one kind."""
    seeds = [f"{kind.name} {seed} {i}" for i in range(count)]
    # What is imported late is imported here: an alarm in the middle of an import would spoil all that follow.
    before = kind.outcome((kind.folder / kind.file).read_bytes(), scratch)
    if before != ("refused" if kind.name == "pt" else "read"):
        raise SystemExit(f"{kind.name}: the valid file is {before}")
    counts: Counter[str] = Counter()
    failures: dict[str, str] = {}
    begun = time.monotonic()
    while seeds:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=read_many, args=(kind, seeds, scratch, theirs))
        process.start()
        theirs.close()
        while seeds:
            found = None
            with contextlib.suppress(EOFError):
                found = ours.recv() if ours.poll(SECONDS + 5) else "stuck"
            if found == "stuck":
                process.kill()
            if found is None:
                process.join()
                found = f"crash: the process ended with code {process.exitcode}"
            seed_now = seeds.pop(0)
            if found in ("read", "refused"):
                counts[found] += 1
                continue
            counts["failed"] += 1
            failures.setdefault(found.split(": ")[0], f"{seed_now}: {found}")
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                edits, as_value = drawn(random.Random(seed_now))
                (keep / f"{kind.name}-{counts['failed']}").write_bytes(kind.spoilt(edits, as_value))
            if found.startswith(("crash", "stuck")):
                break
        process.join(20)
    return {"kind": kind.name, "tried": count, "read": counts["read"], "refused": counts["refused"],
            "failed": counts["failed"], "seconds": round(time.monotonic() - begun, 1),
            "failures": list(failures.values())[:20]}  # fmt: skip


def main() -> None:
    """Spoil, read, count, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds whose name has this in it")
    parser.add_argument("--keep", type=Path, help="folder for what was not handled")
    parser.add_argument("--out", type=Path, help="rows of other kinds that are there stay")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        kinds = make_kinds(Path(place) / "valid")
        for kind in kinds.values():
            if options.only in kind.name:
                row = try_kind(kind, options.inputs, options.seed, Path(place) / "spoilt", options.keep)
                rows.append(row)
                print(json.dumps(row), flush=True)
    if options.out:
        about = {"python": platform.python_version(), "limits": {"seconds": SECONDS, "megabytes": MEGABYTES}}
        known = read_json(options.out)["rows"] if options.out.exists() else []
        new = {row["kind"]: row for row in rows}
        kept = [new.pop(row["kind"], row) for row in known]
        write_json(options.out, {**about, "rows": [*kept, *new.values()]})
    sys.exit(any(row["failed"] for row in rows))


if __name__ == "__main__":
    main()
