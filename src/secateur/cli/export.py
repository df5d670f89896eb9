"""`secateur export`: a model as ONNX, compared with its source before it is put in place; or for another program."""

from __future__ import annotations

from ..api.export import ExportSettings, export
from ..base.files import Json
from ..base.locale import translated

HELP = """Write a model as ONNX graphs (encoder and decoder with KV cache, or CTC network) that stock onnxruntime runs.

Before the folder is put in place, the graphs and the source decode the same clips: an fp32 export that differs by more
than 1e-3 is refused; for the others the agreement is reported. With --dev the error rate is measured too, and an export
whose rate is more than --tolerance points above its source's is refused."""
EXAMPLE = """secateur export runs/demo/pruned --out exported/demo --dev mine/dev.jsonl
secateur export tiny.en --out tiny.bin --format ggml"""


Options = ExportSettings


def run(options: ExportSettings) -> Json:
    """Export, compare, report."""
    summary: Json = export(options)
    return summary


def show(result: Json) -> str:
    """Sizes, then how near the export is to its source."""
    if result.get("check"):
        size = f"about {result['bytes'] / 1e6:,.0f} MB"
        return translated(
            f"nothing is wrong with it: family {result['family']}, formats {', '.join(result['formats'])}; {size}"
        )
    lines = [f"{result['folder']} ({result['precision']})"]
    lines += [f"  {name:24}{size / 1e6:9.2f} MB" for name, size in result["bytes"].items()]
    p = result["parity"]
    if not p:
        return "\n".join(lines)
    what = f"{p['clips']} clip(s)" if p["on"] == "clips" else "noise"
    unit, equal, count = (
        ("steps", p["steps_equal"], p["steps"]) if "steps" in p else ("frames", p["frames_equal"], p["frames"])
    )
    largest = f"largest difference {p['max_difference']:.2g}"
    lines.append(
        translated(
            f"compared with the source on {what}: the same choice at {equal} of {count} {translated(unit)}; {largest}"
        )
    )
    if "dev" in p:
        rates = f"{p['dev_export']:.2f} %, source {p['dev_source']:.2f} %"
        lines.append(translated(f"error rate on {p['dev_clips']} clips of {p['dev']}: {rates}"))
    return "\n".join(lines)
