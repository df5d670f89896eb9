"""`secateur data label`: a recogniser writes the transcripts of recordings that have none (pseudo-labels)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..command import option

HELP = """Transcribe the clips of a manifest with a model and write them as a manifest to learn from.

A large model teaches a small one so, or one that knows more (Whisper) a CTC model. Clips that already have a transcript
keep it, unless --all; what the model is not sure of is left out. Test clips have no place here."""
EXAMPLE = """secateur data label set/unlabelled.jsonl --model small.en --out set/labelled.jsonl
secateur train --learn set/train.jsonl,set/labelled.jsonl --new.preset conformer --out runs/taught"""

PIECE = 32  # clips a call


@dataclass(frozen=True)
class Options:
    """What is labelled, by whom."""

    manifest: Path = option(help="clips (JSONL)", positional=True)
    out: Path = option(help="the manifest to write")
    model: str = option("tiny.en", help="a name, the bundled model's too, an exported or a checkpoint folder")
    all: bool = option(False, help="also write over transcripts that are there")
    sure: float = option(0.5, help="least confidence (0 to 1) of a clip's transcript")
    threads: int | None = option(None, help="CPU threads")


def run(options: Options) -> dict[str, Any]:
    """Transcribe what needs it, drop what is doubtful, write."""
    from dataclasses import replace

    from ...base.progress import track
    from ...data.manifest import read_manifest, write_manifest
    from ...models.decoding.options import DecodingOptions
    from ...models.weights.fetch import fetch
    from ...serve.recogniser import BUNDLED, Recogniser

    clips = list(read_manifest(options.manifest))
    todo = [u for u in clips if options.all or not u.text]
    here = Path(options.model).is_dir() or (BUNDLED / options.model / "config.json").is_file()
    recogniser = Recogniser.load(options.model if here else fetch(options.model), options.threads)
    told: dict[str, str] = {}
    doubtful = 0
    for start in track(range(0, len(todo), PIECE), "labelling"):
        piece = todo[start : start + PIECE]
        for language in sorted({u.language for u in piece}):
            same = [u for u in piece if u.language == language]
            heard = recogniser.transcribe_batch([u.audio for u in same], DecodingOptions(language=language or None))
            for u, found in zip(same, heard, strict=True):
                if found.text and (found.confidence or 0.0) >= options.sure:
                    told[u.id] = found.text
                else:
                    doubtful += 1
    waiting = {u.id for u in todo}
    kept = [replace(u, text=told.get(u.id, u.text)) for u in clips if u.id in told or u.id not in waiting]
    write_manifest(options.out, kept)
    return {"file": str(options.out), "clips": len(kept), "labelled": len(told), "doubtful": doubtful}


def show(result: dict[str, Any]) -> str:
    """How many."""
    return (
        f"{result['file']}: {result['clips']} clips, {result['labelled']} labelled by the model; "
        f"{result['doubtful']} left out as doubtful"
    )
