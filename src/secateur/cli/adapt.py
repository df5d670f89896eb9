"""`secateur adapt`: the main job, from recordings to a pruned, proved and exported recogniser."""

from __future__ import annotations

from ..api.adapt import AdaptSettings, adapt
from ..api.check import checked
from ..base.files import Json
from ..base.locale import translated
from .shown import shown_table

HELP = """Make a recogniser fit your speakers, small and fast: train, prune, compare, export, report.

Compares the original, an unpruned model trained for the same steps, and the pruned one on speakers that neither was
trained on. Without --dev and --test they are split off --train by speaker. A killed job resumes; --check looks."""
EXAMPLE = """secateur adapt --train mine/train.jsonl --out runs/mine
secateur adapt --train mine/train.jsonl --rehearsal librispeech/train.jsonl --out runs/mine --prune.remove 0.2
secateur adapt --demo --out runs/demo
torchrun --nproc-per-node 2 -m secateur adapt --train mine/train.jsonl --out runs/mine"""


Options = AdaptSettings


def run(options: AdaptSettings) -> Json | None:
    """Run the job."""
    summary: Json | None = adapt(options)
    return summary


def show(result: Json) -> str:
    """The before/after table and the comparison with the controls."""
    if result.get("check"):
        return checked(result)
    from ..evaluate.table import real_time

    metric = result["metric"].upper()
    rows = []
    for name, r in result["models"].items():
        rows.append([
            name, f"{100 * r['error']:.1f} %", f"{100 * r['low']:.1f} to {100 * r['high']:.1f}",
            f"{r['parameters'] / 1e6:.1f} M", f"{r['macs'] / 1e9:.2f} G",
            f"{r['bytes'] / 1e6:.1f} MB" if r["bytes"] else "", real_time(r['rtf']),
        ])  # fmt: skip
    lines = [shown_table(["model", metric, "95 % interval", "parameters", "MACs a clip", "file", "RTF"], rows), ""]
    if "exported" in result["models"]:
        line = "'pruned' and 'exported' are one model: file and RTF are of its export, the rate of 'pruned' is not"
        lines += [translated(line), ""]
    for name, d in result["against"].items():
        line = translated(
            f"exported against {name}: {100 * d['delta']:+.1f} points "
            f"({100 * d['low']:+.1f} to {100 * d['high']:+.1f}), P(better) {d['better']:.2f}"
        )
        lines += [line, *([translated(d["note"])] if d.get("note") else [])]
    if result.get("use_table"):
        titles, cells = result["use_table"]
        line = "real use, decoded as transcribe does (above: greedily), A the original, B the exported pruned model"
        lines += ["", translated(line), shown_table(titles, cells)]
        lines += [translated(f"WARNING: {line}") for line in result["use_worse"]]
    for name, one in result.get("forgotten", {}).items():
        rates = f"{100 * one['original']:.1f} % by the original, {100 * one['now']:.1f} % now"
        lines.append(translated(f"{name}: {rates}"))
    lines += [translated(f"report: {result['report']}"), translated(f"model:  {result['exported']}")]
    return "\n".join(lines)
