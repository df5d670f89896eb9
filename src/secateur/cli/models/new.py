"""`secateur models new`: a CTC model to start from, with units of given transcripts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...base.options import option
from ...text.units import Kind

HELP = """Write an untrained CTC model: a preset's sizes (conformer, bigru, bilstm, googlenet, googlenet-bigru,
digits), or with the preset whisper the encoder of a Whisper, its weights kept, under a CTC output; units are those of
the transcripts.

`secateur train --model FOLDER` and `prune --model FOLDER` go on from it."""
EXAMPLE = "secateur models new whisper --trunk tiny.en --train mine/train.jsonl --out models/tiny-ctc"


@dataclass(frozen=True)
class Options:
    """What, from which transcripts, and where to."""

    preset: str = option(
        help="conformer, bigru, bilstm, googlenet, googlenet-bigru, digits, or whisper", positional=True
    )
    out: Path = option(help="folder for the checkpoint")
    train: tuple[Path, ...] = option(
        help="Take the units from the transcripts of these manifests (JSONL).", was=("learn",)
    )
    trunk: str = option("", help="preset whisper: a name, folder or file of the Whisper whose encoder hears")
    units: Kind = option("characters", help="characters, phones, pieces or pinyin")
    pieces: int = option(256, help="with --units pieces: how many")
    layers: int | None = option(None, help="layers or blocks, when not the preset's")
    width: int | None = option(None, help="of a layer or branch, when not the preset's")
    seed: int = option(0, help="of what is drawn")


def run(options: Options) -> dict[str, Any]:
    """Build and save it.

    Raises:
        SecateurError: no transcripts, no such preset or Whisper, or the folder is taken.
    """
    from ...base.errors import SecateurError
    from ...base.extras import require
    from ...data.manifest import read_manifest

    require("torch", "train")
    from ...families.ctc.new_model import NewModel, make_new
    from ...models.checkpoint import save_checkpoint
    from ...models.family import family_of

    if options.out.exists() and any(options.out.iterdir()):
        raise SecateurError(f"{options.out}: not empty; choose another --out")
    clips = [u for path in options.train for u in read_manifest(path) if u.text]
    if not clips:
        raise SecateurError("no transcripts in --train")
    new = NewModel(options.preset, options.trunk, options.units, options.pieces, options.layers, options.width)
    model, text = make_new(new, [u.text for u in clips], clips[0].language, options.seed)
    save_checkpoint(options.out, model, text)
    count = family_of(model.config).parameters(model.config)
    return {"folder": str(options.out), "name": model.config.name, "units": model.config.units, "parameters": count}


def show(result: dict[str, Any]) -> str:
    """A line."""
    millions = result["parameters"] / 1e6
    return f"{result['folder']}: {result['name']}, {millions:.2f} M parameters, {result['units']} units"
