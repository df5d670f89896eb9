"""How fast exported models are beside other recognisers, in one run on this machine's CPU; error rates beside speed.

    python benchmarks/runtime.py exported/model [more folders] --peer-python PEER_VENV/bin/python \
        --peer faster-whisper-int8=CTRANSLATE2_FOLDER --peer faster-whisper-float32=CTRANSLATE2_FOLDER \
        --peer transformers=FOLDER --peer pocketsphinx=- --out benchmarks/results/runtime.json

The same checkpoint for all: `secateur export tiny.en --out FOLDER --format ctranslate2` (transformers, ggml). Slots:
whisper.cpp=GGML_FILE, vosk=FOLDER, moonshine=FOLDER, sherpa-onnx=FOLDER. A peer that this interpreter does not have
runs in `--peer-python`, an environment of its own (`pip install faster-whisper pocketsphinx pywhispercpp sherpa-onnx`).

Every clip goes through every recogniser in turn, so whatever else the machine does meets all of them: ratios are the
figures to trust, milliseconds are this machine's, and where it is busy the processor's time says more than the clock.
Answers are kept beside OUT as they come: a run that was cut, or ended by --minutes, goes on with the same command.
`short` is speechocean762 test, `commands` barista-commands test (which has no transcripts, so no error rate), `long`
librispeech-mini test. Of ours also: import and first transcript in a fresh process, and each stage on 4 s.
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
from recognise import KINDS
from recorded import how
from whisper_normalizer.basic import BasicTextNormalizer

from secateur.audio.read import read_audio
from secateur.base.errors import SecateurError, check_known
from secateur.base.files import write_json
from secateur.base.progress import track
from secateur.data.manifest import evenly, read_manifest
from secateur.evaluate.error_rate import count_errors, total
from secateur.features.whisper import log_mel
from secateur.runtime.onnx_session import OnnxSession
from secateur.text.normalise import normaliser

SETS = {"short": "speechocean762", "commands": "barista-commands", "long": "librispeech-mini"}
GRAPH_FRAMES = 400  # 4 s: 200 encoder positions
PAST = 8  # tokens before the timed decoder step
FIRST = """
import sys, time
start = time.perf_counter()
from secateur.runtime.recogniser import Recogniser
imported = time.perf_counter()
import numpy
samples = numpy.load(sys.argv[2])
begin = time.perf_counter()
Recogniser.load(sys.argv[1], threads=int(sys.argv[3])).transcribe(samples)
print(imported - start, time.perf_counter() - begin)
"""


@dataclass(frozen=True)
class Runner:
    """A recogniser to measure: which interpreter, which kind, which model folder or file."""

    name: str
    python: str
    kind: str
    model: str

    @property
    def megabytes(self) -> float | None:
        """Size of the model; None where it came with the program."""
        path = Path(self.model)
        if self.model == "-":
            return None
        files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        return round(sum(p.stat().st_size for p in files) / 1e6, 1)


@dataclass(frozen=True)
class Clip:
    """One recording, and its transcript where there is one."""

    audio: Path
    text: str | None


class Process:
    """A running `recognise.py`."""

    def __init__(self, runner: Runner, threads: int) -> None:
        script = Path(__file__).with_name("recognise.py")
        self.name = runner.name
        words = [runner.python, str(script), runner.kind, runner.model, str(threads)]
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True, env=environment
        )
        self.load = self._answer()["load"]

    def ask(self, samples: Path) -> dict[str, Any]:
        """Text, seconds and memory for one clip."""
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
        for line in self._process.stdout:
            if line.startswith("{"):  # some libraries talk
                return dict(json.loads(line))
        self._said.seek(0)
        said = self._said.read().strip().splitlines()
        raise SecateurError(f"{self.name}: ended without an answer ({said[-1] if said else 'no message'})")


class Journal:
    """Every answer of a run, a line each, so that a run that was cut goes on where it stood.

    Raises:
        SecateurError: a journal of other recognisers.
    """

    def __init__(self, path: Path | None, runners: list[Runner]) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}
        head = {"runners": [[r.name, r.model, r.megabytes] for r in runners]}
        if path is None:
            return
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if lines and json.loads(lines[0]) != head:
            raise SecateurError(f"{path}: begun with other models; remove it to start anew")
        for line in lines[1:]:
            answer = json.loads(line)
            self._known[answer.pop("of")] = answer
        if not lines:
            path.write_text(json.dumps(head) + "\n", encoding="utf-8")

    def get(self, key: str) -> dict[str, Any] | None:
        """The answers of all runners to one clip, by name."""
        return self._known.get(key)

    def put(self, key: str, answers: dict[str, Any]) -> None:
        """Keep them."""
        self._known[key] = answers
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"of": key, **answers}) + "\n")


def measure(
    runners: list[Runner], clips: list[Clip], threads: int, label: str, journal: Journal, until: float
) -> list[dict[str, Any]] | None:
    """One row a runner: milliseconds, real-time factor, WER, memory, and its time over the first one's.

    None: the time is up (`until`, of the monotonic clock); what was answered is in the journal.
    """
    keys = {clip.audio: f"{label}|{threads}|{clip.audio.name}" for clip in clips}
    missing = [clip for clip in clips if journal.get(keys[clip.audio]) is None]
    processes: list[Process] = []
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "clip.npy"
        try:
            if missing and time.monotonic() < until:
                processes += [Process(runner, threads) for runner in runners]
            for clip in track(missing, f"{label}, {threads} thread(s)"):
                if time.monotonic() >= until:
                    return None
                values = read_audio(clip.audio, 16000)
                np.save(samples, values)
                answers = {process.name: {**process.ask(samples), "load": process.load} for process in processes}
                journal.put(keys[clip.audio], {"audio_s": len(values) / 16000, "answers": answers})
        finally:
            for process in processes:
                process.close()
    return rows_of(runners, clips, threads, label, [journal.get(keys[clip.audio]) or {} for clip in clips])


def rows_of(
    runners: list[Runner], clips: list[Clip], threads: int, label: str, found: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of one group of clips from what every runner answered."""
    normalise, basic, rows = normaliser("en", "whisper"), BasicTextNormalizer(), []
    audio = sum(one["audio_s"] for one in found)
    answers = {runner.name: [one["answers"][runner.name] for one in found] for runner in runners}

    def column(name: str, what: str) -> list[float]:
        return [answer[what] for answer in answers[name]]

    first = runners[0].name
    for runner in runners:
        each, busy = column(runner.name, "seconds"), column(runner.name, "cpu")
        pairs = [
            (clip.text, answer["text"])
            for clip, answer in zip(clips, answers[runner.name], strict=True)
            if clip.text is not None
        ]
        errors = [count_errors(normalise(text), normalise(found)) for text, found in pairs]
        plain = [count_errors(basic(text), basic(found)) for text, found in pairs]
        rows.append({
            "clips": label, "threads": threads, "model": runner.name, "MB": runner.megabytes,
            "load_s": round(statistics.median(column(runner.name, "load")), 2),
            "ms_per_clip": round(1000 * statistics.median(each)),
            "real_time_factor": round(sum(each) / audio, 4),
            "cpu_ms_per_clip": round(1000 * statistics.median(busy)),
            "WER": round(100 * total(errors).rate, 1) if errors else None,
            "WER_plain": round(100 * total(plain).rate, 1) if errors else None,
            "errors": [e.errors for e in errors], "texts": [found for _, found in pairs],
            "peak_MB": round(max(column(runner.name, "peak_mb"))), "utterances": len(clips),
            "seconds_per_clip": round(audio / len(clips), 1),
            "times_ours": round(sum(each) / sum(column(first, "seconds")), 2),
            "cpu_times_ours": round(sum(busy) / sum(column(first, "cpu")), 2),
        })  # fmt: skip
    return rows


