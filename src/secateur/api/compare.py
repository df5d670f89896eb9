"""Two results, or two models, on the same clips."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import SecateurError
from ..base.options import Settings, changed_fields, option
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
        SecateurError: files that are no results, models without a manifest, results of different clips, options of
            decoding where nothing is decoded.
    """
    from ..evaluate.compare import compare as compared

    sources = settings.a, settings.b
    read = [_read(source, settings.manifest) for source in sources]  # of both, before the first is decoded
    if all(read):
        own = [one.name for one in changed_fields(settings) if one.name in ("limit", "normalise", "manifest")]
        own += [f.name for f in fields(PLAIN) if getattr(settings.decoding, f.name) != getattr(PLAIN, f.name)]
        if own:
            what = "MANIFEST" if own[0] == "manifest" else "--" + own[0].replace("_", "-")
            raise SecateurError(f"{what} has no effect on result files, which are decoded already: leave it out")
    a, b = (known or _decoded(source, settings) for known, source in zip(read, sources, strict=True))
    # Models may share a name (the same run's files): then the sources tell them apart.
    names = (settings.a, settings.b) if a[0].model == b[0].model else None
    return compared(a, b, names=names, resamples=settings.resamples, seed=settings.seed)


def _read(source: str, manifest: Path | None) -> list[Result]:
    """The results in files; none where `source` names models, which are looked up.

    Raises:
        SecateurError: files that are no results, no such model, or models without a manifest.
    """
    from ..evaluate.result import is_result, read_result
    from ..weights.fetch import fetch

    names = _names(source)
    if all(is_result(name) or name.endswith(".json") for name in names):
        return [read_result(name) for name in names]
    if manifest is None:
        raise SecateurError(f"'{source}' is not a result file; to compare models give a MANIFEST after them")
    for name in names:
        if not is_exported(folder := located(name)):
            fetch(folder)
    return []


def _names(source: str) -> list[str]:
    return [name for name in source.split(",") if name]


def _decoded(source: str, settings: CompareSettings) -> list[Result]:
    """The results of models on the manifest."""
    assert settings.manifest is not None  # see `_read`
    usual = EvaluateSettings(
        model="", manifest=settings.manifest, limit=settings.limit, device=settings.device,
        normalise=settings.normalise, decoding=settings.decoding,
    )  # fmt: skip
    return [result_of(replace(usual, model=name)) for name in _names(source)]
