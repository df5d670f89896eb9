"""Two results, or two models, on the same clips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import SecateurError
from ..base.options import Settings, option
from ..decode.options import DecodingOptions
from ..evaluate.decoded import PLAIN
from ..text.normalise import Scheme
from .evaluate import EvaluateSettings, is_exported, located, result_of
from .job import job

if TYPE_CHECKING:
    from ..evaluate.compare import Comparison
    from ..evaluate.result import Result


@dataclass(frozen=True, kw_only=True)
class CompareSettings(Settings):
    """What is compared with what."""

    a: str = option(help="Compare this result file (several seeds: a comma between) or model.", positional=True)
    b: str = option(help="Compare it with this one.", positional=True)
    manifest: Path | None = option(None, "Decode these clips, when A and B are models (JSONL).", positional=True)
    limit: int | None = option(None, "Decode only this many clips, the first ones.", unit="clips", least=1)
    normalise: Scheme | None = option(
        None, "Compare texts by this scheme, such as whisper or cased; left out: by language."
    )
    device: str = option("auto", "Run models on cpu, cuda, or auto: a GPU where there is one.")
    clips: int = option(5, "Show this many changed clips of each kind.", unit="clips", least=0)
    resamples: int = option(10_000, "Draw this many bootstrap resamples.", least=100, advanced=True)
    seed: int = option(0, "Seed the bootstrap.", advanced=True)
    decoding: DecodingOptions = option(PLAIN, "Say how audio is decoded.", flat=True)


@job(CompareSettings)
def compare(settings: CompareSettings) -> Comparison:
    """Compare two results, or two models on a manifest: paired bootstrap over speakers.

    Raises:
        SecateurError: files that are no results, models without a manifest, results of different clips.
    """
    from ..evaluate.compare import compare as compared

    for source in (settings.a, settings.b):
        _check(source, settings)
    a, b = _results(settings.a, settings), _results(settings.b, settings)
    # Models may share a name (the same run's files): then the sources tell them apart.
    names = (settings.a, settings.b) if a[0].model == b[0].model else None
    return compared(a, b, names=names, resamples=settings.resamples, seed=settings.seed)


def _check(source: str, settings: CompareSettings) -> None:
    """Refuse what cannot be read before the first of the two is decoded."""
    from ..evaluate.result import is_result
    from ..weights.fetch import fetch

    names = [name for name in source.split(",") if name]
    if all(is_result(name) or name.endswith(".json") for name in names) or settings.manifest is None:
        _results(source, settings)  # files, or an error
        return
    for name in names:
        folder = located(name)
        if not is_exported(folder):
            fetch(folder)


def _results(source: str, settings: CompareSettings) -> list[Result]:
    from ..evaluate.result import is_result, read_result

    names = [name for name in source.split(",") if name]
    if all(is_result(name) or name.endswith(".json") for name in names):
        return [read_result(name) for name in names]
    if settings.manifest is None:
        raise SecateurError(f"'{source}' is not a result file; to compare models give a MANIFEST after them")
    usual = EvaluateSettings(
        model="", manifest=settings.manifest, limit=settings.limit, device=settings.device,
        normalise=settings.normalise, decoding=settings.decoding,
    )  # fmt: skip
    return [result_of(replace(usual, model=name)) for name in names]
