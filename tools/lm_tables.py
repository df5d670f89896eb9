"""Tables of CTC models read greedily and with lexicon and language models, from what `read_with_lm.py` left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import packed

from secateur.base.files import read_json
from secateur.evaluate.bootstrap import paired_difference, rate_interval
from secateur.evaluate.table import pipe_table, points
from secateur.study.lm import LM
from secateur.study.settings import StudySettings, read_study
from secateur.study.store import Clips, RunFile, read_store

STUDIES = Path(__file__).resolve().parent.parent / "experiments" / "study"
HEAD = ["arm", "seeds", "weights pruned", "dev read, %", "greedily, %", "read, %", "95 %", "against", "points (95 %)",
        "P(better)", "weight, bonus, blank"]  # fmt: skip


def lm_tables() -> list[str]:
    """A table for every study and test set that was read."""
    lines: list[str] = []
    for archive in sorted((STUDIES / "results").glob(f"*_{LM}.tar.xz")):
        name = archive.name.removesuffix(f"_{LM}.tar.xz")
        store = packed.results(archive.with_name(f"{name}_{LM}"))
        study = read_study(STUDIES / f"{name}.toml")
        runs, clips = read_store(store)
        for test in clips:
            rows = _rows(study, runs, test, clips[test])
            beams = sorted({r.summary["lm"]["beam"] for r in runs})
            lines += [f"**{name}.toml, {test} test**, beam {' and '.join(map(str, beams))}", ""]
            lines += [*pipe_table(HEAD, rows), ""]
    return lines


def beam_table() -> list[str]:
    """Our beam search beside flashlight-text's."""
    values = read_json(STUDIES.parents[1] / "benchmarks" / "results" / "ctc_beam.json")
    beams = sorted({row["beam"] for row in values["rows"] if row["beam"] > 1})
    names = list(dict.fromkeys(row["name"] for row in values["rows"] if row["beam"] > 1))
    found = {(row["name"], row["beam"]): f"{row['ms']:.0f} ms, {row['wer']:.1f} %" for row in values["rows"]}
    rows = [[name, *(found[name, beam] for beam in beams)] for name in names]
    return [*pipe_table(["decoder", *(f"beam {beam}" for beam in beams)], rows), ""]


def _rows(study: StudySettings, runs: Sequence[RunFile], test: str, clips: Clips) -> list[list[str]]:
    """A line an arm, the best on dev first; arms whose study has changed its names are left out."""
    key = f"{test}@{LM}"
    by_arm: dict[str, list[RunFile]] = {}
    for run in runs:
        if run.arm in study.arms and key in run.errors:
            by_arm.setdefault(run.arm, []).append(run)
    dev = {arm: mean(r.summary["lm"]["chosen"][test]["rate"] for r in found) for arm, found in by_arm.items()}
    return [_row(study, by_arm, arm, test, clips, dev[arm]) for arm in sorted(by_arm, key=lambda arm: dev[arm])]


def _row(
    study: StudySettings, by_arm: dict[str, list[RunFile]], arm: str, test: str, clips: Clips, dev: float
) -> list[str]:
    key, runs, control = f"{test}@{LM}", by_arm[arm], study.control_of(arm)
    low, high = rate_interval([r.errors[key] for r in runs], clips.words, clips.speakers)
    gone = mean(float(r.summary.get("removed_weights", 0.0)) for r in runs)
    against = ["", "", ""]
    shared = [(o, r) for o in by_arm.get(control, []) for r in runs if o.seed == r.seed]
    if arm != control and shared:
        d = paired_difference(
            [o.errors[key] for o, _ in shared], [r.errors[key] for _, r in shared], clips.words, clips.speakers
        )
        against = [control, f"{points(d.delta)} ({points(d.low)} to {points(d.high)})", f"{d.b_better:.3f}"]
    chosen = [r.summary["lm"]["chosen"][test] for r in runs]
    return [
        arm, str(len(runs)), f"{100 * gone:.0f} %", f"{100 * dev:.1f}",
        _spread([r.rate(test, clips) for r in runs]), _spread([r.rate(key, clips) for r in runs]),
        f"{100 * low:.1f} to {100 * high:.1f}", *against,
        "; ".join(f"{c['lm_weight']:g}, {c['word_bonus']:g}, {-c['blank_penalty']:g}" for c in chosen),
    ]  # fmt: skip


def _spread(rates: Sequence[float]) -> str:
    """A mean and how far seeds are from each other."""
    return f"{100 * mean(rates):.1f}" + (f" ± {100 * stdev(rates):.1f}" if len(rates) > 1 else "")
