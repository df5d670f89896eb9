"""Export with proof: the graphs beside their source on clips, the error rate beside the source's on a dev set."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..audio.read import read_audio
from ..base.errors import SecateurError
from ..base.progress import say
from ..data.clip import read_clip
from ..data.manifest import Utterance, read_manifest
from ..decode.options import DecodingOptions
from ..decode.session import Floats
from ..evaluate.run import evaluate
from ..families.checkpoint_recogniser import ctc_recogniser
from ..families.moonshine.folder import write_moonshine
from ..families.parakeet.folder import write_parakeet
from ..families.pruned.write import write_pruned_whisper
from ..families.seq2seq.network import TokenRecogniser
from ..families.seq2seq.session import TorchSession
from ..families.transformers_ctc.folder import write_hf_ctc
from ..families.transformers_ctc.write_sherpa import write_sherpa
from ..families.whisper.model import Whisper
from ..families.whisper.write_ctranslate2 import write_ctranslate2
from ..families.whisper.write_ggml import write_ggml
from ..families.whisper.write_transformers import write_transformers
from ..features.extract import extract
from ..models.family import TextCodec
from ..models.network import FrameRecogniser
from ..runtime.contents import read_contents
from ..runtime.onnx_session import OnnxSession
from ..runtime.recogniser import Recogniser
from ..runtime.token_recogniser import WhisperRecogniser
from .calibration import calibrate
from .frame_parity import FrameParity, frame_parity
from .onnx import export_onnx
from .parity import Parity, parity
from .precision import check_precision
from .smoothing import smooth

TOLERANCE = 1e-3  # of fp32 logits, and of a CTC model's fp32 probabilities
NOISE_FRAMES = (100, 250, 400)  # lengths of the made-up clips, 10 ms frames
CALIBRATION_CLIPS = 32
AUTO = "auto"
BYTES_IN_THE_ENCODER = ("int8-static", "int8-dynamic")
FASTEST_FIRST = (*BYTES_IN_THE_ENCODER, "int8")
FORMATS: dict[str, dict[str, Callable[..., Path]]] = {
    "whisper": {
        "transformers": write_transformers, "transformers-pruned": write_pruned_whisper,
        "ctranslate2": write_ctranslate2, "ggml": write_ggml,
    },
    "ctc": {"sherpa": write_sherpa},
    "hf_ctc": {"transformers": write_hf_ctc, "transformers-pruned": partial(write_hf_ctc, pruned=True)},
    "parakeet": {"transformers": write_parakeet, "transformers-pruned": partial(write_parakeet, pruned=True)},
    "moonshine": {"transformers": write_moonshine, "transformers-pruned": partial(write_moonshine, pruned=True)},
}  # fmt: skip
GREEDY = {
    "temperatures": (0.0,), "compression_ratio_threshold": None, "log_prob_threshold": None,
    "no_speech_threshold": None,
}  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """The test that an export must pass: on `dev` its error rate is at most `tolerance` points above its source's."""

    dev: Path
    tolerance: float = 0.2  # points
    limit: int | None = None  # clips
    source: float | None = None  # error rate of the source on them, in percent, where it was measured before


class ErrorRateError(SecateurError):
    """An export whose error rate is not `source`, its source's (percent)."""

    def __init__(self, message: str, source: float) -> None:
        super().__init__(message)
        self.source = source


