"""What matters in a model: every site removed once, its effect on loss and error rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..base.errors import SecateurError
from ..base.options import Settings, changed_fields, option, same_as
from ..prune.sensitivity_map import SensitivitySettings
from .job import job

if TYPE_CHECKING:
    from ..prune.sensitivity_map import SensitivityMap


KERAS = ("model", "data", "out", "amounts", "sites", "criterion")  # what is read for a Keras model


@dataclass(frozen=True, kw_only=True)
class SensitivityJobSettings(Settings):
    """What is measured, on what, how closely, and where."""

    model: str = option(
        help="Measure this: a checkpoint folder, a name such as tiny.en, or a .keras file.", positional=True
    )
    data: tuple[Path, ...] = option(
        help="Measure on these clips with transcripts (JSONL); never the test set: choices follow from it."
    )
    out: Path = option(help="Write the map into this folder; finished sites are kept there.", writes="folder")
    amounts: tuple[float, ...] = same_as(SensitivitySettings, "amounts")
    sites: str = same_as(SensitivitySettings, "sites")
    criterion: str = same_as(SensitivitySettings, "criterion")
    limit: int | None = option(
        None, "Take this many clips of each manifest, spread over its speakers.", unit="clips", least=1
    )
    screen: int = option(
        8,
        "Screen all sites on this many clips, a third of them on twice as many, and so on; 0: all on all.",
        unit="clips",
        least=0,
    )
    decode: int = same_as(SensitivitySettings, "decode")
    engine: Literal["local", "ray"] = option("local", "Run in this process, or on the workers of a Ray cluster.")
    workers: int = option(2, "Use this many Ray workers.", least=1)
    device: str = option("auto", "Run on cpu, cuda, or auto: a GPU where there is one.")
    precision: Literal["auto", "fp32", "bf16"] = option(
        "auto", "Compute in this precision; auto is bf16 on a GPU and fp32 on a CPU.", advanced=True
    )
    style: Literal["auto", "as-is", "sentence"] = option(
        "auto",
        "Take transcripts for the loss as they are or as sentences; auto: whichever the model finds likelier.",
        advanced=True,
    )
    batch_seconds: float | None = option(
        None, "Decode this much audio at once; left out: what the device holds.", unit="s", above=0, advanced=True
    )


@job(SensitivityJobSettings)
def sensitivity(settings: SensitivityJobSettings) -> SensitivityMap:
    """Measure, and write the map (map.json), its table, heat map and page into `out`; a killed run resumes there.

    Raises:
        SecateurError: clips or a model that cannot be read, a folder with another run.
    """
    from ..base.files import write_text
    from ..sensitivity.page import heat_png, markdown, write_page
    from ..study.record import begin, finish
    from .check import check_files

    check_files(settings.data)
    if settings.model.endswith(".keras"):
        record = begin("sensitivity", settings, settings.data, settings.model, settings.out)
        measured = _keras(settings)
        finish(settings.out, record)
        return measured
    from ..sensitivity.probe import ProbeSpec
    from ..sensitivity.run import run_map
    from ..weights.fetch import fetch

    fetch(settings.model)
    record = begin("sensitivity", settings, settings.data, settings.model, settings.out)
    spec = ProbeSpec(
        model=settings.model, data=tuple(map(str, settings.data)), limit=settings.limit, screen=settings.screen,
        device=settings.device, precision=settings.precision, style=settings.style,
        batch_seconds=settings.batch_seconds, threads=1 if settings.engine == "ray" else None,
    )  # fmt: skip
    settings_of_map = SensitivitySettings(settings.amounts, settings.sites, settings.criterion, settings.decode)
    measured = run_map(spec, settings_of_map, settings.out, settings.engine, settings.workers)
    write_text(settings.out / "table.md", "\n".join(markdown(measured, len(measured.sites))) + "\n")
    heat_png(measured, settings.out / "heatmap.png")
    write_page(measured, settings.out / "report.html")
    finish(settings.out, record)
    return measured


def _keras(settings: SensitivityJobSettings) -> SensitivityMap:
    """The map of a Keras model."""
    from ..keras.recordings import read_recordings
    from ..keras.saved import read_model
    from ..keras.sensitivity import sensitivity

    for field in changed_fields(settings):
        if field.name not in KERAS:
            raise SecateurError(f"{field.name} is not read for a Keras model: leave it out")
    model = read_model(Path(settings.model))
    recordings = [read_recordings(path) for path in settings.data]
    words = recordings[0][1]
    if any(other != words for _, other in recordings):
        raise SecateurError("the sets' words differ: they are of the model's classes")
    return sensitivity(
        model, *(one for one, _ in recordings), words=words, amounts=settings.amounts,
        criterion=settings.criterion, sites=settings.sites, out=settings.out,
        data=", ".join(path.stem for path in settings.data),
    )  # fmt: skip
