"""`secateur compare`: two results, or two models, on the same clips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.options import option, to_dict
from ..evaluate.bootstrap import too_few_to_compare
from ..evaluate.compare import Comparison, compare
from ..evaluate.result import Result, is_result, read_result
from ..evaluate.table import percent, points, text_table
from ..text.normalise import NORMALISE_HELP, Scheme

HELP = "Compare two results, or two models on a manifest: paired bootstrap over speakers, wins, losses, changed clips."
EXAMPLE = """secateur compare dense.json pruned.json
secateur compare dense-0.json,dense-1.json pruned-0.json,pruned-1.json
secateur compare tiny.en runs/kiosk/pruned test.jsonl --limit 200"""


@dataclass(frozen=True)
class Options:
    """What is compared with what."""

    a: str = option(help="result file (several seeds: a comma between), or a model", positional=True)
    b: str = option(help="the same for the system that is compared with it", positional=True)
    manifest: Path | None = option(None, help="clips, when A and B are models", positional=True)
    limit: int | None = option(None, help="only the first N clips of the manifest")
    normalise: Scheme | None = option(None, help="for models: " + NORMALISE_HELP)
    device: str = option("auto", help="for models: cpu, cuda or auto")
    clips: int = option(5, help="changed clips to show of each kind")
    resamples: int = option(10_000, help="bootstrap resamples")
    seed: int = option(0, help="seed of the bootstrap")


def run(options: Options) -> dict[str, Any]:
    """The comparison as plain values."""
    if options.resamples < 100:
        raise SecateurError("--resamples must be at least 100")
    a, b = _results(options.a, options), _results(options.b, options)
    found = compare(a, b, names=_names(a, b, options), resamples=options.resamples, seed=options.seed)
    return summary(found, options.clips)


def summary(found: Comparison, clips: int) -> dict[str, Any]:
    """Plain values, `clips` examples of each kind."""
    values: dict[str, Any] = to_dict(found)
    values |= {
        "note": too_few_to_compare(found.difference),
        "speakers_better": found.speakers_better,
        "speakers_worse": found.speakers_worse,
        "clips_corrected": len(found.corrected),
        "clips_broken": len(found.broken),
        "corrected": to_dict(found.corrected[:clips]),
        "broken": to_dict(found.broken[:clips]),
    }
    return values


def show(result: dict[str, Any]) -> str:
    """The comparison for a terminal."""
    d, name = result["difference"], result["metric"].upper()
    span = f"{points(d['low'])} to {points(d['high'])}"
    rows = [
        [f"A  {result['a']}", percent(d["a"], 2), "", ""],
        [f"B  {result['b']}", percent(d["b"], 2), "", ""],
        ["B − A, points", points(d["delta"]), span, f"{100 * d['b_better']:.1f} %"],
    ]
    certain = "excludes" if d["low"] > 0 or d["high"] < 0 else "includes"
    same = len(result["speakers"]) - result["speakers_better"] - result["speakers_worse"]
    lines = [
        text_table([f"{result['utterances']} clips", name, "95 % interval", "P(B better)"], rows),
        f"\nThe interval of the difference {certain} zero.",
        *([result["note"]] if result["note"] else []),
        f"Speakers: {result['speakers_better']} better with B, {result['speakers_worse']} worse, {same} the same.",
        f"Clips: {result['clips_corrected']} with fewer errors, {result['clips_broken']} with more.",
    ]
    for title, key in (("Most corrected by B", "corrected"), ("Most broken by B", "broken")):
        if result[key]:
            lines.append(f"\n{title}:")
        for clip in result[key]:
            lines += [f"  {clip['id']}", f"    said  {clip['reference']}", f"    A {clip['errors_a']:3}  {clip['a']}",
                      f"    B {clip['errors_b']:3}  {clip['b']}"]  # fmt: skip
    return "\n".join(lines)


def _results(source: str, options: Options) -> list[Result]:
    names = [name for name in source.split(",") if name]
    if all(is_result(name) or name.endswith(".json") for name in names):
        return [read_result(name) for name in names]
    if options.manifest is None:
        raise SecateurError(f"'{source}' is not a result file; to compare models give a MANIFEST after them")
    from . import evaluate

    usual = evaluate.Options(
        "", options.manifest, limit=options.limit, device=options.device, normalise=options.normalise
    )
    return [evaluate.evaluate_model(replace(usual, model=name)) for name in names]


def _names(a: list[Result], b: list[Result], options: Options) -> tuple[str, str] | None:
    """Models may share a name (the same run's files): then the sources tell them apart."""
    return (options.a, options.b) if a[0].model == b[0].model else None
