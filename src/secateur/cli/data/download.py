"""`secateur data download`: public speech sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...base.files import Json
from ...base.locale import translated
from ...base.options import Settings, option

HELP = "Fetch a public speech set, check it, unpack it, write its manifests; without a name, list the sets."
EXAMPLE = """secateur data download
secateur data download mini-librispeech
secateur data download librispeech --parts dev-clean,test-clean --out ~/speech/librispeech
secateur data download aishell --base-url https://mirror.example/openslr/resources"""


@dataclass(frozen=True)
class Options(Settings):
    """Which set, and from where."""

    name: str | None = option(None, "Fetch this set; left out: list those known.", positional=True)
    out: Path | None = option(None, "Unpack into this folder; left out: in the cache.", writes="folder")
    parts: tuple[str, ...] = option((), "Fetch only these parts of a large set.")
    base_url: str | None = option(None, "Fetch from this server, which has the same files.")
    timeout: float = option(30.0, "Wait this long for an answer.", unit="s", above=0)
    keep_archives: bool = option(False, "Keep the archives after unpacking.")


def run(options: Options) -> Json:
    """Download a set, or list all where none is named."""
    from ...data.download import SOURCES, download
    from ...data.manifest import read_manifest

    if options.name is None:
        return {
            name: {
                "title": s.title,
                "licence": s.licence,
                "parts": {part: a.megabytes for part, a in s.parts.items()},
            }
            for name, s in SOURCES.items()
        }
    manifests = download(
        options.name, options.out, options.parts, options.base_url, options.timeout, options.keep_archives
    )
    counts = {split: read_manifest(path) for split, path in manifests.items()}
    return {
        split: {"manifest": str(manifests[split]), "utterances": len(u), "hours": sum(c.duration for c in u) / 3600}
        for split, u in counts.items()
    }


def show(result: Json) -> str:
    """The sets, or the manifests of one."""
    lines = []
    for name, values in result.items():
        if "title" in values:
            parts = values["parts"]
            names = f"; {translated('parts')}: {', '.join(parts)}" if len(parts) > 1 else ""
            title = translated(values["title"])
            lines.append(f"{name:17} {title}, {sum(parts.values())} MB, {values['licence']}{names}")
        else:
            count = f"{values['utterances']} utterances, {values['hours']:.2f} h"
            lines.append(translated(f"{values['manifest']}: {count}"))
    return "\n".join(lines)
