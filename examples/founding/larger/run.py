"""The founding document's pipeline on six hours of read English: Whisper labels and teaches, small networks learn, are
pruned, and are read with a lexicon and language models.

    python examples/founding/larger/run.py --data SPEECH --out runs/larger --devices cuda:0 --parallel 8    # a GPU
    python examples/founding/larger/run.py --data SPEECH --out runs/small --small                           # 2 cores

`--small` takes two clips of each set and three steps: it shows that everything runs, not what it is worth. Every step
skips what is there, so a run that was killed goes on.
"""

from __future__ import annotations

import argparse
import json
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from secateur.base.errors import SecateurError
from secateur.base.files import read_json, read_toml, write_text
from secateur.base.progress import say
from secateur.cli import main as secateur
from secateur.data.manifest import find_speech, read_manifest, write_manifest
from secateur.study.settings import StudySettings, read_study
from secateur.text.phones import sphinx_file

ROOT = Path(__file__).resolve().parents[3]
STUDY = ROOT / "experiments" / "study" / "ctc_families.toml"
TRUNK = STUDY.with_name("ctc_trunk.toml")  # whose dense run teaches
LABELS = "librispeech-mini/labels.jsonl"  # the study's name for Whisper's transcripts of train.jsonl
CLIPS = 2  # of every set, with --small
STEPS = 3


def main(words: Sequence[str] | None = None) -> int:
    """All steps. `words` are the arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=find_speech(), help="folder of sets (see README)")
    parser.add_argument("--out", type=Path, default=Path("runs/larger"))
    parser.add_argument("--study", type=Path, default=STUDY)
    parser.add_argument("--only", default="", help="arms, separated by commas; all by default")
    parser.add_argument("--labeller", default="tiny.en", help="the model that writes transcripts")
    parser.add_argument("--teacher", type=Path, help="a CTC checkpoint; else a Whisper's encoder is trained first")
    parser.add_argument("--units", default="", help="other units than the study's: characters, where no dictionary is")
    parser.add_argument("--devices", default="auto")
    parser.add_argument("--parallel", default="1", help="runs side by side")
    parser.add_argument("--beam", default="64", help="of reading with language models")
    parser.add_argument("--small", action="store_true")
    a = parser.parse_args(words)
    if a.data is None:
        raise SecateurError("no speech here: name a folder of sets with --data")
    study = prepare(a, a.study, a.out / "study.toml")
    arms = {name: arm for name, arm in study.arms.items() if not a.only or name in a.only.split(",")}
    labels = a.out / "data" / LABELS
    if LABELS in study.training_manifests and not labels.exists():
        done("data", "label", labels.with_name("train.jsonl"), "--all", "--model", a.labeller, "--numbers-as-words",
             "--sure", "0" if a.small else "0.5", "--out", labels)  # fmt: skip
    if any("/" in arm.teacher for arm in arms.values()) and a.teacher is None:
        prepare(a, TRUNK, a.out / "trunk.toml")
        done("study", a.out / "trunk.toml", "--data", a.out / "data", "--out", a.out / "trunk", "--devices", a.devices,
             "--only", "dense", "--seeds", "0")  # fmt: skip
    only = ["--only", a.only] if a.only else []
    done("study", a.out / "study.toml", "--data", a.out / "data", "--out", a.out / "runs", "--devices", a.devices,
         "--parallel", a.parallel, *only)  # fmt: skip
    read(a, study)
    answer(a, study)
    return 0


def prepare(a: argparse.Namespace, source: Path, target: Path) -> StudySettings:
    """The manifests (a few lines of each, with --small) and a study, in the folder of this run."""
    values = read_toml(source)
    teacher = (a.teacher or a.out / "trunk" / "dense-0").resolve()
    for arm in values["arms"].values():
        if "/" in arm.get("teacher", ""):  # a checkpoint elsewhere
            arm["teacher"] = str(teacher)
    parts = [values, *values["arms"].values()]
    for part in parts:
        new, train, prune = (part.get(name, {}) for name in ("new", "training", "prune"))
        if a.units and "units" in new:
            new["units"] = a.units
        if a.small:
            part |= {"seeds": [0]} if "seeds" in part else {}
            train |= {"steps": STEPS} if "steps" in train else {}
            prune |= {"begin": 0.0} if "begin" in prune else {}
            prune |= {"every": 1} if "every" in prune else {}
            if values["new"]["preset"] != "whisper":
                part["new"] = new | {"layers": 1, "width": 16}
    write_text(target, toml(values))
    study = read_study(target)
    for name in {*study.training_manifests, *study.dev, *study.tests.values()} - {LABELS}:
        clips = read_manifest(a.data / name)
        if a.small:
            clips = [u for u in clips if 1.0 < u.duration < 5.0][:CLIPS]
        write_manifest(a.out / "data" / name, clips)
    return study


def toml(values: dict[str, Any], name: str = "") -> str:
    """Tables of plain values as TOML."""
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    lines = ([f"[{name}]"] if name else []) + [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    tables = [toml(v, f"{name}.{k}".strip(".")) for k, v in values.items() if isinstance(v, dict)]
    return "\n".join([*lines, *tables])


def read(a: argparse.Namespace, study: StudySettings) -> None:
    """Every run with lexicon and language models: general English, where PocketSphinx's wheel is, and transcripts."""
    try:
        sphinx_file("en-us.lm.bin")
        general = a.out / "general.npz"
        if not a.small and not general.exists():
            done("lm", "--general", "--out", general)
    except SecateurError as problem:
        say(f"without general English: {problem}")
        general = None
    models = [] if a.small or general is None else ["--lm", str(general)]
    words = [a.out / "study.toml", a.out / "runs", "--data", a.out / "data", "--out", a.out / "read", "--beam", a.beam]
    runpy.run_path(str(STUDY.parent / "read_with_lm.py"))["main"]([*map(str, words), *models])
    own = a.out / "own.npz"
    done("lm", "--train", ",".join(str(a.out / "data" / name) for name in study.train), "--out", own)


