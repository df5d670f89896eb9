"""`secateur data stats`: what is in a data set."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from ...base.files import Json
from ...base.locale import columns, padded, translated
from ...base.options import Settings, option

HELP = "Hours, speakers, lengths and words of data sets, whole or by language, speaker or any extra field."
EXAMPLE = """secateur data stats set/train.jsonl set/dev.jsonl set/test.jsonl
secateur data stats set/train.jsonl --by gender --histogram lengths.png"""
COLUMNS = {
    "clips": 7, "hours": 7, "speakers": 8, "median s": 8, "95 % s": 7, "longest s": 9, "words": 8, "vocabulary": 10,
    "no text": 7,
}  # fmt: skip


@dataclass(frozen=True)
class Options(Settings):
    """What is counted."""

    manifests: tuple[str, ...] = option(help="Count these data sets: JSONL, or set-{000..123}.tar.", positional=True)
    by: str | None = option(None, "Also count by this field: speaker, language, or an extra such as gender.")
    histogram: Path | None = option(
        None, "Draw the lengths of clips and the minutes of speakers into this PNG.", writes=".png"
    )


def run(options: Options) -> Json:
    """Counts of each manifest, and of each group over all of them."""
    from ...data.manifest import iter_manifest
    from ...data.stats import Tallies, Tally, draw_histogram

    sets = {name: Tally() for name in options.manifests}
    groups = None if options.by is None else Tallies(options.by)
    for name, tally in sets.items():
        for u in iter_manifest(name):
            tally.add(u)
            if groups is not None:
                groups.add(u)
    result: Json = {"sets": {name: dataclasses.asdict(tally.stats()) for name, tally in sets.items()}}
    if groups is not None:
        result["by"] = options.by
        result["groups"] = {name: dataclasses.asdict(s) for name, s in groups.stats().items()}
    if options.histogram is not None:
        draw_histogram(options.histogram, list(sets.values()))
    return result


def show(result: Json) -> str:
    """One row a set, then one row a group."""
    rows = _rows("set", result["sets"])
    if "groups" in result:
        groups = result["groups"]
        rows += ["", *_rows(result["by"], dict(list(groups.items())[:40]))]
        if len(groups) > 40:
            rows.append(translated(f"... and {len(groups) - 40} more (--json lists all)"))
    return "\n".join(rows)


def _rows(title: str, parts: Json) -> list[str]:
    none = translated("(none)")
    width = max(len(title), *(columns(name or none) for name in parts))
    head = [padded(translated(title), width), *(padded(translated(t), size, right=True) for t, size in COLUMNS.items())]
    lines = [f"{' '.join(head)}  {translated('languages')}"]
    for name, s in parts.items():
        seconds, languages = s["seconds"], " ".join(s["languages"])
        lines.append(
            f"{padded(name or none, width)} "
            f"{s['utterances']:7} {s['hours']:7.2f} {s['speakers']:8} {seconds['50']:8.1f} "
            f"{seconds['95']:7.1f} {seconds['100']:9.1f} {s['words']:8} {s['vocabulary']:10} {s['without_text']:7}  "
            f"{languages}"
        )
    return lines
