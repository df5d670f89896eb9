"""Manifests of many lines: peak memory and lines a second of every job that passes over a whole set.

    python benchmarks/manifests.py --lines 1000000,10000000 --out benchmarks/results/manifests.json

Lines are synthetic (5,000 speakers, texts of three to eight words), in a temporary folder that is removed. Every job is
a process of its own; memory is what it held at most, Python and numpy included. A manifest of 100 lines shows what the
program takes by itself. `transcribe` hears nothing here (the audio is not there): what is measured is cutting, storing
and joining pieces. `pack` copies clips of a tenth of a second, so it gets fewer lines (--pack), and so does
`transcribe` (--transcribe), whose pieces are many files. `train` makes the index, counts an epoch's batches, and enters
it half-way. What the result file has is not measured again.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from recorded import how

from secateur.base.files import read_json, write_json

WORDS = tuple("turn the light on in kitchen hall off louder please what time is it now play song".split())  # noqa: SIM905
CLIP = 0.1  # s
RUN = """
import resource, sys, time
from pathlib import Path
job, path, out = sys.argv[1:]
start = time.perf_counter()
if job == "train":
    from secateur.data.clip_index import ClipIndex
    from secateur.train.stream import Mix, batch_stream, epoch_steps
    clips = ClipIndex([path])
    mix = Mix(clips.durations, window=20000)
    steps = epoch_steps(mix, 160.0, 0)
    assert [clips[row].id for row in next(batch_stream(mix, 160.0, 0, skip=steps // 2))]
elif job == "transcribe":
    from secateur.runtime.bulk.worker import TranscribeSpec
    from secateur.runtime.bulk.run import BulkSettings, transcribe_all
    transcribe_all([path], TranscribeSpec(None), Path(out) / "heard.jsonl", BulkSettings())
else:
    from secateur.cli import main
    words = {
        "stats": ["stats", path], "check": ["check", path, "--audio", "no"],
        "split": ["split", path, "--out", out], "pack": ["pack", path, "--out", out + "/packed"],
    }
    assert main(["data", *words[job]]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.perf_counter() - start, time.process_time())
"""
JOBS = ("stats", "train", "check", "split")
FEW = 100  # lines


def write_lines(path: Path, lines: int, audio: str) -> None:
    """A synthetic manifest."""
    choose = random.Random(0)
    texts = [" ".join(choose.choices(WORDS, k=choose.randint(3, 8))) for _ in range(20_000)]
    with path.open("w") as out:
        for i in range(lines):
            out.write(
                f'{{"id": "clip-{i:08}", "audio": "{audio}", "duration": {0.8 + i * 7919 % 1400 / 100:.2f}, '
                f'"text": "{texts[i * 31 % 20_000]}", "speaker": "s{i * 13 % 5000:04}", "language": "en"}}\n'
            )


def measure(job: str, lines: int, manifest: Path, scratch: Path) -> dict[str, Any]:
    """One job on one manifest."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        words = [sys.executable, "-c", RUN, job, str(manifest), folder]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        memory, wall, cpu = map(float, done.stdout.split()[-3:])
    return {
        "job": job, "lines": lines, "megabytes": round(memory, 1), "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2), "manifest_megabytes": round(manifest.stat().st_size / 1e6, 1),
    }  # fmt: skip


def main() -> None:
    """Measure, and write after every job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", default="1000000,10000000")
    parser.add_argument("--transcribe", type=int, default=1_000_000)
    parser.add_argument("--pack", type=int, default=100_000)
    parser.add_argument("--jobs", default=",".join((*JOBS, "transcribe", "pack")))
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/manifests.json"))
    options = parser.parse_args()
    counts = [int(n) for n in options.lines.split(",")]
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        clip = Path(folder) / "clip.wav"
        soundfile.write(clip, 0.2 * np.sin(np.arange(int(16000 * CLIP)) / 9), 16000)
        todo = [(n, str(clip), JOBS) for n in (FEW, *counts)]
        todo += [(n, "gone.wav", ("transcribe",)) for n in (FEW, options.transcribe)]
        todo += [(n, str(clip), ("pack",)) for n in (FEW, options.pack)]
        rows = read_json(options.out)["rows"] if options.out.exists() else []
        for lines, audio, jobs in todo:
            done = {row["job"] for row in rows if row["lines"] == lines}
            jobs = tuple(job for job in jobs if job not in done and job in options.jobs.split(","))
            if not jobs:
                continue
            manifest = Path(folder) / "all.jsonl"
            write_lines(manifest, lines, audio)
            for job in jobs:
                rows.append(measure(job, lines, manifest, Path(folder)))
                print(json.dumps(rows[-1]), flush=True)
                write_json(options.out, {
                    "how": how(), "python": platform.python_version(), "rows": rows,
                })  # fmt: skip


if __name__ == "__main__":
    main()
