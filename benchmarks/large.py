"""Peak memory and time of every job on models of published sizes: each job is a command in a process of its own.

    python benchmarks/large.py --out large.jsonl --parallel 12 --device cuda:0 --until 300
    python benchmarks/large.py small turbo --only 'export-*' transcribe

Models have random weights (`published.py`), so their error rates and texts mean nothing. A cell (model and job) becomes
a line of OUT as soon as it ends; what is there is not run again, and what was running at --until is. Cells run side by
side as long as their estimated memory fits (--ram-gb, --gpu-gb): seconds are those of a machine that does other things.
Peaks are of the whole process: VmHWM, mapped files included, and what torch reserved on the GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = ROOT / "src" / "secateur" / "data" / "bundled"
# GB that the weights take as they are stored; `published.py` writes them. The order is that of the table.
MODELS = {
    "small": 0.49, "medium": 1.53, "turbo": 1.62, "large-v3": 3.09, "distil-large-v3": 1.52, "wav2vec2-large": 1.27,
    "xls-r-300m": 1.27, "parakeet-ctc-0.6b": 1.22, "moonshine-base": 0.25,
}  # fmt: skip
WHISPERS = ("small", "medium", "turbo", "large-v3", "distil-large-v3")
HALVES = (*WHISPERS, "parakeet-ctc-0.6b")  # stored in 16 bits: twice that, once read
TOKENS = (*WHISPERS, "moonshine-base")  # encoder-decoder models
CLIP = str(BUNDLED / "dev" / "gus-00.opus")  # 2.7 s
STOPPED = -9  # exit code of what took too long
WRITE = "write"  # makes the model; no row of the table
ADAPT = [
    "adapt", "--model", "MODEL", "--out", "OUT", "--dense-control", "no", "--conditions", "", "--timed-clips", "1",
    "--prune.text-tokens", "64",
]  # fmt: skip
LEAN = [
    "--training.optimizer", "adafactor", "--training.gradient-checkpointing", "yes", "--training.offload", "yes",
]  # fmt: skip
SETS = ["--train", "TRAIN", "--dev", "DEV", "--test", "DEV", "--same-speakers", "--device", "DEVICE"]
STEPS = [
    "--training.steps", "4", "--training.validate-every", "1000", "--prune.begin", "0", "--prune.every", "1",
    "--training.interpolation", "1",
]  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A command: MODEL, OUT and the other words in capitals are filled in. Memory is GB, over weights as fp32."""

    words: list[str]
    ram: float = 1.0  # times the weights as fp32, beside 1.5 GB of libraries
    gpu: float = 0.0  # times the weights as fp32, where there is a GPU
    gpu_more: float = 0.0  # GB beside them
    after: str = WRITE  # the job of the same model whose output it reads
    models: tuple[str, ...] = tuple(MODELS)  # that have it


def export(*words: str, models: tuple[str, ...] = tuple(MODELS)) -> Job:
    """A way to write a model."""
    return Job(["export", "MODEL", "--out", "OUT", *words], ram=2, models=models)


