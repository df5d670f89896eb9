"""From nothing to the first own model, as README.md says it: every line that a newcomer types, timed in a fresh folder.

    python benchmarks/newcomer.py . own/recordings --out benchmarks/results/newcomer.json

REPOSITORY is cloned, RECORDINGS is a folder of recordings with a table of transcripts and, of some, subtitles beside
them. Downloads go into a cache of their own, so that they count; pip's own cache is used as it is. Minutes are the
clock's, processor minutes those of all that a line started. A line that fails ends the run.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recorded import how

from secateur.base.files import write_json

# What it is for, and the line as it is typed.
LINES = (
    ("get it", "git clone {repository} secateur && cd secateur"),
    ("set up, and the main job on its own speech", "make demo"),
    ("use the same environment", ". .venv/bin/activate"),
    ("a manifest of the table", "secateur data prepare {recordings} --out mine/train.jsonl"),
    ("and of the subtitles", "secateur data prepare {recordings} --layout annotated --out mine/more.jsonl"),
    ("the first own model", "secateur adapt --train mine/train.jsonl,mine/more.jsonl --out runs/mine"),
    ("use it", "secateur transcribe {clip} --model runs/mine/exported/pruned"),
)


def main() -> None:
    """Type, time, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--work", type=Path, help="clone into this folder, which stays")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    recordings = options.recordings.resolve()
    clips = sorted(p for p in recordings.rglob("*") if p.suffix in (".wav", ".mp3", ".m4a"))
    names = {"repository": options.repository.resolve(), "recordings": recordings, "clip": f"'{clips[0]}'"}
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["SECATEUR_CACHE"] = str(work / "cache")
        rows, before = [], ""
        for what, line in LINES:
            began, used, load = time.time(), processor(), os.getloadavg()[0]
            shell = subprocess.run(
                ["bash", "-e", "-c", f"{before}{line.format(**names)}"], cwd=work, env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            row = {"what": what, "line": line, "exit": shell.returncode, "minutes": (time.time() - began) / 60,
                   "processor_minutes": (processor() - used) / 60, "load_before": load,
                   "last": shell.stdout.strip().splitlines()[-3:]}  # fmt: skip
            rows.append({name: round(value, 2) if isinstance(value, float) else value for name, value in row.items()})
            print(rows[-1], flush=True)
            (work / "said.txt").open("a").write(f"$ {line}\n{shell.stdout}\n")
            if shell.returncode:
                sys.exit(shell.stdout[-3000:])
            if "clone" in line:
                before = "cd secateur; "
            if "activate" in line:
                before += f"{line}; "
        write_json(options.out, {"how": how(work / "secateur"), "recordings": len(clips), "rows": rows})


def processor() -> float:
    """Seconds of processor time of all processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
