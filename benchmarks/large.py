"""Peak memory and time of every job on models of published sizes: each job is a command in a process of its own.

    python benchmarks/large.py small turbo --jobs show doctor export-int8 --out benchmarks/results/large.json

Models have random weights (`published.py`), so their error rates and texts mean nothing. What is written is removed
after each job but for what the next one reads. Results are added to OUT as they come; a job that is there is not run
again. The peak is the most memory that the process had at a time (VmHWM), mapped files included, so that it is compared
with the model's own bytes; the time is that of a machine that may do other things.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from published import BUILDERS, WHISPERS, write_published

from secateur.allocation.latency import machine
from secateur.base.files import read_json, write_json

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = ROOT / "src" / "secateur" / "data" / "bundled"
COMMAND = [sys.executable, "-m", "secateur"]
WHISPER_FORMATS = ("export-ctranslate2", "export-ggml")
# Words of each job after the command's own; MODEL, OUT and CLIPS are filled in.
JOBS: dict[str, list[str]] = {
    "show": ["models", "show", "MODEL"],
    "doctor": ["doctor", "MODEL"],
    "export-check": ["export", "MODEL", "--out", "OUT", "--check"],
    "export-int8": ["export", "MODEL", "--out", "OUT", "--precision", "int8"],
    "export-fp16": ["export", "MODEL", "--out", "OUT", "--precision", "fp16"],
    "export-fp32": ["export", "MODEL", "--out", "OUT", "--precision", "fp32"],
    "export-transformers-fp16": ["export", "MODEL", "--out", "OUT", "--format", "transformers", "--precision", "fp16"],
    "export-transformers-bf16": ["export", "MODEL", "--out", "OUT", "--format", "transformers", "--precision", "bf16"],
    "export-ctranslate2": ["export", "MODEL", "--out", "OUT", "--format", "ctranslate2"],
    "export-ggml": ["export", "MODEL", "--out", "OUT", "--format", "ggml"],
    "transcribe": ["transcribe", "CLIP", "--model", "EXPORTED", "--json"],
    "one-shot": [
        "prune", "--model", "MODEL", "--train", "TRAIN", "--dev", "DEV", "--test", "DEV", "--out", "OUT", "--one-shot",
        "--prune.criterion", "magnitude", "--prune.remove", "0.2", "--prune.kinds", "ffn", "--device", "cpu",
        "--same-speakers",
    ],
    "sensitivity": [
        "sensitivity", "MODEL", "--data", "DEV", "--out", "OUT", "--sites", "3", "--device", "cpu",
    ],
    "adapt-check": [
        "adapt", "--model", "MODEL", "--train", "TRAIN", "--dev", "DEV", "--test", "DEV", "--out", "OUT", "--check",
        "--device", "cpu", "--same-speakers",
    ],
}  # fmt: skip
# What other programs do with what was written: their interpreter (`--peer-python`) runs it.
PEERS = {
    "export-ctranslate2": "import sys, faster_whisper; m = faster_whisper.WhisperModel(sys.argv[1], device='cpu', "
    "compute_type='int8', cpu_threads=1); s, _ = m.transcribe(sys.argv[2], beam_size=1, language='en', "
    "max_new_tokens=8, temperature=0); print(len(list(s)), 'segments')",
    "export-ggml": "import sys, pywhispercpp.model as p; m = p.Model(sys.argv[1], n_threads=1, single_segment=True, "
    "max_tokens=8, language='en', temperature_inc=0.0); print(len(m.transcribe(sys.argv[2])), 'segments')",
    "export-transformers-fp16": "import sys, torch, transformers as t; c = t.AutoConfig.from_pretrained(sys.argv[1]); "
    "k = {'whisper': t.WhisperForConditionalGeneration, 'moonshine': t.MoonshineForConditionalGeneration}; "
    "m = k.get(c.model_type, t.AutoModelForCTC).from_pretrained(sys.argv[1], dtype='auto'); "
    "print(m.dtype, sum(p.numel() for p in m.parameters()), 'parameters')",
}  # fmt: skip


def measured(words: list[str], env: dict[str, str], limit: float) -> dict[str, Any]:
    """Run a command: its exit code, peak of memory in GB, seconds, and its last line."""
    start, peak = time.perf_counter(), [0]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(words, env=env, stdout=said, stderr=subprocess.STDOUT, text=True)

        def watch() -> None:
            while process.poll() is None:
                try:
                    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
                    peak[0] = max([peak[0], *(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM"))])
                except OSError:
                    pass
                time.sleep(0.1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            code = -9
        watcher.join()
        said.seek(0)
        lines = [line.strip() for line in said.read().splitlines() if line.strip()]
    return {
        "exit": code, "peak_gb": round(peak[0] * 1024 / 1e9, 2), "seconds": round(time.perf_counter() - start, 1),
        "last_line": "" if code == 0 else (lines or [""])[-1][:300],
    }  # fmt: skip


def main() -> int:
    """Run what was asked for, one job after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=list(BUILDERS))
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=["show", "doctor", "export-check"])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "large.json")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "secateur-large")
    parser.add_argument("--peer-python", default="", help="an interpreter with faster-whisper and pywhispercpp")
    parser.add_argument("--limit", type=float, default=1800, help="seconds a job may take")
    arguments = parser.parse_args()
    results = read_json(arguments.out) if arguments.out.exists() else {"models": {}}
    results["machine"] = {**machine(), "cores": os.cpu_count()}
    env = {**os.environ, "SECATEUR_CACHE": str(arguments.scratch / "cache"), "OMP_NUM_THREADS": "1"}
    for name in arguments.models:
        folder = arguments.scratch / name
        if not (folder / "config.json").exists():
            write_published(name, folder)
        stored = sum(f.stat().st_size for f in folder.glob("*.safetensors"))
        entry = results["models"].setdefault(name, {"stored_gb": round(stored / 1e9, 3), "jobs": {}})
        for job in arguments.jobs:
            if job in entry["jobs"] or (job in WHISPER_FORMATS and name not in WHISPERS):
                continue
            out = arguments.scratch / f"{name}-{job}"
            places = {
                "MODEL": folder, "OUT": out, "TRAIN": BUNDLED / "train.jsonl", "DEV": BUNDLED / "dev.jsonl",
                "CLIP": first_clip(), "EXPORTED": arguments.scratch / f"{name}-export-int8",
            }  # fmt: skip
            line = measured([*COMMAND, *(str(places.get(w, w)) for w in JOBS[job])], env, arguments.limit)
            line |= {"times_stored": round(line["peak_gb"] / (stored / 1e9), 2), "written_gb": size_of(out)}
            line |= {"date": datetime.now(UTC).date().isoformat(), "load": round(os.getloadavg()[0], 1)}
            if job in PEERS and line["exit"] == 0:
                python = sys.executable if "transformers" in job else arguments.peer_python
                if python:
                    words = [python, "-c", PEERS[job], str(out), str(first_clip())]
                    line["run_by_its_program"] = measured(words, env, arguments.limit)
            entry["jobs"][job] = line
            write_json(arguments.out, results)
            print(name, job, line, flush=True)
            if job != "export-int8":
                shutil.rmtree(out, ignore_errors=True) if out.is_dir() else out.unlink(missing_ok=True)
        shutil.rmtree(arguments.scratch / f"{name}-export-int8", ignore_errors=True)
        shutil.rmtree(folder)
    return 0


def first_clip() -> Path:
    """A recording of the bundled speech."""
    from secateur.data.manifest import read_manifest

    return Path(read_manifest(BUNDLED / "dev.jsonl")[0].audio)


def size_of(path: Path) -> float:
    """GB that a job wrote."""
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()] if path.is_dir() else []
    return round(sum(f.stat().st_size for f in files) / 1e9, 3)


if __name__ == "__main__":
    sys.exit(main())
