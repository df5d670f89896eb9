"""`secateur export`: a model as ONNX, compared with its source before it is put in place; or for another program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..base.errors import SecateurError
from ..base.options import option
from ..base.progress import say

HELP = """Write a model as ONNX graphs (encoder and decoder with KV cache, or CTC network) that stock onnxruntime runs.

Before the folder is put in place, the graphs and the source decode the same clips: an fp32 export that differs by more
than 1e-3 is refused; for the others the agreement is reported. With --dev the error rate is measured too, and an export
whose rate is more than --tolerance points above its source's is refused."""
EXAMPLE = """secateur export runs/demo/pruned --out exported/demo --dev mine/dev.jsonl
secateur export tiny.en --out tiny.bin --format ggml"""


@dataclass(frozen=True)
class Options:
    """Options of `secateur export`."""

    model: str = option(help="checkpoint folder, or a name that `secateur models list` shows", positional=True)
    out: Path = option(help="new folder for the exported model; a file for ggml")
    format: Literal["onnx", "transformers", "transformers-pruned", "ctranslate2", "ggml", "sherpa"] = option(
        "onnx", "onnx; sherpa (sherpa-onnx) of a CTC model; of a Whisper with equal widths everywhere transformers, "
        "ctranslate2 (faster-whisper) and ggml (whisper.cpp)",
    )  # fmt: skip
    precision: Literal["fp32", "fp16", "int8", "int8-dynamic", "int8-static", "auto"] = option(
        "int8", "of onnx: fp32; fp16 (half the size); int8 (smallest); int8-dynamic and int8-static (faster where the "
        "CPU has VNNI, and coarser); auto (the fastest of these whose error rate on --dev is the source's)",
    )  # fmt: skip
    clips: tuple[str, ...] = option((), "recordings to compare on, separated by commas; none: noise")
    dev: Path | None = option(None, "manifest on which the export's error rate must be its source's")
    tolerance: float = option(0.2, "points that the error rate may rise on --dev")
    limit: int | None = option(None, "at most so many clips of --dev")
    calibrate: Path | None = option(None, "manifest of train data, for int8-static; int8-dynamic gains from it too")
    four_bits: tuple[str, ...] = option(
        (), "Store these weights of an int8 export in four bits, with wildcards: decoder.token_embedding,*.ffn.*"
    )


def run(options: Options) -> dict[str, Any]:
    """Export, compare, report."""
    from ..base.extras import require

    require("torch", "train")
    from ..export.job import Gate, export_checked, write_format
    from ..weights.fetch import load_model

    if options.tolerance < 0:
        raise SecateurError(f"--tolerance is points from 0 up, found {options.tolerance}")
    model, text = load_model(options.model)
    if options.format != "onnx":
        return write_format(options.format, model, text, options.out)
    if not options.clips and options.dev is None:
        say("neither --dev nor --clips given: comparing on noise, which says little about transcripts")
    gate = None if options.dev is None else Gate(options.dev, options.tolerance, options.limit)
    return export_checked(
        model, text, options.out, options.precision, options.clips, gate, options.calibrate, options.four_bits
    )


def show(result: dict[str, Any]) -> str:
    """Sizes, then how near the export is to its source."""
    lines = [f"{result['folder']} ({result['precision']})"]
    lines += [f"  {name:24}{size / 1e6:9.2f} MB" for name, size in result["bytes"].items()]
    p = result["parity"]
    if not p:
        return "\n".join(lines)
    what = f"{p['clips']} clip(s)" if p["on"] == "clips" else "noise"
    unit, equal, count = ("steps", p["steps_equal"], p["steps"]) if "steps" in p else (
        "frames", p["frames_equal"], p["frames"]
    )  # fmt: skip
    lines.append(f"compared with the source on {what}: the same choice at {equal} of {count} {unit},")
    lines.append(f"largest difference {p['max_difference']:.2g}")
    if "dev" in p:
        rates = f"{p['dev_export']:.2f} %, source {p['dev_source']:.2f} %"
        lines.append(f"error rate on {p['dev_clips']} clips of {p['dev']}: {rates}")
    return "\n".join(lines)
