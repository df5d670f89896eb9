"""`secateur models new`: a CTC model to start from, with units of given transcripts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...base.files import Json
from ...base.locale import translated
from ...base.options import Settings, option, same_as
from ...families.ctc.new_settings import NewModel
from ...text.units import Kind

HELP = """Write an untrained CTC model, with units of given transcripts.

The presets conformer, bigru, bilstm, googlenet, googlenet-bigru, digits and, for partial results while somebody
speaks, streaming-conformer and streaming-gru give its sizes; the preset whisper takes the encoder of a Whisper, its
weights kept, under a CTC output.

`secateur train --model FOLDER` and `prune --model FOLDER` go on from it."""
EXAMPLE = "secateur models new whisper --trunk tiny.en --train mine/train.jsonl --out models/tiny-ctc"


@dataclass(frozen=True)
class Options(Settings):
    """What, from which transcripts, and where to."""

    preset: str = option(
        help="Build this preset: conformer, bigru, bilstm, googlenet, googlenet-bigru, digits, streaming-conformer, "
        "streaming-gru, or whisper.",
        positional=True,
    )
    out: Path = option(help="Write the checkpoint into this folder.", writes="folder")
    train: tuple[Path, ...] = option(
        help="Take the units from the transcripts of these manifests (JSONL).", was=("learn",)
    )
    trunk: str = option("", "Take the encoder of this Whisper: a name, folder or file (preset whisper).")
    units: Kind = same_as(NewModel, "units")
    pieces: int = same_as(NewModel, "pieces")
    layers: int | None = same_as(NewModel, "layers")
    width: int | None = same_as(NewModel, "width")
    seed: int = option(0, "Seed the weights.")


def run(options: Options) -> Json:
    """Build and save it.

    Raises:
        SecateurError: no transcripts, no such preset or Whisper, or the folder is taken.
    """
    from ...base.errors import SecateurError
    from ...base.extras import require
    from ...base.files import write_json
    from ...data.manifest import read_manifest

    require("torch", "train")
    from ...families.ctc.new_model import make_new
    from ...models.checkpoint import UNTRAINED, save_checkpoint
    from ...models.family import family_of

    if options.out.exists() and any(options.out.iterdir()):
        raise SecateurError(f"{options.out}: not empty; choose another --out")
    clips = [u for path in options.train for u in read_manifest(path) if u.text]
    if not clips:
        raise SecateurError("no transcripts in --train")
    new = NewModel(options.preset, options.trunk, options.units, options.pieces, options.layers, options.width)
    model, text = make_new(new, [u.text for u in clips], clips[0].language, options.seed)
    save_checkpoint(options.out, model, text)
    write_json(options.out / UNTRAINED, {"preset": options.preset, "seed": options.seed})
    count = family_of(model.config).parameters(model.config)
    return {"folder": str(options.out), "name": model.config.name, "units": model.config.units, "parameters": count}


def show(result: Json) -> str:
    """Folder, name, parameters and units in a line."""
    millions = result["parameters"] / 1e6
    return translated(f"{result['folder']}: {result['name']}, {millions:.2f} M parameters, {result['units']} units")
