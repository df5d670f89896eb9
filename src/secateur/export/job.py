"""Export with checks: parity with the source on clips, and error rate against the source's on a dev set."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from ..audio.read import read_audio
from ..base.errors import SecateurError, nearest
from ..base.files import Json
from ..base.options import to_dict
from ..base.plugins import Lazy, PluginError, Registry, named, plugins_blamed
from ..base.progress import say
from ..data.clip import read_clip
from ..data.manifest import Utterance, evenly, read_manifest
from ..decode.session import Floats
from ..evaluate.calibration import calibrate_export
from ..evaluate.conditions import chosen
from ..evaluate.decoded import decoded
from ..evaluate.real_use import Results, measure, source_of
from ..evaluate.real_use_table import changes, drifted
from ..evaluate.run import evaluate
from ..features.front_end import extract
from ..models.family import Config, Storage, TextCodec, Writer, family_of
from ..models.network import Network
from ..runtime.contents import read_contents
from ..runtime.recogniser import Recogniser, recogniser_of
from .calibration import calibrate
from .exporter import Source, exporter_of, release
from .onnx import export_onnx
from .precision import check_needs, check_precision

TOLERANCE = 1e-3  # of fp32 logits, and of a CTC model's fp32 probabilities
NOISE_FRAMES = (100, 250, 400)  # lengths of noise clips, 10 ms frames
CALIBRATION_CLIPS = 32
CONDITION_CLIPS = 40  # of a gate by condition
AUTO = "auto"
BYTES_IN_THE_ENCODER = ("int8-static", "int8-dynamic")
BY_SPEED = (*BYTES_IN_THE_ENCODER, "int8")


@dataclass(frozen=True)
class ErrorRateGate:
    """The test that an export must pass: on `dev` its error rate is at most `tolerance` points above its source's."""

    dev: Path
    tolerance: float = 0.2  # points
    limit: int | None = None  # clips
    nonspeech: Path | None = None  # recordings without speech, on which thresholds are chosen as well
    source: float | None = None  # error rate of the source on dev, in percent, where it is known already
    by_condition: Mapping[str, float] = field(default_factory=dict)  # points: see `evaluate.conditions`


class ErrorRateError(SecateurError):
    """An export whose error rate is too far above `source`, that of its source (percent)."""

    def __init__(self, message: str, source: float) -> None:
        super().__init__(message)
        self.source = source


def export_checked(
    model: Network | Source, text: TextCodec, out: Path, precision: str, clips: Sequence[str] = (),
    gate: ErrorRateGate | None = None, calibration: Path | None = None, nibbles: Sequence[str] = (),
) -> Json:  # fmt: skip
    """Export to ONNX, compare, report; nothing is written when a comparison fails.

    What the model computes comes first, and what its graphs compute last: a `Source` that is read from files is not in
    memory beside them.

    Args:
        precision: one of `PRECISIONS`, or "auto": the fastest of int8-static (with `calibration` only), int8-dynamic
            and int8 that passes `gate`.
        clips: recordings on which logits and tokens are compared; none: noise.
        calibration: manifest whose clips int8-static takes its ranges from; train data. A Whisper
            encoder that multiplies bytes is smoothed on them too (`export.smoothing`).
        nibbles: patterns of the weights that an int8 of any kind stores in four bits.

    Raises:
        SecateurError: fp32 that differs from the source, calibration or, for auto, the gate left out.
        ErrorRateError: an error rate beyond the gate, for auto that of all.
    """
    if precision == AUTO:
        if gate is None:
            raise SecateurError("--precision auto chooses by the error rate: name a manifest with --dev")
        return _fastest_passing(model, text, out, clips, gate, calibration, nibbles)
    check_precision(precision)
    check_needs(precision, calibration, nibbles)
    source = model if isinstance(model, Source) else Source.of_model(model, text)
    ranges, exporter, network = None, exporter_of(source.config), source.read()
    expected = exporter.expected(network, sample_features(clips, source.config))
    use: Results | None = None
    if gate is not None:
        gate = gate if gate.source is not None else replace(gate, source=source_rate(network, text, gate))
        use = real_use(recogniser_of(source.config)(network, text), gate, "source")
    if calibration is not None and precision in BYTES_IN_THE_ENCODER:
        samples = sample_features(_sampled(calibration, CALIBRATION_CLIPS), source.config)
        if not in_four_bits(network, exporter.observed(network).prefix, nibbles):
            # Four bits were trained, or chosen, on weights without smoothing.
            network = exporter.smoothed(network, samples)
            source = Source.of_model(network, text)
        ranges = calibrate(exporter.observed(network), samples)
    del network
    release()

    def check(folder: Path) -> Json:
        compared = exporter.compare(expected, folder)
        if precision == "fp32" and compared.max_difference > TOLERANCE:
            raise SecateurError(
                f"the exported graph differs from the source by {compared.max_difference:.2g}, more than "
                f"{TOLERANCE:g}: nothing was written; please report this model"
            )
        values = {**to_dict(compared), "agreement": compared.agreement, "on": "clips" if clips else "noise"}
        if gate is not None:
            values |= error_drift(None, text, folder, gate)
            calibrate_export(folder, gate.dev, gate.limit, gate.nonspeech)  # conditions are decoded with its thresholds
            values |= real_use_drift(None, text, folder, gate, values["dev_source"], use)
        return values

    export_onnx(source, text, out, precision, check, ranges=ranges, nibbles=nibbles)
    contents = read_contents(out)
    return {
        "folder": str(out),
        "precision": contents.precision,
        "bytes": {**{name: record.bytes for name, record in contents.files.items()}, "total": contents.bytes},
        "parity": contents.parity,
    }


