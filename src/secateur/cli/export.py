"""`secateur export`: a model as ONNX, compared with its source before it is put in place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..base.errors import SecateurError
from ..base.progress import say
from .command import option

if TYPE_CHECKING:
    from ..models.decoding.session import Floats

HELP = """Write a model as ONNX graphs (encoder, decoder with KV cache) that stock onnxruntime runs.

Before the folder is put in place, the graphs and the source decode the same clips: an fp32 export whose logits differ
by more than 1e-3 is refused; for the others the agreement is reported."""
EXAMPLE = """secateur export runs/demo/pruned --out exported/demo --precision int8 --clips hello.wav,bye.wav"""
TOLERANCE = 1e-3  # of fp32 logits
NOISE_FRAMES = (100, 250, 400)  # lengths of the made-up clips, 10 ms frames


@dataclass(frozen=True)
class Options:
    """Options of `secateur export`."""

    model: str = option(help="checkpoint folder, or a name that `secateur models list` shows", positional=True)
    out: Path = option(help="new folder for the exported model")
    precision: Literal["fp32", "fp16", "int8"] = option(
        "int8", "fp32; fp16 (half the size); int8 (smallest and fastest)"
    )
    clips: tuple[str, ...] = option((), "recordings to compare on, separated by commas; none: noise")


def run(options: Options) -> dict[str, Any]:
    """Export, compare, report."""
    from ..base.extras import require

    require("torch", "train")
    from ..export.contents import read_contents
    from ..export.frame_parity import frame_parity
    from ..export.onnx import export_onnx
    from ..export.parity import parity
    from ..models.weights.fetch import load_model
    from ..serve.onnx_session import OnnxSession

    start: tuple[Any, Any] = load_model(options.model)
    model, tokenizer = start
    inputs = _features(options.clips, model.config)
    if not options.clips:
        say("no --clips given: comparing on noise, which says little about transcripts")

    def check(folder: Path) -> dict[str, Any]:
        if model.config.family == "ctc":
            found: Any = frame_parity(model, folder, inputs)
        else:
            found = parity(model, OnnxSession(folder), inputs)
        if options.precision == "fp32" and found.max_difference > TOLERANCE:
            raise SecateurError(
                f"the exported outputs differ from the source by {found.max_difference:.2g}, more than {TOLERANCE:g}: "
                "nothing was written; please report this model"
            )
        return {**asdict(found), "agreement": found.agreement, "on": "clips" if options.clips else "noise"}

    export_onnx(model, tokenizer, options.out, options.precision, check)
    contents = read_contents(options.out)
    return {
        "folder": str(options.out),
        "precision": contents.precision,
        "bytes": {**{name: record.bytes for name, record in contents.files.items()}, "total": contents.bytes},
        "parity": contents.parity,
    }


def show(result: dict[str, Any]) -> str:
    """Sizes, then how near the export is to its source."""
    lines = [f"{result['folder']} ({result['precision']})"]
    lines += [f"  {name:16}{size / 1e6:9.2f} MB" for name, size in result["bytes"].items()]
    p = result["parity"]
    what = f"{p['clips']} clip(s)" if p["on"] == "clips" else "noise"
    if "frames" in p:
        same = f"the same unit in {p['frames_equal']} of {p['frames']} frames"
        lines.append(f"compared with the source on {what}: {same},")
        lines.append(f"largest difference of a probability {p['max_difference']:.2g}")
        return "\n".join(lines)
    lines.append(f"compared with the source on {what}: the same token at {p['steps_equal']} of {p['steps']} steps,")
    lines.append(f"largest difference of a logit {p['max_difference']:.2g}")
    return "\n".join(lines)


def _features(clips: tuple[str, ...], config: Any) -> list[Floats]:
    """Features (frames, inputs) of the recordings, each cut or padded to what the model hears at once; else noise."""
    import numpy as np

    most = None if config.family == "ctc" else 2 * config.audio_context  # frames
    padded = most is not None and config.padded
    if not clips:
        lengths = [most or count if padded else min(most or count, count) for count in NOISE_FRAMES]
        noise = np.random.default_rng(0)
        return [noise.standard_normal((count, config.front_end.inputs), np.float32) * 0.5 for count in lengths]
    from ..audio.read import read_audio
    from ..features.extract import extract

    found = []
    for clip in clips:
        audio = read_audio(clip, config.front_end.sample_rate)
        if most is not None:
            audio = audio[: most * config.front_end.hop]
            if padded:
                audio = np.pad(audio, (0, most * config.front_end.hop - len(audio)))
        found.append(np.asarray(extract(audio, config.front_end), np.float32)[:most])
    return found
