"""`secateur sensitivity`: what matters in a model, by taking every site away for once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..base.options import option
from ..evaluate.table import text_table

if TYPE_CHECKING:
    from ..prune.sensitivity_map import SensitivityMap

HELP = """What matters in a model: every head, FFN unit group, dimension, channel, layer, branch, input bin, sampling
and frame rate, context and vocabulary block is taken away for once; the signed change in loss and error rate, with an
interval by speaker and corrected for the number of comparisons. What helps when it goes comes first.

A few clips, of one speaker after the other, screen all sites by loss; the most helpful third, with some of the most
harmful, is heard on twice as many, and so on; what is left is measured on all clips and decoded. OUT has map.json,
table.md, heatmap.png, report.html; a killed run goes on there. Few clips tell large effects only: for a map to prune
by, --screen 0 hears all sites on all clips.
`secateur prune --prune.criterion sensitivity --prune.map OUT/map.json` removes what helps first.
A Keras model (.keras) that puts features into classes is measured on .npz files with the arrays features, words (of the
classes) and classes or texts, speakers, owner (the recording of each row): see secateur.keras.sensitivity."""
EXAMPLE = """secateur sensitivity tiny.en --data mine/dev.jsonl --out runs/map
secateur sensitivity runs/mine/dense --data dev.jsonl --sites 'decoder*,head' --amounts 0.25,0.5 --out runs/map
secateur sensitivity base --data dev.jsonl --engine ray --workers 4 --out runs/map
secateur sensitivity digits.keras --data words.npz,strings.npz --criterion magnitude --out runs/map"""


@dataclass(frozen=True)
class Options:
    """What is measured, on what, how closely, and by whom."""

    model: str = option(help="checkpoint folder, a name such as tiny.en, or a .keras file", positional=True)
    data: tuple[Path, ...] = option(help="clips with transcripts (JSONL), never the test set: choices follow from it")
    out: Path = option(help="folder for the map; finished sites are kept there")
    amounts: tuple[float, ...] = option((0.1, 0.25, 0.5), help="shares of each group to take away")
    sites: str = option("", help="only sites, kinds or layers that match these patterns, such as 'encoder*,ffn'")
    criterion: str = option("taylor", help="which units of a group go first: see prune.criterion")
    limit: int | None = option(None, help="clips of each manifest, spread over its speakers")
    screen: int = option(8, help="clips to screen all sites on; a third of them on twice as many, and so on; 0: all")
    decode: int = option(20, help="removals that are left in the end: measured on all clips, and decoded")
    engine: Literal["local", "ray"] = option("local", help="this process, or the workers of a Ray cluster")
    workers: int = option(2, help="for ray: how many")
    device: str = option("auto", help="cpu, cuda or auto")
    precision: Literal["auto", "fp32", "bf16"] = option("auto", help="auto: bf16 on a GPU")
    style: Literal["auto", "as-is", "sentence"] = option(
        "auto", help="transcripts for the loss; auto: as they are or as sentences, whichever the model finds likelier"
    )
    batch_seconds: float | None = option(None, help="seconds of audio at once")


def run(options: Options) -> dict[str, Any]:
    """Measure, and write the map, its table, heat map and page."""
    from ..base.files import write_text
    from ..base.options import to_dict
    from ..sensitivity.page import heat_png, markdown, write_page

    if options.model.endswith(".keras"):
        return {"out": str(options.out), **to_dict(_keras(options))}
    from ..sensitivity.probe import ProbeSpec
    from ..sensitivity.run import SensitivitySettings, run_map

    spec = ProbeSpec(
        model=options.model, data=tuple(map(str, options.data)), limit=options.limit, screen=options.screen,
        device=options.device, precision=options.precision, style=options.style, batch_seconds=options.batch_seconds,
        threads=1 if options.engine == "ray" else None,
    )  # fmt: skip
    settings = SensitivitySettings(
        options.amounts, options.sites, options.criterion, options.decode
    )
    found = run_map(spec, settings, options.out, options.engine, options.workers)
    write_text(options.out / "table.md", "\n".join(markdown(found, len(found.sites))) + "\n")
    heat_png(found, options.out / "heatmap.png")
    write_page(found, options.out / "report.html")
    values: dict[str, Any] = to_dict(found)
    return {"out": str(options.out), **values}


def _keras(options: Options) -> SensitivityMap:
    """The map of a Keras model."""
    from ..base.errors import SecateurError
    from ..base.extras import require
    from ..keras.recordings import read_recordings
    from ..keras.sensitivity import sensitivity

    load = require("keras", "keras").models.load_model
    found = [read_recordings(path) for path in options.data]
    if not Path(options.model).exists():
        raise SecateurError(f"{options.model}: no such file")
    words = found[0][1]
    if any(other != words for _, other in found):
        raise SecateurError("the sets' words differ: they are of the model's classes")
    return sensitivity(
        load(options.model), *(one for one, _ in found), words=words, amounts=options.amounts,
        criterion=options.criterion, sites=options.sites, out=options.out,
        data=", ".join(path.stem for path in options.data),
    )  # fmt: skip


def show(values: dict[str, Any]) -> str:
    """The first sites."""
    from ..base.options import from_dict
    from ..prune.sensitivity_map import SensitivityMap
    from ..sensitivity.page import headline, terminal_rows

    out = values.pop("out")
    found = from_dict(SensitivityMap, values)
    titles, rows = terminal_rows(found, 15)
    return f"{headline(found)}\n\n{text_table(titles, rows)}\n\n{out}: map.json, table.md, heatmap.png, report.html"