def _fastest_passing(
    model: Network | Source, text: TextCodec, out: Path, clips: Sequence[str], gate: ErrorRateGate,
    calibration: Path | None, nibbles: Sequence[str],
) -> Json:  # fmt: skip
    """See `export_checked`."""
    *candidates, last = [p for p in BY_SPEED if calibration is not None or p != "int8-static"]
    for precision in candidates:
        try:
            return export_checked(model, text, out, precision, clips, gate, calibration, nibbles)
        except ErrorRateError as problem:
            say(f"{precision}: {problem}")
            gate = replace(gate, source=problem.source)
    return export_checked(model, text, out, last, clips, gate, calibration, nibbles)


# For models of any family; those of other packages too.
WRITERS: Registry[Writer] = Registry("writers", "export format", {"peft": Lazy("secateur.export.peft:write_peft")})


def formats_of(config: Config) -> list[str]:
    """The formats that a model with this config can be exported to: the default one first."""
    return list(dict.fromkeys(["onnx", *family_of(config).writers, *WRITERS]))


def writer(name: str, config: Config) -> Writer:
    """The writer of the format `name` for a model with this config.

    Raises:
        SecateurError: its family has no such format.
    """
    family, known = family_of(config), formats_of(config)
    if name in family.writers:
        return family.writers[name]()
    if name in WRITERS:
        return WRITERS[name]
    raise SecateurError(
        f"the format '{name}' cannot be written for models of the family '{family.name}'{nearest(name, known)} "
        f"(those that can: {', '.join(known)})"
    )


def storage_of(name: str, config: Config, precision: str = "", largest: float = 5.0) -> Storage | None:
    """How the format `name` stores the weights: in `precision`, left out its usual one, in files of at most `largest`
    GB; None: it has no choice.

    Raises:
        SecateurError: it has no such precision.
    """
    writer(name, config)
    known = family_of(config).precisions.get(name, ())
    if precision and precision not in known:
        choices = f"it has {', '.join(known)}" if known else "it has one of its own: leave out --precision"
        raise SecateurError(f"the format {name} does not store {precision}: {choices}")
    return Storage(precision or known[0], int(largest * 1e9)) if known else None


def write_format(
    name: str, model: Network, text: TextCodec, out: Path, storage: Storage | None = None, **more: str
) -> Json:
    """Write `model` for another program (see `writer` and `storage_of`); `more` is what that format needs besides.

    Raises:
        SecateurError: the program has no such model, or `out` exists.
    """
    write = writer(name, model.config)
    storage = storage or storage_of(name, model.config)
    how: dict[str, Storage | str] = {**more} if storage is None else {**more, "storage": storage}
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise SecateurError(f"{out}: exists already; export to a new path")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp") as scratch:
            temporary = Path(scratch) / "made"  # a folder or a file, renamed to `out` when it is complete
            with plugins_blamed():
                write(temporary, model, text, **how)
            if not temporary.exists():
                raise PluginError(
                    f"{named(write, 'writers') or f'the export format {name}'} wrote nothing to its target"
                )
            if out.is_dir():
                out.rmdir()
            temporary.rename(out)
    except OSError as problem:
        raise SecateurError(f"{out}: cannot be written ({problem.strerror or problem})") from problem
    files = [out] if out.is_file() else sorted(path for path in out.iterdir() if path.is_file())
    sizes = {path.name: path.stat().st_size for path in files}
    stored = name if storage is None else f"{name}, {storage.precision}"
    return {"folder": str(out), "precision": stored, "bytes": {**sizes, "total": sum(sizes.values())}, "parity": {}}


def source_rate(model: Network, text: TextCodec, gate: ErrorRateGate) -> float:
    """Error rate of the source on the gate's clips, in percent."""
    return _rate(recogniser_of(model.config)(model, text), gate, "source")