def answer(a: argparse.Namespace, study: StudySettings) -> None:
    """What is left at the end: the run that reads best on dev, exported, hears a recording in numpy and onnxruntime."""
    test = next(iter(study.tests))
    found = {p.stem: read_json(p)["summary"]["lm"]["chosen"][test] for p in (a.out / "read").glob("*-[0-9].json")}
    for name, how in sorted(found.items(), key=lambda item: item[1]["rate"]):
        say(
            f"{name}: dev {100 * how['rate']:.1f} %, {test} "
            f"{100 * read_json(a.out / 'read' / f'{name}.json')['summary']['error'][f'{test}@lm']:.1f} %"
        )
    name = min(found, key=lambda run: found[run]["rate"])
    exported, how = a.out / "exported" / name, found[name]
    if not exported.exists():
        done("export", a.out / "runs" / name, "--out", exported, "--precision", "fp32")
    models = [str(p) for p in (a.out / "general.npz", a.out / "own.npz") if p.exists()]
    weights = [f"--{key.replace('_', '-')}={how[key]}" for key in ("lm_weight", "word_bonus", "blank_penalty")]
    weights.append("--lm-shares=" + ",".join(map(str, how["shares"])))
    clip = read_manifest(a.out / "data" / study.tests[test])[0]
    say(f"{name} hears: {clip.text}")
    done("transcribe", clip.audio, "--model", exported, "--lm", ",".join(models), *weights)


def done(*words: object) -> None:
    """Run a command of `secateur`, or end with it."""
    say("secateur " + " ".join(map(str, words)))
    code = secateur([*map(str, words)])
    if code:
        raise SystemExit(code)


if __name__ == "__main__":
    raise SystemExit(main())
