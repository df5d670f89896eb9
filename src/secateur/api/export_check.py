"""What an export is refused for before its model is read: options that do not go together, sets that lack clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from ..base.errors import SecateurError
from ..base.options import default_of

if TYPE_CHECKING:
    from ..models.family import Config
    from .export import ExportSettings

ONLY_ONNX = ("clips", "dev", "tolerance", "nonspeech", "limit", "calibrate", "four_bits")
RANGES = ("int8-static", "int8-dynamic", "auto")


def check_together(settings: ExportSettings, precision: str, by_condition: Mapping[str, float]) -> None:
    """Refuse options that the format or the precision would ignore, and manifests that cannot be read.

    Raises:
        SecateurError: the first such option and what it goes with.
    """
    from ..data.manifest import read_manifest

    given = [f.name for f in fields(settings) if f.name in ONLY_ONNX and getattr(settings, f.name) != default_of(f)]
    if settings.format != "onnx" and given:
        raise SecateurError(
            f"--{given[0].replace('_', '-')} goes with --format onnx: leave it out for {settings.format}, which is "
            "written as the model is"
        )
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
    from ..evaluate.possible import check_possible
    from ..export.job import condition_clips

    if by_condition and settings.dev is not None and settings.format == "onnx":
        check_possible(list(by_condition), condition_clips(settings.dev, settings.limit), config)


def check_nibbles(settings: ExportSettings) -> None:
    """Refuse a pattern of weights for four bits that names none.

    Raises:
        SecateurError: the pattern, and the nearest name of a weight.
    """
    from ..base.errors import nearest
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
