"""Do targets hold? Pruned models beside the dense one, exported to ONNX and timed in onnxruntime in one run.

    python benchmarks/allocation.py --data ../shared/data --out benchmarks/results/allocation.json

Every target of `secateur prune --prune.target` is planned as the command plans it (tiny.en, Taylor terms of a few
training clips, no tuning). The plan is then built and exported anew and timed beside the dense model, in turn, in
rounds that the planner never saw: its thread's own time, and the clock's. A hit is within 10 % of the target. The loss
on dev clips says what the ways to share out (uniform, global, search) cost before any tuning.

`--map` names a sensitivity map of the model for `search`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recorded import how

from secateur.allocation.latency import SECONDS, TOKENS, TimedExport
from secateur.allocation.plan import PLAN, planned
from secateur.base.errors import SecateurError
from secateur.base.files import read_json, write_json
from secateur.data.bank import AudioBank
from secateur.data.job import JobData
from secateur.data.manifest import read_manifest
from secateur.evaluate.table import pipe_table
from secateur.features.front_end import extractor
from secateur.prune.budget import by_amounts
from secateur.prune.importance import CRITERIA
from secateur.prune.initial_model import InitialModel
from secateur.prune.ranking import gather_evidence
from secateur.prune.settings import PruneSettings
from secateur.prune.shrink import shrink
from secateur.prune.task import task_of
from secateur.prune.units import COSTS
from secateur.train.loss import Batch
from secateur.train.mix import plain
from secateur.train.settings import TrainSettings
from secateur.weights.fetch import load_model

HIT = 0.1
FULL: dict[str, Any] = {"vocabulary": False, "audio_seconds": None, "text_tokens": None}
# What is planned: target, way, what is cut before.
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("latency=0.75", "search", FULL), ("latency=0.6", "search", {}), ("latency=0.5", "search", {}),
    ("latency=0.4", "search", {}), ("latency=0.85", "search", FULL), ("latency=0.75", "uniform", FULL),
    ("latency=0.3", "search", {"frame_shift_ms": 20.0}), ("macs=0.7", "uniform", FULL), ("macs=0.7", "global", FULL),
    ("macs=0.7", "search", FULL), ("size=0.5", "search", {}), ("parameters=0.8", "search", FULL),
]  # fmt: skip


@torch.no_grad()
def loss_of(model: Any, text: Any, data: JobData) -> float:
    """Nats a token of the dev transcripts, with the clips as they are."""
    front = model.config.front_end
    bank: AudioBank = data.bank("dev", data.dev, front.sample_rate)
    settings = TrainSettings(style="sentence", distillation=0.0, bpe_dropout=0.0)
    objective = task_of(model.config).objective(InitialModel(model, text, None), data.dev, settings, None, data.device)
    features, total, tokens = extractor(front), 0.0, 0
    for start in range(0, len(data.dev), 8):
        rows = list(range(start, min(start + 8, len(data.dev))))
        audio, lengths = bank.gather(rows)
        examples = plain(rows)
        batch = Batch(examples, len(data.dev), audio, lengths, *features(audio, lengths), 0)
        count = sum(objective.counts(examples, 0, settings))
        total += count * float(objective(model, batch, settings))
        tokens += count
    return total / tokens


def beside(dense: TimedExport, small: TimedExport, rounds: int) -> dict[str, float]:
    """Milliseconds by the thread's clock and shares by it and by the wall's, of the sessions' medians over rounds.

    In each round every session of both models runs, in turn.
    """
    clocks = (time.thread_time, time.perf_counter)
    times = np.zeros((2, 2, rounds, len(dense.runs)))  # clock, model, round, session
    for i in range(rounds):
        for session in range(len(dense.runs)):
            for which, model in enumerate((dense, small)):
                start = [clock() for clock in clocks]
                model.run(session)
                times[:, which, i, session] = [clock() - began for clock, began in zip(clocks, start, strict=True)]
    own, wall = np.median(times, 2).mean(2)
    return {
        "dense_ms": round(1000 * own[0], 1),
        "ms": round(1000 * own[1], 1),
        "latency": own[1] / own[0],
        "wall": wall[1] / wall[0],
    }


def summary(model: str, dense_loss: float, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What is written."""
    latency = [row for row in rows if row["target"].startswith("latency")]
    return {
        "how": how(), "model": model, "clip_s": SECONDS, "tokens": TOKENS, "threads": 1,
        "dense_loss": dense_loss,
        "latency_hits": sum(row["hit"] for row in latency), "latency_targets": len(latency), "rows": rows,
    }  # fmt: skip


def main() -> None:
    """Plan, build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SECATEUR_DATA", "../shared/data")))
    parser.add_argument("--map", default="", help="sensitivity map for search")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--out", type=Path, help="write everything as JSON here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    learn = [u for u in read_manifest(options.data / "speechocean762" / "train.jsonl") if u.duration < 8]
    dev = [u for u in read_manifest(options.data / "speechocean762" / "dev.jsonl") if u.duration < 6]
    data = JobData(training=learn[:: len(learn) // 64], dev=dev[:: max(1, len(dev) // 40)], tests={})
    model, text = load_model(options.model)
    dense = model.eval()
    dense.config = replace(dense.config, padded=False)
    start = loss_of(dense, text, data)
    rows = []
    for target, way, before in CASES:
        settings = PruneSettings(target=target, allocate=way, map=options.map, **before)  # type: ignore[arg-type]
        texts = [u.text for u in learn]
        student = task_of(dense.config).initial_model(dense, text, texts, ["en"], settings, None)
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            made = planned(dense, text, student, data, settings, Path(folder))
            seconds, plan = time.perf_counter() - began, read_json(Path(folder) / PLAN)
        groups = [g for g in student.model.groups() if g.name in made.amounts]
        evidence = gather_evidence(student.model, student.tokenizer, data)
        scores = {g.name: CRITERIA["taylor"](g, evidence) for g in groups}
        cut = shrink(student.model, by_amounts(groups, scores, made.amounts) if made.amounts else {}).eval()
        small, whole = (
            TimedExport(cut, student.tokenizer),
            TimedExport(dense, text),
        )  # both loaded anew for every target
        measure, _, value = target.partition("=")
        row: dict[str, Any] = {
            "target": target, "way": way, "cut_before": before, "planned_s": round(seconds, 1),
            "tries": len(plan["trail"]), "model_off": plan.get("model_off"), "student_ms": plan.get("student_ms"),
            **beside(whole, small, options.rounds), "size": small.bytes / whole.bytes,
            **{name: COSTS[name](cut.config) / COSTS[name](dense.config) for name in ("macs", "parameters")},
        }  # fmt: skip
        row["missed_by"] = row[measure] / float(value) - 1
        row["hit"] = bool(abs(row["missed_by"]) <= HIT)
        row["loss"] = loss_of(cut, student.tokenizer, data)
        rows.append(row)
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
        if options.out:  # after every target: a run that is cut short has results
            write_json(options.out, summary(options.model, start, rows))
    cells = [[r["target"], r["way"], f"{r['latency']:.3f}", f"{r['wall']:.3f}", str(r["hit"])] for r in rows]
    print("\n".join(pipe_table(["target", "way", "latency", "by the wall's clock", "hit"], cells)))


if __name__ == "__main__":
    try:
        main()
    except SecateurError as problem:
        sys.exit(f"allocation.py: {problem}")
