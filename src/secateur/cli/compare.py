"""`secateur compare`: two results, or two models, on the same clips."""

from __future__ import annotations

from ..api import real_use
from ..api.compare import CompareSettings, compare
from ..base.files import Json
from ..base.locale import translated
from ..base.options import to_dict
from ..evaluate.bootstrap import too_few_to_compare
from ..evaluate.compare import Comparison
from ..evaluate.real_use_table import change_table
from ..evaluate.table import percent, points
from .shown import shown_table

HELP = "Compare two results, or two models on a manifest: paired bootstrap over speakers, wins, losses, changed clips."
EXAMPLE = """secateur compare dense.json pruned.json
secateur compare dense-0.json,dense-1.json pruned-0.json,pruned-1.json
secateur compare tiny.en runs/kiosk/pruned test.jsonl --limit 200
secateur compare real-use/tiny.en real-use/pruned"""


Options = CompareSettings


def run(options: CompareSettings) -> Json:
    """The comparison as plain values."""
    if real_use.folders(options):
        changes = real_use.compare(options)
        return {"a": options.a, "b": options.b, "conditions": change_table(changes), "changes": to_dict(changes)}
    return summary(compare(options), options.clips)


def summary(comparison: Comparison, clips: int) -> Json:
    """Plain values, `clips` examples of each kind."""
    values: Json = to_dict(comparison)
    values |= {
        "note": too_few_to_compare(comparison.difference),
        "speakers_better": comparison.speakers_better,
        "speakers_worse": comparison.speakers_worse,
        "clips_corrected": len(comparison.corrected),
        "clips_broken": len(comparison.broken),
        "corrected": to_dict(comparison.corrected[:clips]),
        "broken": to_dict(comparison.broken[:clips]),
    }
    return values


def show(result: Json) -> str:
    """The comparison for a terminal."""
    if "conditions" in result:
        return shown_table(*result["conditions"])
    d, name = result["difference"], result["metric"].upper()
    span = f"{points(d['low'])} to {points(d['high'])}"
    rows = [
        [f"A  {result['a']}", percent(d["a"], 2), "", ""],
        [f"B  {result['b']}", percent(d["b"], 2), "", ""],
        [translated("B − A, points"), points(d["delta"]), span, f"{100 * d['b_better']:.1f} %"],
    ]
    certain = translated("excludes" if d["low"] > 0 or d["high"] < 0 else "includes")
    same = len(result["speakers"]) - result["speakers_better"] - result["speakers_worse"]
    lines = [
        shown_table([f"{result['utterances']} clips", name, "95 % interval", "P(B better)"], rows),
        "",
        translated(f"The interval of the difference {certain} zero."),
        *([translated(result["note"])] if result["note"] else []),
        translated(
            f"Speakers: {result['speakers_better']} better with B, {result['speakers_worse']} worse, {same} the same."
        ),
        translated(f"Clips: {result['clips_corrected']} with fewer errors, {result['clips_broken']} with more."),
    ]
    for title, key in (("Most corrected by B", "corrected"), ("Most broken by B", "broken")):
        if result[key]:
            lines += ["", f"{translated(title)}:"]
        for clip in result[key]:
            lines += [
                f"  {clip['id']}",
                f"    {translated('said')}  {clip['reference']}",
                f"    A {clip['errors_a']:3}  {clip['a']}",
                f"    B {clip['errors_b']:3}  {clip['b']}",
            ]
    return "\n".join(lines)
