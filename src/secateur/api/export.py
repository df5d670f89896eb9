"""A model as ONNX, compared with its source before it is put in place; or for another program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..base.errors import SecateurError, nearest
from ..base.files import Json
from ..base.options import Settings, changed_fields, option
from ..base.progress import say
from .job import job

if TYPE_CHECKING:
    from ..models.family import Config

ONLY_ONNX = ("clips", "dev", "tolerance", "nonspeech", "limit", "calibrate", "four_bits")
RANGES = ("int8-static", "int8-dynamic", "auto")


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Settings):
    """What is written, for which program, and what it must prove."""

    model: str = option(
        help="Export this: a checkpoint folder, or a name that `secateur models list` shows.", positional=True
    )
    out: Path = option(
        help="Write the exported model into this new folder (a file for ggml).",
        writes=lambda settings: ".bin" if settings.format == "ggml" else "folder",
        elsewhere=("output_dir", "output", "output_file", "output_folder"),
    )
    format: str = option(
        "onnx",
        "Write onnx, transformers, transformers-pruned, ctranslate2 (faster-whisper), ggml (whisper.cpp), sherpa "
        "(sherpa-onnx; CTC models only), peft (an adapter of --base) or a plug-in's; a Whisper needs equal widths for "
        "all but onnx and transformers-pruned.",
        elsewhere=("output_format", "target"),
    )
    precision: Literal["fp32", "fp16", "bf16", "int8", "int8-dynamic", "int8-static", "auto"] | None = option(
        None,
        "Store the weights in this precision; left out: int8 for ONNX, else the format's own. int8 is the "
        "smallest; int8-dynamic and -static are faster where the CPU has VNNI but coarser; auto is the fastest with "
        "the source's error rate on dev; bf16: transformers.",
        elsewhere=("quantize", "quantization", "compute_type", "dtype", "outtype"),
    )
    base: str | None = option(
        None,
        "Write what low-rank tuning changed in this model: a folder as transformers reads it, or a published "
        "name; with --format peft.",
    )
    largest: float = option(
        5.0,
        "Split the weights of a transformers folder into files of at most this size.",
        unit="GB",
        above=0,
        advanced=True,
    )
    clips: tuple[str, ...] = option((), "Compare export and source on these recordings; left out: on noise.")
    dev: Path | None = option(None, "Refuse an export whose error rate on this manifest is not its source's.")
    tolerance: float | str = option(
        0.2,
        "Let the error rate on dev rise by at most this; by condition of real use as well: "
        "0.2,pause=0.5,prompt=0.5,joined=0.5,nonspeech=4 (timestamps: hundredths of a second).",
        unit="points",
        least=0,
    )
    nonspeech: Path | None = option(
        None,
        "Choose the thresholds of an export beside these recordings, in which nobody speaks (JSONL); left out: "
        "beside generated ones. Needs dev with at least 50 clips.",
    )
    limit: int | None = option(None, "Take at most this many clips of dev.", unit="clips", least=1)
    calibrate: Path | None = option(
        None, "Take the ranges of int8-static from this manifest of training data; int8-dynamic gains from it, too."
    )
    four_bits: tuple[str, ...] = option(
        (),
        "Store these weights of an int8 export in four bits, with wildcards: decoder.token_embedding,*.ffn.*.",
        advanced=True,
    )
    vocabulary: str = option(
        "",
        "Keep only the vocabulary rows that an alphabet can spell, without training: script (of --languages), "
        "alphabet:LETTERS or text:FILE.",
    )
    languages: tuple[str, ...] = option((), "Keep these languages of a multilingual model: el,en; with --vocabulary.")
    check: bool = option(False, "Validate everything, write nothing.")


@job(ExportSettings)
def export(settings: ExportSettings) -> Json:
    """Export a model; returns the folder, the files' bytes and how near the export is to its source.

    Raises:
        SecateurError: a format or precision that the model cannot have, an export that differs from its source.
    """
    from ..base.extras import require

    require("torch", "train")
    from ..export.exporter import Source
    from ..export.job import ErrorRateGate, export_checked, formats_of, storage_of, write_format
    from ..export.room import check_room
    from ..export.tolerances import tolerances
    from ..models.family import read_config
    from ..weights.fetch import fetch
    from .check import check_files

    tolerance, by_condition = tolerances(settings.tolerance)
    named = (settings.dev, settings.nonspeech, settings.calibrate, *map(Path, settings.clips))
    check_files([path for path in named if path is not None])
    precision: str = settings.precision or ("int8" if settings.format == "onnx" else "")
    check_together(settings, precision, by_condition)
    if settings.format == "onnx":
        _check_precision(settings, precision)
    _check_not_exported(settings.model)
    config = read_config(fetch(settings.model) / "config.json")
    check_conditions(settings, by_condition, config)
    check_nibbles(settings)
    _check_vocabulary(settings, config)
    storage = None
    if settings.format != "onnx":
        storage = storage_of(settings.format, config, precision, settings.largest)
        precision = storage.precision if storage else precision
        if getattr(config, "padded", True) is False:
            say(
                f"note: {config.name} was made for clips of their own length, and what reads {settings.format} pads "
                f"them to {config.max_seconds:g} s: texts and error rate may differ from those measured here; measure "
                "there"
            )
    expected = check_room(config, precision, settings.out, four_bits=settings.four_bits)
    if settings.check:
        return {"check": True, "family": config.family, "formats": formats_of(config), "bytes": expected}
    source = Source.of_files(settings.model)
    if settings.vocabulary:
        from ..prune.initial_model import only_alphabet

        smaller = only_alphabet(source.read(), source.text, settings.vocabulary, settings.languages)
        say(f"vocabulary: {smaller.model.config.vocabulary} of {config.vocabulary} rows stay")
        source = Source.of_model(smaller.model, smaller.tokenizer)
    if settings.format != "onnx":
        base = {} if settings.base is None else {"base": settings.base}
        # An adapter is what is left of a difference: in float32.
        model = source.read() if base else source.for_writing()
        return write_format(settings.format, model, source.text, settings.out, storage, **base)
    if not settings.clips and settings.dev is None:
        say("neither --dev nor --clips given: comparing on noise, which says little about transcripts")
    gate = (
        None
        if settings.dev is None
        else ErrorRateGate(settings.dev, tolerance, settings.limit, settings.nonspeech, by_condition=by_condition)
    )
    return export_checked(
        source, source.text, settings.out, precision, settings.clips, gate, settings.calibrate, settings.four_bits
    )


def _check_not_exported(model: str) -> None:
    """Refuse an exported model, bundled or in a folder.

    Raises:
        SecateurError: where it is, and what to name instead.
    """
    from ..runtime.contents import BUNDLED, is_export

    folder = next((one for one in (Path(model), BUNDLED / model) if one.is_dir() and is_export(one)), None)
    if folder is not None:
        raise SecateurError(
            f"{model} is an exported model already ({folder}): name the checkpoint folder that it was made from"
        )


def _check_precision(settings: ExportSettings, precision: str) -> None:
    """Refuse a precision that ONNX graphs do not have, or that lacks what it needs.

    Raises:
        SecateurError: what to choose, or to add.
    """
    from ..export.precision import check_needs

    if precision == "bf16":
        raise SecateurError("ONNX graphs are not written in bf16: choose fp16, or --format transformers")
    if precision == "auto" and settings.dev is None:
        raise SecateurError("--precision auto lets an error rate decide: name a manifest with --dev")
    check_needs(precision, settings.calibrate, settings.four_bits)


def _check_vocabulary(settings: ExportSettings, config: Config) -> None:
    """Refuse a choice of rows that names no known script, alphabet or language.

    Raises:
        SecateurError: what is not known, or languages without a choice of rows.
    """
    if settings.languages and not settings.vocabulary:
        raise SecateurError("--languages says whose rows stay: add --vocabulary script")
    if settings.vocabulary:
        from ..prune.initial_model import languages_written
        from ..prune.vocabulary import chosen_alphabet

        tokens, names = getattr(config, "tokens", None), list(settings.languages)
        if tokens is not None:
            names = languages_written(tokens, settings.vocabulary, names)
        chosen_alphabet(settings.vocabulary, names)


def check_together(settings: ExportSettings, precision: str, by_condition: Mapping[str, float]) -> None:
    """Refuse options that the format or the precision would ignore, and manifests that cannot be read.

    Raises:
        SecateurError: the first such option and what it goes with.
    """
    from ..data.manifest import read_manifest

    given = [one.name for one in changed_fields(settings) if one.name in ONLY_ONNX]
    if settings.format != "onnx" and given:
        raise SecateurError(
            f"--{given[0].replace('_', '-')} goes with --format onnx: leave it out for {settings.format}, which is "
            "written as the model is"
        )
    whole = settings.format in ("onnx", "ctranslate2", "ggml", "sherpa", "peft")
    if whole and any(one.name == "largest" for one in changed_fields(settings)):
        raise SecateurError("--largest goes with --format transformers: leave it out, or name that format")
    if (settings.format == "peft") != (settings.base is not None):
        raise SecateurError("--format peft writes an adapter of --base MODEL, what tuning started from: give both")
    if settings.base is not None:
        from ..weights.fetch import check_name

        check_name(settings.base)
    if settings.dev is None:
        if by_condition:
            raise SecateurError("a tolerance by condition needs clips to measure on: name a manifest with --dev")
        alone = next((name for name in given if name in ("tolerance", "nonspeech", "limit")), None)
        if alone is not None:
            raise SecateurError(f"--{alone} is for the clips of --dev: name a manifest, or leave out --{alone}")
    if settings.calibrate is not None and settings.format == "onnx" and precision not in RANGES:
        raise SecateurError(f"--calibrate goes with int8-static and int8-dynamic, not with {precision}: leave it out")
    for path in (settings.dev, settings.nonspeech, settings.calibrate):
        if path is not None:
            read_manifest(path)


def check_conditions(settings: ExportSettings, by_condition: Mapping[str, float], config: Config) -> None:
    """Refuse a tolerance for a condition that the clips of dev or the model cannot give: it would never be judged.

    Raises:
        SecateurError: the first such condition.
    """
    from ..evaluate.conditions import check_possible
    from ..export.job import condition_clips

    if by_condition and settings.dev is not None and settings.format == "onnx":
        check_possible(list(by_condition), condition_clips(settings.dev, settings.limit), config)


def check_nibbles(settings: ExportSettings) -> None:
    """Refuse a pattern of weights for four bits that names none.

    Raises:
        SecateurError: the pattern, and the nearest name of a weight.
    """
    from ..export.job import in_four_bits
    from ..models.checkpoint import shapes_only
    from ..weights.fetch import load_model

    if not settings.four_bits:
        return
    with shapes_only():
        model, _ = load_model(settings.model)
    for pattern in settings.four_bits:
        if not in_four_bits(model, "", [pattern]):
            names = [name.removesuffix(".weight") for name, value in model.named_parameters() if value.dim() == 2]
            raise SecateurError(f"--four-bits: no weight is named '{pattern}'{nearest(pattern, names)}")