def time_stages(folder: Path, threads: int, repeats: int) -> dict[str, Any]:
    """Milliseconds (the least of `repeats`) of features and encoder on 4 s and of one decoder step, for one clip."""
    session = OnnxSession(folder, threads)
    front = session.config.front_end
    sound = np.random.default_rng(0).standard_normal(GRAPH_FRAMES * front.hop).astype(np.float32) * 0.1
    mel = log_mel(sound, front)[None]
    state = session.encode(mel, None)
    _, state = session.step(np.ones((1, PAST), np.int64), state)
    times: list[list[float]] = []
    for _ in range(repeats):
        marks = [time.perf_counter()]
        for work in (
            lambda: log_mel(sound, front),
            lambda: session.encode(mel, None),
            lambda: session.step(np.ones((1, 1), np.int64), state),
        ):
            work()
            marks.append(time.perf_counter())
        times.append(np.diff(marks).tolist())
    features, encoder, step = (1000 * min(column) for column in zip(*times, strict=True))
    return {
        "model": folder.name, "threads": threads, "precision": session.contents.precision,
        "features_ms": round(features, 2), "encoder_ms": round(encoder, 1), "step_ms": round(step, 2),
    }  # fmt: skip


def time_first(folder: Path, threads: int, clips: list[Clip], repeats: int = 5) -> dict[str, Any]:
    """Seconds (medians of fresh processes) of import, and of loading and transcribing the clip nearest 5 s."""
    audios = [read_audio(clip.audio, 16000) for clip in clips]
    nearest = min(audios, key=lambda audio: abs(len(audio) - 5 * 16000))
    with tempfile.TemporaryDirectory() as temporary:
        samples = Path(temporary) / "clip.npy"
        np.save(samples, nearest)
        words = [sys.executable, "-c", FIRST, str(folder), str(samples), str(threads)]
        found = [
            [float(x) for x in subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()]
            for _ in range(repeats)
        ]
    imports, firsts = (statistics.median(column) for column in zip(*found, strict=True))
    return {
        "model": folder.name, "threads": threads, "clip_s": round(len(nearest) / 16000, 2),
        "import_s": round(imports, 3), "first_transcript_s": round(firsts, 3),
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Rows of equal keys as a Markdown table."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return "\n".join(lines + ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows])


def clips_of(data: Path, name: str, count: int) -> list[Clip]:
    """`count` clips, evenly over a test set; transcripts where the set has any."""
    lines = (data / name / "test.jsonl").read_text(encoding="utf-8").splitlines()
    if "text" in json.loads(lines[0]) and json.loads(lines[0])["text"]:
        every = [Clip(u.audio, u.text) for u in read_manifest(data / name / "test.jsonl")]
    else:
        every = [Clip(data / name / json.loads(line)["audio"], None) for line in lines]
    return evenly(every, count)


def version_of(runner: Runner) -> str:
    """The release of the program that a runner starts; "" of a program that does not say."""
    name = {"whisper.cpp": "pywhispercpp", "moonshine": "useful-moonshine-onnx"}.get(runner.kind, runner.kind)
    name = "faster-whisper" if runner.kind.startswith("faster-whisper") else name
    words = [runner.python, "-c", f"import importlib.metadata as m; print(m.version({name!r}))"]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def peers(words: list[str], other: str | None) -> list[Runner]:
    """Runners of `kind=model`; in this interpreter where it has the program, else in `other`."""
    found = []
    for word in words:
        kind, _, model = word.partition("=")
        check_known("peer", kind, [name for name in KINDS if name != "secateur"])
        if not model:
            raise SecateurError(f"--peer {kind}: say which model, {kind}=FOLDER (pocketsphinx=- for its own)")
        module = {"whisper.cpp": "pywhispercpp", "moonshine": "moonshine_onnx"}.get(kind, kind)
        module = "faster_whisper" if kind.startswith("faster-whisper") else module.replace("-", "_")
        python = next(
            (
                python
                for python in (sys.executable, other)
                if python and not subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode
            ),
            None,
        )
        if python is None:
            raise SecateurError(f"{kind}: '{module}' is installed neither here nor for --peer-python")
        found.append(Runner(kind, python, kind, model))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="exported models; ratios are to the first")
    parser.add_argument("--peer", action="append", default=[], metavar="KIND=MODEL", help=f"known: {', '.join(KINDS)}")
    parser.add_argument("--peer-python", help="interpreter for peers that this one does not have")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SECATEUR_DATA", "../shared/data")))
    parser.add_argument("--clips", type=int, nargs=3, default=(60, 20, 20), metavar=("SHORT", "COMMANDS", "LONG"))
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--out", type=Path, help="write everything as JSON here")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop after so many; the same command goes on")
    options = parser.parse_args()

    if not (options.data / SETS["short"]).is_dir():
        raise SecateurError(f"{options.data}: no speech sets here; name their folder with --data or SECATEUR_DATA")
    runners = [Runner(folder.name, sys.executable, "secateur", str(folder)) for folder in options.folders]
    runners += peers(options.peer, options.peer_python)
    groups = {
        f"{label} ({name})": clips_of(options.data, name, count)
        for (label, name), count in zip(SETS.items(), options.clips, strict=True)
        if count
    }
    ours, until = options.folders[0], time.monotonic() + 60 * options.minutes
    path = options.out.with_suffix(".partial.jsonl") if options.out else None
    journal = Journal(path, runners)
    first = [time_first(ours, threads, next(iter(groups.values()))) for threads in options.threads]
    print(table(first), end="\n\n", flush=True)
    stages = [time_stages(folder, threads, 30) for threads in options.threads for folder in options.folders
              if (folder / "encoder.onnx").exists()]  # fmt: skip
    print(table(stages), end="\n\n", flush=True)
    rows: list[dict[str, Any]] = []
    for threads in options.threads:
        for label, clips in groups.items():
            found = measure(runners, clips, threads, label, journal, until)
            if found is None:
                sys.exit(f"runtime.py: {options.minutes:g} minutes are over; the same command again goes on ({path})")
            rows += found
    if options.out and path:
        versions = {runner.name: version_of(runner) for runner in runners if runner.kind != "secateur"}
        write_json(
            options.out, {"how": {**how(), "versions": versions}, "first": first, "stages": stages, "clips": rows}
        )
        path.unlink()
    print(table(rows))


if __name__ == "__main__":
    try:
        main()
    except SecateurError as problem:
        sys.exit(f"runtime.py: {problem}")
