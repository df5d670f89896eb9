"""A study's CTC runs read with lexicon and language models, on a CPU; weights chosen on dev, run by run.

    python3 experiments/study/read_with_lm.py experiments/study/ctc_trunk.toml RUNS --data SPEECH --lm general.npz \\
        --out experiments/study/results/ctc_trunk_lm [--tests librispeech-mini] [--jobs 2]

RUNS holds folders ARM-SEED with units.json and either outputs/SET.npz (kept by runs of a study with `[lm] outputs =
true`) or a checkpoint. Runs whose result is there are skipped; what has neither is named and left out. The models of
--lm (`secateur lm`) are mixed with one of the study's own training transcripts (--order), in shares that fit dev's
transcripts best.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import torch

from secateur.base.errors import SecateurError
from secateur.base.files import write_json
from secateur.base.progress import say
from secateur.lm.estimate import train_ngram
from secateur.lm.tables import read_ngram
from secateur.study.reading import RunReader, dev_of, write_clips
from secateur.study.sets import read_sets
from secateur.study.settings import read_study


def main(words: Sequence[str] | None = None) -> int:
    """Every run of the folder; 1 when some could not be read. `words` are the arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="what the study's manifests are relative to")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lm", default="", help="language models, separated by commas")
    parser.add_argument("--order", type=int, default=3, help="of the model of the training transcripts; 0: none")
    parser.add_argument("--tests", default="", help="of the study, separated by commas; all by default")
    parser.add_argument("--only", default="", help="runs, separated by commas, such as dense-0")
    parser.add_argument("--beam", type=int, default=64)
    parser.add_argument("--limit", type=int, help="clips of each set, to try it out")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    a = parser.parse_args(words)
    names = [n for n in a.only.split(",") if n] or sorted(p.parent.name for p in a.runs.glob("*/units.json"))
    todo = [name for name in names if not (a.out / f"{name}.json").exists()]
    say(f"{len(names)} runs, {len(names) - len(todo)} read before")
    if a.jobs > 1:
        with ProcessPoolExecutor(a.jobs, mp_context=get_context("spawn")) as pool:
            problems = list(pool.map(one, todo, [a] * len(todo)))
    else:
        problems = [one(name, a) for name in todo]
    problems = [problem for problem in problems if problem]
    for problem in problems:
        say(f"left out: {problem}")
    return int(bool(problems))


@lru_cache(maxsize=1)
def reader(a: tuple[str, ...]) -> RunReader:
    """Made once a process."""
    study_path, data, lm, order, beam, limit = a
    study = read_study(Path(study_path))
    models = [read_ngram(name) for name in lm.split(",") if name]
    if int(order):
        models.append(train_ngram([u.text for u in read_sets(study.train, Path(data))], int(order)))
    return RunReader(study, Path(data), models, int(beam), int(limit) or None)


def one(name: str, a: argparse.Namespace) -> str:
    """Read a run and write its result; what went wrong, or nothing."""
    torch.set_num_threads(1)
    try:
        read = reader((str(a.study), str(a.data), a.lm, str(a.order), str(a.beam), str(a.limit or 0)))
        wanted = [t for t in a.tests.split(",") if t] or list(read.study.tests)
        tests = {test: dev_of(read.study, test) for test in wanted}
        values = read.read(a.runs / name, tests)
        a.out.mkdir(parents=True, exist_ok=True)
        write_clips(read, tests, a.out / "clips.json")
        write_json(a.out / f"{name}.json", values, indent=None)
    except SecateurError as problem:
        return f"{name}: {problem}"
    error, chosen = values["summary"]["error"], values["summary"]["lm"]["chosen"]
    for test in tests:
        w = chosen[test]
        say(
            f"{name}: {test} {100 * error[test]:.1f} -> {100 * error[f'{test}@lm']:.1f} % "
            f"(dev {100 * error[tests[test]]:.1f} -> {100 * w['rate']:.1f}, weight {w['lm_weight']:g}, "
            f"bonus {w['word_bonus']:g}, blank {-w['blank_penalty']:g}, {w['tried']} tried)"
        )
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
