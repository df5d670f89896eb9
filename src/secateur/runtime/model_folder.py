"""Which folder a model's name means: a folder, what is best in a run's folder, a bundled model, a published one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ..base.errors import SecateurError, nearest

BUNDLED = Path(__file__).parent / "bundled"
BEST_FIRST = ("exported/pruned", "pruned", "exported", "adapted", "dense")  # of a run folder


def model_in(folder: Path) -> Path:
    """A model's folder, or the model of a run folder (`adapt`, `prune`): what was exported before what it came from.

    Raises:
        SecateurError: a folder with several models of which none is the run's outcome; the message lists them.
    """
    if (folder / "config.json").exists():
        return folder
    best = next((folder / name for name in BEST_FIRST if (folder / name / "config.json").exists()), None)
    if best is not None:
        return best
    inside = sorted(file.parent.relative_to(folder).as_posix() for file in folder.glob("*/config.json"))
    if len(inside) == 1:
        return folder / inside[0]
    if inside:
        some = ", ".join(inside[:8])
        raise SecateurError(f"{folder}: several models ({some}); name one, such as {folder / inside[0]}")
    return folder


def find_model(model: str | Path | None) -> Path:
    """The folder of a model given by path, bundled name or, with torch, a name such as base, or owner/name; None: the
    first bundled one.

    Raises:
        SecateurError: there is none.
    """
    if model is not None and Path(model).is_dir():
        return model_in(Path(model))
    folders = {file.parent.name: file.parent for file in sorted(BUNDLED.glob("**/config.json"))}
    if model is None:
        if not folders:
            raise SecateurError("no model is bundled with this installation: name a model folder with --model FOLDER")
        return next(iter(folders.values()))
    if str(model) not in folders:
        if find_spec("torch") is not None:
            from ..weights.fetch import REPOSITORY, fetch
            from ..weights.registry import known_models

            if str(model) in known_models() or REPOSITORY.fullmatch(str(model)):
                return fetch(str(model))
        known = f"; bundled: {', '.join(folders)}" if folders else ""
        raise SecateurError(f"{model}: no such model folder{nearest(str(model), folders)}{known}")
    return folders[str(model)]