JOBS = {
    "show": Job(["models", "show", "MODEL"], ram=0),
    "doctor": Job(["doctor", "MODEL"], ram=0),
    "adapt": Job([*ADAPT, *SETS, *STEPS, *LEAN], ram=4, gpu=3.5, gpu_more=6),
    "export-int8": export("--precision", "int8"),
    "export-fp16": export("--precision", "fp16"),
    "export-fp32": export("--precision", "fp32"),
    "export-ctranslate2": export("--format", "ctranslate2", models=WHISPERS),
    "export-ggml": export("--format", "ggml", models=WHISPERS),
    "export-transformers-fp16": export("--format", "transformers", "--precision", "fp16"),
    "export-transformers-bf16": export("--format", "transformers", "--precision", "bf16"),
    "one-shot": Job(
        ["prune", "--model", "MODEL", *SETS, "--out", "OUT", "--one-shot", "--prune.remove", "0.2"],
        ram=2, gpu=4, gpu_more=20,
    ),
    "sensitivity": Job(
        ["sensitivity", "MODEL", "--data", "DEV", "--out", "OUT", "--device", "DEVICE", "--amounts", "0.25",
         "--sites", "*layers.0.*", "--decode", "1"],
        ram=1.5, gpu=3, gpu_more=6,
    ),
    "transcribe": Job(["transcribe", "CLIP", "--model", "MODEL", "--device", "DEVICE"], ram=1.5, gpu=2, gpu_more=2),
    "transcribe-int8": Job(["transcribe", "CLIP", "--model", "INT8", "--workers", "1"], ram=1, after="export-int8"),
    "adapt-adamw": Job([*ADAPT, *SETS, *STEPS], ram=4, gpu=8, gpu_more=25),
}  # fmt: skip
# Texts of random weights do not end by themselves.
SHORT = ["--max-tokens", "64", "--temperatures", "0", "--language", "en"]
# What other programs do with what was written: their interpreter (`--peer-python`; transformers' is ours) runs it.
PEERS = {
    "export-ctranslate2": "import sys, faster_whisper; m = faster_whisper.WhisperModel(sys.argv[1], device='cpu', "
    "compute_type='int8', cpu_threads=1); s, _ = m.transcribe(sys.argv[2], beam_size=1, language='en', "
    "max_new_tokens=8, temperature=0); print(len(list(s)), 'segments')",
    "export-ggml": "import sys, pywhispercpp.model as p; m = p.Model(sys.argv[1], n_threads=1, single_segment=True, "
    "max_tokens=8, language='en', temperature_inc=0.0); print(len(m.transcribe(sys.argv[2])), 'segments')",
    **dict.fromkeys(
        ("export-transformers-fp16", "export-transformers-bf16"),
        "import sys, torch, transformers as t; c = t.AutoConfig.from_pretrained(sys.argv[1]); "
        "k = {'whisper': t.WhisperForConditionalGeneration, 'moonshine': t.MoonshineForConditionalGeneration}; "
        "m = k.get(c.model_type, t.AutoModelForCTC).from_pretrained(sys.argv[1], dtype='auto'); "
        "print(m.dtype, sum(p.numel() for p in m.parameters()), 'parameters')",
    ),
}
# Runs the command, then says what its process took at most; argv: where to, the command's words.
CHILD = """
import json, sys
from pathlib import Path
code = 1
try:
    from secateur.cli import main
    code = main(sys.argv[2:])
finally:
    status = Path("/proc/self/status").read_text().splitlines()
    peak = max(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    torch = sys.modules.get("torch")
    gpu = torch.cuda.max_memory_reserved() if torch and torch.cuda.is_initialized() else 0
    name = torch.cuda.get_device_name() if gpu else ""
    Path(sys.argv[1]).write_text(json.dumps({"peak_kb": peak, "gpu": gpu, "gpu_name": name}))
sys.exit(code)
"""


