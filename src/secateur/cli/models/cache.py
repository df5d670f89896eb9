"""`secateur models cache`: what the cache holds, and its removal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ...base.locale import padded, translated
from ...base.options import Settings, option

HELP = """Show the models in the cache, or remove them.

`list` shows size and place; an entry for a local folder, or for the model hub's own cache, refers to it and has no
weights. `clean` removes what is named; with nothing named, what cannot be used any more. The folders that entries refer
to are never touched."""
EXAMPLE = """secateur models cache list
secateur models cache clean small
secateur models cache clean --all"""


@dataclass(frozen=True)
class Options(Settings):
    """What to do, and with which."""

    action: Literal["list", "clean"] = option("list", "List the models, or clean the cache.", positional=True)
    names: tuple[str, ...] = option((), "Remove these: names that `models cache list` shows.", positional=True)
    all: bool = option(False, "Remove every model in the cache.")


def run(options: Options) -> dict[str, Any]:
    """List or remove.

    Raises:
        SecateurError: a name that is not in the cache, or names that nothing is done with.
    """
    from ...base.errors import SecateurError
    from ...weights.cache import clean, entries, models_folder

    if options.action == "list" and (options.names or options.all):
        raise SecateurError("models cache list takes no names and no --all; did you mean  models cache clean")
    if options.names and options.all:
        raise SecateurError("name the models to remove, or give --all")
    removed = clean(options.names, options.all) if options.action == "clean" else None
    shown = entries() if removed is None else removed
    return {
        "folder": str(models_folder()),
        "removed": removed is not None,
        "bytes": sum(entry.bytes for entry in shown),
        "models": [{"name": e.name, "bytes": e.bytes, "refers_to": e.refers_to, "usable": e.usable} for e in shown],
    }


def show(result: dict[str, Any]) -> str:
    """One line a model, and the total."""
    disk = padded(translated("on the disk"), 12, right=True)
    lines = [f"{padded(translated('model'), 40)} {disk}  {translated('weights')}"]
    for entry in result["models"]:
        place = entry["refers_to"] or translated("here")
        state = "" if entry["usable"] else translated(" (gone, changed or not whole)")
        lines.append(f"{entry['name']:40} {entry['bytes'] / 1e6:9.1f} MB  {place}{state}")
    count, size, folder = len(result["models"]), f"{result['bytes'] / 1e6:.1f} MB", result["folder"]
    line = (
        f"{count} models, {size} removed from {folder}" if result["removed"] else f"{count} models, {size} in {folder}"
    )
    lines.append(translated(line))
    return "\n".join(lines)
