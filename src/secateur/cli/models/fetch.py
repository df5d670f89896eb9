"""`secateur models fetch`: a checkpoint into the cache, or into a folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ...base.files import Json
from ...base.options import Settings, option

HELP = "Fetch a checkpoint: by name, from a folder or file in another format, or owner/name on the model hub."
EXAMPLE = "secateur models fetch tiny.en --out models/tiny.en"


@dataclass(frozen=True)
class Options(Settings):
    """Which, and where to."""

    model: str = option(
        help="Fetch this: a name of `models list`, a folder, a .pt file, or owner/name.", positional=True
    )
    out: Path | None = option(None, "Also copy the checkpoint to this folder.", writes="folder")


def run(options: Options) -> Json:
    """Fetch, and copy on request.

    Raises:
        SecateurError: no source gave it, or `out` holds something that is not a checkpoint.
    """
    from ...base.errors import SecateurError
    from ...base.extras import require
    from ...base.files import atomic_path
    from ...models.family import families
    from ...weights.cache import CHECKPOINT_FILES, is_checkpoint

    require("torch", "train")
    from ...models.checkpoint import as_stored, load_checkpoint
    from ...models.reference import is_reference
    from ...weights.fetch import fetch, save_as_stored

    out = options.out
    if out is not None and out.exists() and not (out.is_dir() and (is_checkpoint(out) or not any(out.iterdir()))):
        raise SecateurError(f"{out}: not empty, and not a checkpoint that could be replaced; choose another --out")
    folder = fetch(options.model)
    if out is not None and out.resolve() != folder.resolve():
        if is_reference(folder):
            with as_stored():
                save_as_stored(out, *load_checkpoint(folder))
            return {"model": options.model, "folder": str(out)}
        texts = {family.text_file for family in families()}
        for name in (*CHECKPOINT_FILES, *(name for name in sorted(texts) if (folder / name).is_file())):
            with atomic_path(out / name) as temporary:
                shutil.copyfile(folder / name, temporary)
        folder = out
    return {"model": options.model, "folder": str(folder)}


def show(result: Json) -> str:
    """The folder of the fetched model."""
    return str(result["folder"])