class Process:
    """A command that runs, what it says in a file, and the most memory that it was seen to have."""

    def __init__(self, words: list[str], env: dict[str, str], log: Path) -> None:
        self.log, self.begun, self.peak_kb = log, time.perf_counter(), 0
        with log.open("w", encoding="utf-8") as said:
            self.started = subprocess.Popen(
                words, env=env, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )

    def ended(self, limit: float) -> dict[str, Any] | None:
        """None while it runs; then its exit code, seconds, peak in GB and, where it failed, its last line."""
        seconds, code = time.perf_counter() - self.begun, self.started.poll()
        if code is None:
            try:
                status = Path(f"/proc/{self.started.pid}/status").read_text(encoding="ascii").splitlines()
                self.peak_kb = max([self.peak_kb, *(int(x.split()[1]) for x in status if x.startswith("VmHWM"))])
            except OSError:
                pass  # it ended meanwhile
            if seconds < limit:
                return None
            self.stop()
            code = STOPPED
        said = [x.strip() for x in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if x.strip()]
        last = "" if code == 0 else (said or [""])[-1][:300]
        return {"exit": code, "seconds": round(seconds, 1), "peak_gb": gb(self.peak_kb * 1024), "last_line": last}

    def stop(self) -> None:
        """End it and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.started.pid, signal.SIGKILL)
        self.started.wait()


@dataclass
class Cell:
    """A job on a model: its command, then the program that its output is for."""

    model: str
    job: str
    scratch: Path
    process: Process | None = None
    line: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.model}/{self.job}"

    @property
    def model_folder(self) -> Path:
        return self.scratch / "models" / self.model

    @property
    def out(self) -> Path:
        return self.scratch / f"{self.model}-{self.job}"

    @property
    def after(self) -> str:
        """The job of the same model whose output this one reads."""
        return JOBS[self.job].after if self.job != WRITE else ""

    def needs(self, gpu: bool) -> tuple[float, float]:
        """GB of memory and of the GPU's that the cell will take, estimated from its model's size."""
        if self.job == WRITE:
            return 2.0, 0.0
        job = JOBS[self.job]
        whole = MODELS[self.model] * (2 if self.model in HALVES else 1)
        ram, on_gpu = job.ram * whole + 1.5, job.gpu * whole + job.gpu_more
        return (ram + 2.5, on_gpu) if job.gpu and gpu else (ram + on_gpu, 0.0)

    def begin(self, env: dict[str, str], device: str) -> None:
        """Start the command; what an earlier try left is removed."""
        remove(self.out)
        log = self.scratch / "logs" / f"{self.model}-{self.job}.txt"
        if self.job == WRITE:
            script = str(Path(__file__).with_name("published.py"))
            self.process = Process([sys.executable, script, self.model, "--out", str(self.out)], env, log)
            return
        places = {
            "MODEL": self.model_folder, "OUT": self.out, "TRAIN": self.scratch / "train.jsonl", "CLIP": CLIP,
            "DEV": self.scratch / "dev.jsonl", "INT8": self.scratch / f"{self.model}-export-int8", "DEVICE": device,
        }  # fmt: skip
        words = [*JOBS[self.job].words, *(SHORT if self.job.startswith("transcribe") and self.model in TOKENS else [])]
        record = log.with_suffix(".json")
        remove(record)
        self.process = Process(
            [sys.executable, "-c", CHILD, str(record), *(str(places.get(w, w)) for w in words)], env, log
        )

    def ended(self, env: dict[str, str], options: argparse.Namespace) -> bool:
        """Whether all of it is over; `line` has what it took."""
        assert self.process is not None
        found = self.process.ended(options.limit)
        if found is None:
            return False
        if self.line:
            self.line["run_by_its_program"] = found
            return True
        record = self.process.log.with_suffix(".json")
        if record.exists():  # what it says itself is exact
            own = json.loads(record.read_text(encoding="ascii"))
            found["peak_gb"] = max(found["peak_gb"], gb(own["peak_kb"] * 1024))
            found |= {"gpu_peak_gb": gb(own["gpu"]), "gpu": own["gpu_name"]} if own["gpu"] else {}
        self.line = found
        if self.job == WRITE and found["exit"] == 0:
            (self.out / self.model).rename(self.model_folder)
            self.out.rmdir()
        python = sys.executable if "transformers" in self.job else options.peer_python
        if self.job not in PEERS or found["exit"] != 0 or not python:
            return True
        words = [python, "-c", PEERS[self.job], str(self.out), CLIP]
        self.process = Process(words, env, self.process.log.with_suffix(".program.txt"))
        return False


class Table:
    """The cells that are asked for, those that run, and the file of those that ended."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.gpu, self.begun = options, options.device != "cpu", time.perf_counter()
        here, usual, threads = str(ROOT / "src"), os.environ.get("PYTHONPATH"), str(options.threads)
        self.env = {
            **os.environ, "SECATEUR_CACHE": str(options.scratch / "cache"), "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads, "PYTHONPATH": f"{here}:{usual}" if usual else here, "HF_HUB_OFFLINE": "1",
            "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
        }  # fmt: skip
        done = {(line["model"], line["job"]) for line in lines_of(options.out)}
        asked = [Cell(m, j, options.scratch) for j, job in JOBS.items() for m in options.models if m in job.models]
        patterns = options.only or ["*"]
        waiting = [
            c for c in asked
            if (c.model, c.job) not in done and any(fnmatch.fnmatch(w, p) for w in (c.name, c.job) for p in patterns)
        ]  # fmt: skip
        for cell in list(waiting):  # what another cell reads is made first
            while (before := cell.after) and not any((c.model, c.job) == (cell.model, before) for c in waiting):
                cell = Cell(cell.model, before, options.scratch)
                if before != WRITE or not cell.model_folder.exists():
                    waiting.append(cell)
        self.waiting = sorted(waiting, key=lambda c: c.job != WRITE)
        self.running: list[Cell] = []
        self.failed: set[str] = set()

    def run(self) -> None:
        """Everything, or what fits before `--until`."""
        print(f"{len(self.waiting)} cells", flush=True)
        while self.waiting or self.running:
            for cell in [c for c in self.running if c.ended(self.env, self.options)]:
                self.running.remove(cell)
                self.add(cell)
            if time.perf_counter() - self.begun > self.options.until:
                for cell in self.running:
                    cell.process.stop()  # type: ignore[union-attr]
                    remove(cell.out)
                print(f"stopped at {self.options.until:.0f} s; left: {[c.name for c in self.running + self.waiting]}")
                return
            while cell := self.next():
                self.waiting.remove(cell)
                cell.begin(self.env, self.options.device)
                self.running.append(cell)
            time.sleep(0.1)

    def next(self) -> Cell | None:
        """The first cell that can run now beside the others."""
        for cell in [c for c in self.waiting if f"{c.model}/{c.after}" in self.failed]:
            print(f"{cell.name}: left out, {cell.after} failed", flush=True)
            self.waiting.remove(cell)
        if len(self.running) >= self.options.parallel:
            return None
        used = [cell.needs(self.gpu) for cell in self.running]
        ram, gpu = self.options.ram_gb - sum(r for r, _ in used), self.options.gpu_gb - sum(g for _, g in used)
        pending = {c.name for c in self.waiting + self.running}
        for cell in self.waiting:
            needs = cell.needs(self.gpu)
            fits = (needs[0] <= ram and needs[1] <= gpu) or not self.running
            if fits and f"{cell.model}/{cell.after}" not in pending:
                return cell
        return None

    def add(self, cell: Cell) -> None:
        """The line of a cell that ended; what no other cell reads is removed."""
        print(f"{time.perf_counter() - self.begun:.0f} s: {cell.name} {cell.line}", flush=True)
        if cell.line["exit"] != 0:
            self.failed.add(cell.name)
        if cell.job == WRITE:
            return
        line = {
            "model": cell.model, "job": cell.job, "stored_gb": size_of(cell.model_folder, "*.safetensors"), **cell.line,
            "written_gb": size_of(cell.out), "cpu": processor(), "cores": os.cpu_count(),
            "threads": self.options.threads, "beside": len(self.running), "date": datetime.now(UTC).date().isoformat(),
        }  # fmt: skip
        with self.options.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        read = {f"{c.model}/{c.after}" for c in self.waiting + self.running}
        for job in {cell.job, cell.after} - {WRITE}:
            if f"{cell.model}/{job}" not in read:
                remove(cell.scratch / f"{cell.model}-{job}")


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that was written so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def remove(path: Path) -> None:
    """A folder or a file, where there is one."""
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def gb(count: float) -> float:
    """Bytes as GB."""
    return round(count / 1e9, 2)


