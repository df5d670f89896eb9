"""Removal by error beside what lowers the error without it: loops cut afterwards, fallback, beams, random removals.

    secateur prune --by error --model base --train TRAIN --dev DEV --rehearsal-dev BOOKS --out runs/by-error
    python experiments/by_error/controls.py base runs/by-error OUT.json TEST.jsonl [TEST.jsonl ...] [--device cuda]

Every system is decoded by the same runtime on the same clips. Random removals take as many sites of the same kinds and
sizes, five times; their mean and range are reported.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from secateur.base.device import pick_device
from secateur.base.files import write_json
from secateur.data.manifest import Utterance, read_manifest
from secateur.decode.loops import cut_loops
from secateur.decode.options import DecodingOptions
from secateur.decode.segments import Transcript
from secateur.evaluate.compare import compare_results
from secateur.evaluate.decoded import PLAIN, decoded
from secateur.evaluate.result import Result
from secateur.evaluate.run import evaluate
from secateur.models.checkpoint import load_checkpoint
from secateur.models.family import family_of
from secateur.sensitivity.by_error import without
from secateur.sensitivity.variants import Variant
from secateur.weights.fetch import load_model

FALLBACK = replace(
    PLAIN, temperatures=DecodingOptions().temperatures, compression_ratio_threshold=2.4, log_prob_threshold=-1.0
)
RANDOM = 5
Texts = Callable[[list[Utterance]], list[str]]


def random_removal(model: Any, removed: list[dict[str, Any]], seed: int) -> Any:
    """The model without as many units of the same kinds as were removed by error."""
    draw = np.random.default_rng(seed)
    for one in removed:
        site = one["site"].partition("[")[0]
        kind = next(g.kind for g in model.groups() if g.name == site)
        groups = [g for g in model.groups() if g.kind == kind and g.units > one["units"]]
        group = groups[int(draw.integers(len(groups)))]
        units = draw.permutation(group.units)[: one["units"]]
        model = without(model, Variant("random", kind, "", "", 1.0, {group.name: tuple(sorted(units.tolist()))}))
    return model


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("tests", nargs="+", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    original, text = load_model(given.model)
    removed = json.loads((given.run / "summary.json").read_text())["removed_sites"]
    pruned = load_checkpoint(given.run)[0] if removed else None  # nothing removed: only what needs no removal
    device = pick_device(given.device)

    def system(model: Any, options: DecodingOptions = PLAIN, cut: bool = False) -> Texts:
        recogniser = family_of(model.config).recogniser()(model.to(device).eval(), text)

        def once(found: Transcript) -> str:
            ids = [i for segment in found.segments for i in segment.tokens]
            return text.decode(cut_loops(ids)).strip()

        return decoded(recogniser, options, once if cut else None)

    results: dict[str, Any] = {}
    for path in given.tests:
        clips = [u for u in read_manifest(path) if u.text][: given.limit]
        name = f"{path.parent.name}/{path.stem}"

        def rate(label: str, transcribe: Texts) -> Result:
            return evaluate(transcribe, clips, model=label, data=name)  # noqa: B023

        base = rate("original", system(original))
        systems = {
            "loops cut afterwards": system(original, cut=True), "temperature fallback": system(original, FALLBACK),
            "beam 5": system(original, replace(PLAIN, beam=5)),
        }  # fmt: skip
        if pruned is not None:
            systems["by error"] = system(pruned)
            systems["by error, loops cut"] = system(pruned, cut=True)
            systems["by error, beam 5"] = system(pruned, replace(PLAIN, beam=5))
        rows = {"original": {"rate": base.rate, "interval": base.interval}}
        for label, one in systems.items():
            found = rate(label, one)
            d = compare_results(base, found).difference
            rows[label] = {"rate": found.rate, "delta": d.delta, "low": d.low, "high": d.high}
        if removed:
            rates = [rate("random", system(random_removal(original, removed, seed))).rate for seed in range(RANDOM)]
            rows["random removals"] = {"rate": float(np.mean(rates)), "low": min(rates), "high": max(rates)}
        results[name] = rows
        write_json(given.out, {"model": given.model, "removed": removed, "results": results})
        for label, row in rows.items():
            print(f"{name:32} {label:24} {100 * row['rate']:6.2f} %")


if __name__ == "__main__":
    main()
