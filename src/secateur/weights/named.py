"""What a path is that was named as a model and is none; the published models by name. No torch here."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..base.errors import SecateurError
from ..models.family import Published, families

GGML = b"lmgg"  # how a file for whisper.cpp begins
MOST = 8  # names that are listed


def refuse_written_only(path: Path) -> None:
    """Refuse what `export` writes for other programs and secateur does not read.

    Raises:
        SecateurError: which program it is for.
    """
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(GGML)) == GGML:
                raise SecateurError(
                    f"{path}: a ggml file, for whisper.cpp; secateur only writes these: name the model it was made from"
                )
    elif {one.name for one in path.glob("*")} >= {"model.onnx", "tokens.txt"}:
        raise SecateurError(
            f"{path}: a folder for sherpa-onnx; secateur only writes these: name the model it was made from"
        )


def refuse_absent(path: Path) -> None:
    """Refuse a path that is not there but whose parent is: it is no name on the hub, but a slip.

    Raises:
        SecateurError: with what the parent holds.
    """
    parent = path.parent
    if path.exists() or parent in (Path(), Path(path.anchor)) or not parent.is_dir():
        return
    if (parent / "config.json").is_file():
        raise SecateurError(f"no folder {path}; {parent} is itself a model: name that")
    names = sorted(one.name for one in parent.iterdir() if not one.name.startswith("."))
    some = ", ".join(names[:MOST]) + (", ..." if len(names) > MOST else "")
    raise SecateurError(f"no folder {path}; {parent} is there and holds {some or 'nothing'}")


@cache
def known_models() -> dict[str, Published]:
    """Published checkpoints by name, in the order in which families list them."""
    return {name: model for family in families() for name, model in family.published().items()}