def size_of(path: Path, pattern: str = "*") -> float:
    """GB of the files that a job wrote."""
    files = [path] if path.is_file() else [f for f in path.rglob(pattern) if f.is_file()] if path.is_dir() else []
    return round(sum(f.stat().st_size for f in files) / 1e9, 3)


def processor() -> str:
    """The CPU's name."""
    found = [x for x in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if x.startswith("model name")]
    return found[0].partition(":")[2].strip() if found else "an unknown CPU"


def write_sets(folder: Path) -> None:
    """Manifests of the bundled speech: four times the training clips, so that a batch is full; two clips of dev."""
    for name, times, most in (("train", 4, 30), ("dev", 1, 2)):
        lines = lines_of(BUNDLED / f"{name}.jsonl")[:most]
        found = [
            {**line, "id": f"{line['id']}-{i}", "audio": str(BUNDLED / line["audio"])}
            for i in range(times) for line in lines
        ]  # fmt: skip
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in found), encoding="utf-8")


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="MODEL", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--only", nargs="+", help="jobs or model/job, with wildcards: 'export-*' 'turbo/adapt'")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "large.jsonl")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "secateur-large")
    parser.add_argument("--peer-python", default="", help="an interpreter with faster-whisper and pywhispercpp")
    parser.add_argument("--device", default="cpu", help="cuda:0 for what computes on a GPU")
    parser.add_argument("--parallel", type=int, default=1, help="cells side by side")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a cell")
    parser.add_argument("--ram-gb", type=float, default=12, help="memory that cells may take together")
    parser.add_argument("--gpu-gb", type=float, default=130, help="memory of the GPU, likewise")
    parser.add_argument("--until", type=float, default=float("inf"), help="stop after these seconds")
    parser.add_argument("--limit", type=float, default=1800, help="seconds a cell may take")
    options = parser.parse_args()
    if unknown := [name for name in options.models if name not in MODELS]:
        parser.error(f"no model {unknown[0]}: there are {', '.join(MODELS)}")
    for name in ("models", "logs"):
        (options.scratch / name).mkdir(parents=True, exist_ok=True)
    write_sets(options.scratch)
    table = Table(options)
    table.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
