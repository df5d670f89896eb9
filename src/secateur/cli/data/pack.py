"""`secateur data pack`: a data set as tar archives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...base.files import Json
from ...base.locale import translated
from ...base.options import Settings, option

HELP = """Write a data set as tar archives in WebDataset's convention, for disks that dislike many files.

They are read wherever a manifest is: 'packed/train-{000000..000012}.tar' (in quotes), archives of other programs too.
Audio goes in as it is. A killed run goes on."""
EXAMPLE = """secateur data pack set/train.jsonl --out packed/train
secateur data stats 'packed/train-{000000..000012}.tar'"""


@dataclass(frozen=True)
class Options(Settings):
    """What is packed, and how much of it in one archive."""

    manifest: Path = option(help="Pack this data set: JSONL, or archives.", positional=True)
    out: Path = option(help="Call the archives this: packed/train gives packed/train-000000.tar and so on.", writes=".")
    clips: int = option(1000, "Put this many clips into an archive.", unit="clips", least=1)


def run(options: Options) -> Json:
    """Write the archives that are not there."""
    import dataclasses

    from ...data.pack import pack

    return dataclasses.asdict(pack(options.manifest, options.out, options.clips))


def show(result: Json) -> str:
    """The pattern that the archives are read by."""
    kept = f" ({result['kept']} were there)" if result["kept"] else ""
    return translated(f"{result['pattern']}: {result['clips']} clips in {result['shards']} archives{kept}")
