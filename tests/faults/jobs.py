"""The jobs that are killed: on real speech and a small random model; what they must leave behind, whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from secateur.base.tensors import read_header  # noqa: E402
from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.runtime.contents import read_contents  # noqa: E402

TRAIN = """
[training]
steps = 6
batch_seconds = 8.0
learning_rate = 1e-3
save_every = 2
validate_every = 1.0
"""
PRUNE = """
[prune]
method = "gradual"
vocabulary = false
text_tokens = "none"
audio_seconds = "none"
kinds = ["ffn", "head"]
every = 1
remove = 0.05
"""
STUDY = """
name = "killed"
model = "{model}"
train = ["train.jsonl"]
dev = ["dev.jsonl"]
seeds = [0]
[tests]
quiet = "test.jsonl"
{train}{prune}
[arms.dense]
"""
PRUNED_ARM = """
[arms.units]
targets = [0.05]
[arms.units.prune]
"""
# Measured, not computed: differ from run to run.
TIMES = {"seconds", "utterances_per_second", "seconds_compute", "rtf", "sha256", "device"}


def prepare(folder: Path, speech: Path, arms: int = 2) -> None:
    """Real spoken digits under 1.1 s (all that the small model's window holds), two small models, the options.

    `arms` of the study: 1 or 2.
    """
    from small_models import small_whisper

    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if u.duration < 1.1]
    speakers = sorted({u.speaker for u in clips})
    taught = sorted({u.text for u in clips})[:5]  # texts that are trained on are left out of tests
    for name, who, count in (("train", speakers[:3], 16), ("dev", speakers[3:4], 6), ("test", speakers[4:], 8)):
        chosen = [u for u in clips if u.speaker in who and (u.text in taught) == (name != "test")]
        write_manifest(folder / f"{name}.jsonl", chosen[:: len(chosen) // count][:count])
    save_checkpoint(folder / "model", *small_whisper())
    save_checkpoint(folder / "other", *small_whisper(seed=1))
    (folder / "train.toml").write_text(TRAIN)
    (folder / "prune.toml").write_text(TRAIN + PRUNE)
    study = STUDY.format(model=folder / "model", train=TRAIN, prune=PRUNE)
    (folder / "study.toml").write_text(study + (PRUNED_ARM if arms > 1 else ""))


def words(job: str, place: Path, out: Path, model: str = "model") -> list[str]:
    """The command line of a job."""
    sets = [w for name in ("train", "dev", "test") for w in (f"--{name}", f"{place}/{SETS[name]}.jsonl")]
    if job in ("train", "prune"):
        return [job, *sets, "--model", f"{place}/model", "--out", str(out), "--device", "cpu",
                "--config", f"{place}/{job}.toml"]  # fmt: skip
    if job == "study":
        return ["study", f"{place}/study.toml", "--data", str(place), "--out", str(out), "--devices", "cpu",
                "--parallel", "2"]  # fmt: skip
    return ["export", f"{place}/{model}", "--out", str(out), "--precision", "int8"]


SETS = {"train": "train", "dev": "dev", "test": "test"}
JOBS = ("train", "prune", "study", "export")


@dataclass
class Zygote:
    """The forking process."""

    process: subprocess.Popen[str]

    def run(self, command: list[str], out: Path, log: Path, **kill: Any) -> dict[str, Any]:
        """Run a command of secateur that writes to `out`, the only one in its folder; see `zygote`."""
        assert self.process.stdin and self.process.stdout
        request = {"words": command, "place": str(out.parent), "log": str(log), **kill}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))


@contextlib.contextmanager
def zygote() -> Iterator[Zygote]:
    """A zygote, ended when the block ends."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "zygote.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    assert process.stdin and process.stdout
    try:
        assert json.loads(process.stdout.readline())["ready"]
        yield Zygote(process)
    finally:
        process.stdin.close()
        process.wait(20)


def torn(out: Path) -> list[str]:
    """What under `out` is neither whole nor an ignorable temporary."""
    found = []
    for path in sorted(out.rglob("*")):
        inside = path.relative_to(out)
        if any(part.startswith(".") and part.endswith((".tmp", ".lock")) for part in inside.parts):
            continue
        if path.is_dir() or path.name in (".lock", "log.txt"):
            continue
        try:
            whole(path)
        except Exception as problem:
            found.append(f"{inside}: {type(problem).__name__} {problem}"[:300])
    for config in sorted(out.rglob("config.json")):
        folder = config.parent
        if any(part.startswith(".") for part in folder.relative_to(out).parts):
            continue
        try:
            if (folder / "encoder.onnx").exists():
                whole_export(folder)
            else:  # written last: where it is, all of the checkpoint is
                load_checkpoint(folder)
        except Exception as problem:
            found.append(f"{folder.relative_to(out)}: {type(problem).__name__} {problem}"[:300])
    return found


def whole(path: Path) -> None:
    """Raise what is wrong with a file."""
    if path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".jsonl":
        assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    elif path.suffix == ".safetensors":
        assert read_header(path)
    elif path.suffix == ".html":
        assert path.read_text(encoding="utf-8").rstrip().endswith("</html>"), "no end"
    elif path.suffix != ".onnx":  # those are held against export.json
        raise AssertionError("a kind of file that is not known here")


def whole_export(folder: Path) -> None:
    """Raise what is wrong with an exported model: every checksum, and nothing beside what is listed."""
    contents = read_contents(folder)
    for name, record in contents.files.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert found == record.sha256, f"{name} is not the file that export.json lists"
    assert {p.name for p in folder.iterdir()} == {*contents.files, "export.json"}


def outcome(out: Path) -> dict[str, Any]:
    """All that must not depend on how often a job was killed: weights bit by bit, errors, texts, log."""
    found: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        inside = str(path.relative_to(out))
        if path.is_dir() or inside.split("/")[-1].startswith(".") or path.name in ("log.txt", "study.html"):
            continue
        if path.suffix == ".json":
            found[inside] = untimed(json.loads(path.read_text(encoding="utf-8")))
        elif path.suffix == ".jsonl":
            found[inside] = [untimed(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
        elif path.suffix == ".safetensors":  # value by value: the order of a header's notes is drawn by lot
            found[inside] = {
                n: hashlib.sha256(t.contiguous().view(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
                for n, t in load_file(path).items()
            }
        else:
            found[inside] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def untimed(value: Any) -> Any:
    """Without what is measured."""
    if isinstance(value, dict):
        return {k: untimed(v) for k, v in value.items() if k not in TIMES}
    return [untimed(v) for v in value] if isinstance(value, list) else value


def is_done(job: str, out: Path) -> bool:
    """Whether a job has written the last of its files."""
    last = {"train": "summary.json", "prune": "summary.json", "study": "study.html", "export": "export.json"}
    return (out / last[job]).exists()
