"""Runs the example's arms with several seeds on both Keras backends; what is there already is not run again.

python examples/founding/study.py                                     # one core, about a minute a run
python examples/founding/study.py --backend torch --arms dense pruned65 --seeds 3
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parents[1] / "experiments" / "founding" / "results"
ONE_CORE = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
PLAN = (
    ("tensorflow", ["dense", "pruned30", "pruned65", "dense-plain", "pruned65-plain"], 3),
    ("torch", ["dense", "pruned65"], 3),
    ("tensorflow", ["dense-dropout", "pruned65-dropout", "dense-l2", "pruned65-l2"], 3),
    ("tensorflow", ["wide", "wide-pruned58", "dense-lasso", "pruned65-lasso", "zeros"], 3),
)


def main() -> None:
    """One process a backend, since it cannot change once Keras is imported."""
    options = arguments()
    if options.backend:
        one_backend(options.backend, options.arms, options.seeds, options.work)
        return
    for backend, arms, seeds in PLAN:
        command = [sys.executable, __file__, "--backend", backend, "--seeds", str(seeds), "--arms", *arms]
        subprocess.run([*command, "--work", str(options.work)], env={**os.environ, **ONE_CORE}, check=True)
    timed(options.work)


def one_backend(backend: str, arms: list[str], seeds: int, work: Path) -> None:
    """The runs of one backend that have no result yet."""
    os.environ |= {"KERAS_BACKEND": backend, **ONE_CORE}
    from learn import ARMS
    from measure import agreement, versions
    from run import learned_and_tested, prepared, summary

    from secateur.base.files import write_json

    speech = prepared(work)
    sets = {"words": speech.words["test"].utterances, **speech.said}
    references = {name: [f"{u.id} {u.speaker} {u.text}" for u in clips] for name, clips in sets.items()}
    write_json(RESULTS / "references.json", references, indent=1)
    for seed in range(seeds):
        for arm in arms:
            result, saved = RESULTS / f"{backend}-{arm}-{seed}.json", work / f"{backend}-{arm}-{seed}.keras"
            if result.exists():
                continue
            network, found = learned_and_tested(speech, ARMS[arm], seed, saved.with_suffix(".onnx"))
            network.save(saved)
            if arm == "pruned65":
                other, distance = agreement(saved, network, speech.words["dev"].features)
                found["agreement"] = {"with": other, "max_difference": distance}
            about = {"arm": arm, "backend": backend, "seed": seed, "date": time.strftime("%Y-%m-%d")}
            write_json(result, {**about, "recipe": asdict(ARMS[arm]), "versions": versions(), **found}, indent=1)
            print(f"{result.name}: {summary(arm, found, speech)}", flush=True)


def timed(work: Path) -> None:
    """Milliseconds a word of the files of seed 0, in turns in one process."""
    from assistant import load
    from measure import milliseconds
    from run import prepared

    from secateur.base.files import write_json

    files = {path.stem.removesuffix("-0"): path for path in sorted(work.glob("*-0.onnx"))}
    times = milliseconds({name: load(path) for name, path in files.items()}, prepared(work).words["test"].features[:1])
    write_json(RESULTS / "milliseconds.json", times, indent=1)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backend", choices=("tensorflow", "torch"), help="one backend only")
    parser.add_argument("--arms", nargs="+", default=["dense", "pruned65"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("runs/founding"), help="folder for everything that is made")
    return parser.parse_args()


if __name__ == "__main__":
    main()
