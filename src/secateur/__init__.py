"""secateur: prune a speech recogniser until it makes fewer mistakes.

    import secateur
    run = secateur.adapt("tiny.en", learn="mine/train.jsonl", out="runs/mine", remove=0.3)
    recogniser = secateur.load(run["exported"])
    print(recogniser.transcribe("hello.wav").text)

`load` needs only the base install; `adapt` needs `pip install 'secateur[train]'`.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base.version import __version__

if TYPE_CHECKING:
    from .runtime.recogniser import Recogniser

__all__ = ["__version__", "adapt", "load"]


def load(model: str | Path | None = None) -> Recogniser:
    """A recogniser from an exported or checkpoint folder, or by bundled name; None is the bundled model.

    Raises:
        SecateurError: no such model, or a damaged one.
    """
    from .runtime.recogniser import Recogniser

    return Recogniser.load(model)


def adapt(
    model: str | Path = "tiny.en", *, learn: str | Path, out: str | Path, dev: str | Path | None = None,
    test: str | Path | None = None, retain: str | Path | None = None, remove: float = 0.3, precision: str = "int8",
    **train: Any,
) -> dict[str, Any]:  # fmt: skip
    """The main job, as `secateur adapt` does it; `train` are fields of `TrainSettings` (epochs=9, learning_rate=3e-5).

    Returns the before/after table, with `exported` (the model folder) and `report` (the page).

    Raises:
        SecateurError: anything a user can get wrong, in one line.
    """
    from .base.options import from_dict
    from .cli.adapt import Options, run

    def paths(one: str | Path | None) -> list[str]:
        return [] if one is None else [str(one)]

    options = {
        "model": str(model), "learn": paths(learn), "dev": paths(dev), "test": paths(test), "retain": paths(retain),
        "out": str(out), "precision": precision, "prune": {"remove": remove}, "train": train,
    }  # fmt: skip
    return run(from_dict(Options, options, "adapt"))


if sys.modules.get("transformers") and sys.modules.get("torch"):
    with contextlib.suppress(ImportError):  # a version of transformers that lacks one of the families
        from .families import pruned as _pruned  # noqa: F401  (the Auto classes know pruned models now)