def export_checked(
    model: TokenRecogniser | FrameRecogniser, text: TextCodec, out: Path, precision: str, clips: Sequence[str] = (),
    gate: Gate | None = None, calibration: Path | None = None, nibbles: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Export to ONNX, compare, report; nothing is written when a comparison fails.

    Args:
        precision: one of `PRECISIONS`, or "auto": the fastest of int8-static (with `calibration` only), int8-dynamic
            and int8 that passes `gate`.
        clips: recordings on which logits and tokens are compared; none: noise.
        calibration: manifest whose clips int8-static takes its ranges from; train data. A Whisper's encoder that
            multiplies bytes is evened out on them too (`export.smoothing`).
        nibbles: patterns of the weights that an int8 of any kind stores in four bits.

    Raises:
        SecateurError: fp32 that differs from the source, calibration or, for auto, the gate left out.
        ErrorRateError: an error rate beyond the gate, for auto that of all.
    """
    if precision == AUTO:
        if gate is None:
            raise SecateurError("--precision auto lets an error rate decide: name a manifest with --dev")
        return _first_that_passes(model, text, out, clips, gate, calibration, nibbles)
    check_precision(precision)
    if nibbles and not precision.startswith("int8"):
        raise SecateurError(f"--four-bits goes with int8, int8-dynamic and int8-static, not with {precision}")
    given, ranges = model, None
    if precision == "int8-static" and calibration is None:
        raise SecateurError("int8-static needs recordings of the kind to come: name train data with --calibrate")
    if calibration is not None and precision in BYTES_IN_THE_ENCODER:
        heard = _features(_spread(calibration, CALIBRATION_CLIPS), model)
        model = smooth(model, heard) if isinstance(model, Whisper) else model
        ranges = calibrate(model, heard)
    features = _features(clips, model)

    def check(folder: Path) -> dict[str, Any]:
        found: Parity | FrameParity
        if isinstance(given, FrameRecogniser):
            found = frame_parity(given, folder, features)
        else:
            found = parity(given, OnnxSession(folder), features)
        if precision == "fp32" and found.max_difference > TOLERANCE:
            raise SecateurError(
                f"the exported graph differs from the source by {found.max_difference:.2g}, more than {TOLERANCE:g}: "
                "nothing was written; please report this model"
            )
        values = {**asdict(found), "agreement": found.agreement, "on": "clips" if clips else "noise"}
        return values if gate is None else values | error_drift(given, text, folder, gate)

    export_onnx(model, text, out, precision, check, ranges=ranges, nibbles=nibbles)
    contents = read_contents(out)
    return {
        "folder": str(out), "precision": contents.precision,
        "bytes": {**{name: record.bytes for name, record in contents.files.items()}, "total": contents.bytes},
        "parity": contents.parity,
    }  # fmt: skip


def _first_that_passes(
    model: TokenRecogniser | FrameRecogniser, text: TextCodec, out: Path, clips: Sequence[str], gate: Gate,
    calibration: Path | None, nibbles: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """See `export_checked`."""
    *candidates, last = [p for p in FASTEST_FIRST if calibration is not None or p != "int8-static"]
    for precision in candidates:
        try:
            return export_checked(model, text, out, precision, clips, gate, calibration, nibbles)
        except ErrorRateError as problem:
            say(f"{precision}: {problem}")
            gate = replace(gate, source=problem.source)
    return export_checked(model, text, out, last, clips, gate, calibration, nibbles)


def write_format(name: str, model: Any, text: TextCodec, out: Path) -> dict[str, Any]:
    """Write `model` for another program (`FORMATS`).

    Raises:
        SecateurError: the program has no such model, or the place is taken.
    """
    family = model.config.family
    if name not in FORMATS[family]:
        known = ", ".join(FORMATS[family])
        raise SecateurError(f"the format '{name}' is not for models of the family '{family}' (those are: {known})")
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise SecateurError(f"{out}: already there; export to a new place")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp") as scratch:
            made = Path(scratch) / "made"  # a folder or a file, moved to its place when it is whole
            FORMATS[family][name](made, model, text)
            if out.is_dir():
                out.rmdir()
            made.rename(out)
    except OSError as problem:
        raise SecateurError(f"{out}: cannot be written ({problem.strerror or problem})") from problem
    files = [out] if out.is_file() else sorted(path for path in out.iterdir() if path.is_file())
    sizes = {path.name: path.stat().st_size for path in files}
    return {"folder": str(out), "precision": name, "bytes": {**sizes, "total": sum(sizes.values())}, "parity": {}}


def error_drift(model: TokenRecogniser | FrameRecogniser, text: Any, folder: Path, gate: Gate) -> dict[str, Any]:
    """Error rates (in percent) of source and export on the gate's clips.

    Raises:
        ErrorRateError: the export's is too high.
    """
    utterances = _spread(gate.dev, gate.limit)
    source: Recogniser
    if isinstance(model, FrameRecogniser):
        source = ctc_recogniser(model, text)
    else:
        source = WhisperRecogniser(TorchSession(model), text)
    options = DecodingOptions(language=utterances[0].language, **GREEDY)  # type: ignore[arg-type]
    rates = {} if gate.source is None else {"source": gate.source}
    for name, recogniser in (("source", source), ("export", Recogniser.load(folder, workers=0))):
        if name in rates:
            continue
        say(f"error rate of the {name} on {len(utterances)} clips of {gate.dev}")

        def transcribe(some: list[Utterance], recogniser: Recogniser = recogniser) -> list[str]:
            return [found.text for found in recogniser.transcribe_batch(some, options)]

        result = evaluate(transcribe, utterances, model=name, data=str(gate.dev))
        rates[name] = 100 * result.rate
    above = rates["export"] - rates["source"]
    if above > gate.tolerance:
        raise ErrorRateError(
            f"the export's error rate on {gate.dev.name} is {rates['export']:.2f} %, its source's {rates['source']:.2f}"
            f" %, more than {gate.tolerance:g} points below; nothing was written: choose another --precision",
            rates["source"],
        )
    return {"dev": str(gate.dev), "dev_clips": len(utterances), "dev_source": rates["source"],
            "dev_export": rates["export"], "dev_tolerance": gate.tolerance}  # fmt: skip


def _spread(manifest: Path, most: int | None) -> list[Utterance]:
    """At most `most` clips, evenly over a manifest."""
    every = read_manifest(manifest)
    return every[:: max(1, len(every) // most)][:most] if most else every


def _features(clips: Sequence[str] | Sequence[Utterance], model: TokenRecogniser | FrameRecogniser) -> list[Floats]:
    """Features (frames, inputs) of recordings, for an encoder-decoder cut or padded to its window; else noise."""
    config = model.config
    front_end = config.front_end
    most = config.window if isinstance(model, TokenRecogniser) else None  # samples
    padded = isinstance(model, TokenRecogniser) and config.padded
    if not clips:
        second = front_end.sample_rate // front_end.hop
        lengths = [count * second // 100 if front_end.kind == "waveform" else count for count in NOISE_FRAMES]
        if most is not None:
            frames = most // front_end.hop
            lengths = [frames] if padded else [min(frames, count) for count in lengths]
        noise = np.random.default_rng(0)
        return [noise.standard_normal((count, front_end.inputs), np.float32) * 0.5 for count in lengths]
    found = []
    for clip in clips:
        read = read_clip if isinstance(clip, Utterance) else read_audio
        audio = read(clip, front_end.sample_rate)[:most]
        if padded and most is not None:
            audio = np.pad(audio, (0, most - len(audio)))
        found.append(extract(audio, front_end)[: None if most is None else most // front_end.hop])
    return found