def _rate(recogniser: Recogniser, gate: ErrorRateGate, name: str) -> float:
    utterances = _sampled(gate.dev, gate.limit)
    say(f"error rate of the {name} on {len(utterances)} clips of {gate.dev}")
    return 100 * evaluate(decoded(recogniser, label=""), utterances, model=name, data=str(gate.dev)).rate


def error_drift(model: Network | None, text: TextCodec, folder: Path, gate: ErrorRateGate) -> Json:
    """Error rates (in percent) of source and export on the gate's clips; `model` is needed where the gate does not know
    the source's.

    Raises:
        ErrorRateError: the export's is too high.
    """
    source = gate.source if model is None or gate.source is not None else source_rate(model, text, gate)
    assert source is not None
    export = _rate(Recogniser.load(folder, workers=0), gate, "export")
    if export - source > gate.tolerance:
        raise ErrorRateError(
            f"the export's error rate on {gate.dev.name} is {export:.2f} %, its source's {source:.2f}"
            f" %, more than {gate.tolerance:g} points below; nothing was written: choose another --precision",
            source,
        )
    return {
        "dev": str(gate.dev),
        "dev_clips": len(_sampled(gate.dev, gate.limit)),
        "dev_source": source,
        "dev_export": export,
        "dev_tolerance": gate.tolerance,
    }


def real_use(recogniser: Recogniser, gate: ErrorRateGate, name: str) -> Results:
    """What `recogniser` does in the gate's conditions of real use, where it has any."""
    if not gate.by_condition:
        return {}
    built = source_of(condition_clips(gate.dev, gate.limit), recogniser.sample_rate)
    return measure(recogniser, built, chosen(list(gate.by_condition)), model=name, data=str(gate.dev))


def real_use_drift(
    model: Network | None,
    text: TextCodec,
    folder: Path,
    gate: ErrorRateGate,
    rate: float,
    before: Results | None = None,
) -> Json:
    """Source and export compared in the gate's conditions of real use; nothing where it has none.

    `rate` is the source's error rate on the gate's clips, in percent; `model` is needed where `before`, what the source
    does there (see `real_use`), is not known.

    Raises:
        ErrorRateError: the export is worse in one of them than is tolerated.
    """
    if not gate.by_condition:
        return {}
    if before is None:
        assert model is not None
        before = real_use(recogniser_of(model.config)(model, text), gate, "source")
    after = real_use(Recogniser.load(folder, workers=0), gate, "export")
    worse = drifted(before, after, gate.by_condition)
    if worse:
        raise ErrorRateError(
            f"the export is worse than its source in real use: {'; '.join(worse)}; nothing was written: choose another "
            "--precision",
            rate,
        )
    return {"conditions": {c.name: {"source": c.a, "export": c.b, "unit": c.unit} for c in changes(before, after)}}


def condition_clips(dev: Path, limit: int | None) -> list[Utterance]:
    """The clips of a gate's manifest that conditions are built from."""
    return evenly(_sampled(dev, limit), CONDITION_CLIPS)


def in_four_bits(model: Network, prefix: str, nibbles: Sequence[str]) -> bool:
    """Whether any weight of the part of `model` that begins with `prefix` is stored in four bits."""
    names = [name.removesuffix(".weight") for name, _ in model.named_parameters() if name.startswith(prefix)]
    return any(fnmatchcase(name, pattern) for name in names for pattern in nibbles)


def _sampled(manifest: Path, limit: int | None) -> list[Utterance]:
    """At most `limit` clips, evenly over a manifest."""
    every = read_manifest(manifest)
    return evenly(every, limit) if limit else every


def sample_features(clips: Sequence[str] | Sequence[Utterance], config: Config) -> list[Floats]:
    """Features (frames, inputs) of `clips`, cut or padded to the model's window; noise without any."""
    front_end = config.front_end
    limit, padded = exporter_of(config).window(config)
    if not clips:
        second = front_end.sample_rate // front_end.hop
        lengths = [count * second // 100 if front_end.by_sample else count for count in NOISE_FRAMES]
        if limit is not None:
            frames = limit // front_end.hop
            lengths = [frames] if padded else [min(frames, count) for count in lengths]
        noise = np.random.default_rng(0)
        return [noise.standard_normal((count, front_end.inputs), np.float32) * 0.5 for count in lengths]
    features = []
    for clip in clips:
        rate = front_end.sample_rate
        audio = (read_clip(clip, rate) if isinstance(clip, Utterance) else read_audio(clip, rate))[:limit]
        if padded and limit is not None:
            audio = np.pad(audio, (0, limit - len(audio)))
        features.append(extract(audio, front_end)[: None if limit is None else limit // front_end.hop])
    return features
