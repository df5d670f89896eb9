"""`secateur data export`: a manifest in another toolkit's form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...base.files import Json
from ...base.locale import translated
from ...base.options import Settings, option

HELP = """Write a data set for another toolkit: NeMo, lhotse, Hugging Face's audiofolder, Kaldi.

Audio stays where it is, except in an audiofolder, which holds all of it, and what only we read (members of archives,
URLs, single channels). An audiofolder has the split that the manifest is called after (train, dev, test).
`secateur data prepare` reads each of these forms back: ids, texts, speakers and times are the same."""
EXAMPLE = """secateur data export set/train.jsonl --to nemo --out nemo/train_manifest.json
secateur data export set/train.jsonl --to kaldi --out kaldi/data/train
secateur data export set/train.jsonl --to audiofolder --out hf/train
secateur data export 'packed/train-{000000..000012}.tar' --to lhotse --out lhotse/train"""


@dataclass(frozen=True)
class Options(Settings):
    """What is written, and how."""

    manifest: Path = option(help="Write this data set: JSONL, or archives.", positional=True)
    to: Literal["nemo", "lhotse", "audiofolder", "kaldi"] = option(help="Write it in this form.")
    out: Path = option(
        help="Write into this folder (for nemo: this manifest).",
        writes=lambda options: ".jsonl" if options.to == "nemo" else "folder",
    )


def run(options: Options) -> Json:
    """Write the set in the format of another toolkit."""
    from ...data.exports import export
    from ...data.manifest import iter_manifest

    exported = export(iter_manifest(options.manifest), options.to, options.out, options.manifest.stem)
    return {
        "form": options.to,
        "clips": exported.clips,
        "audio": exported.audio,
        "files": [str(path) for path in exported.files],
    }


def show(result: Json) -> str:
    """The files of the export."""
    audio = translated(f"{result['audio']} audio files written; ") if result["audio"] else ""
    return (
        translated(f"{result['clips']} clips exported for {result['form']}") + f": {audio}{', '.join(result['files'])}"
    )
