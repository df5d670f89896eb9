"""`secateur models fetch`: a checkpoint into the cache, or into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..command import option

HELP = "Fetch a checkpoint: by name, from a folder or file in another format, or owner/name on the model hub."
EXAMPLE = "secateur models fetch tiny.en --out models/tiny.en"


@dataclass(frozen=True)
class Options:
    """Which, and where to."""

    model: str = option(help="a name of `models list`, a folder, a .pt file, or owner/name", positional=True)
    out: Path | None = option(None, help="also copy the checkpoint to this folder")


def run(options: Options) -> dict[str, Any]:
    """Fetch, and copy on request."""
    from ...models.checkpoint import load_checkpoint, save_checkpoint
    from ...models.weights.fetch import fetch

    folder = fetch(options.model)
    if options.out is not None:
        model, tokenizer = load_checkpoint(folder)
        folder = save_checkpoint(options.out, model, tokenizer, half=True)
    return {"model": options.model, "folder": str(folder)}


def show(result: dict[str, Any]) -> str:
    """Where it is."""
    return str(result["folder"])
