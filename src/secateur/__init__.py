"""secateur: prune a speech recogniser until it makes fewer mistakes.

    import secateur
    run = secateur.adapt(train="mine/train.jsonl", out="runs/mine", prune__remove=0.3)
    recogniser = secateur.load(run["exported"])
    print(recogniser.transcribe("hello.wav").text)

The jobs (`secateur.api`) are adapt, train, prune, evaluate, compare, sensitivity, export, study, doctor, transcribe and
load; `help(secateur.api.adapt)` lists the settings of each. `load` and `transcribe` need only the base install; what
others need, they say. Bad input is a `secateur.SecateurError`, one line.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from .base.errors import SecateurError
from .base.version import __version__

if TYPE_CHECKING:
    from .api import adapt, compare, doctor, load, transcribe

__all__ = ["SecateurError", "__version__", "adapt", "compare", "doctor", "load", "transcribe"]
_JOBS = ("adapt", "compare", "doctor", "load", "transcribe")
_PACKAGES = ("evaluate", "export", "prune", "sensitivity", "study", "train")  # which can be called, too


def __getattr__(name: str) -> Any:
    if name in _JOBS or name == "api":
        from importlib import import_module

        api = import_module(".api", __name__)
        return api if name == "api" else getattr(api, name)
    if name in _PACKAGES:
        from importlib import import_module

        return import_module(f".{name}", __name__)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, *_PACKAGES, "api"})


if sys.modules.get("transformers") and sys.modules.get("torch"):
    with contextlib.suppress(ImportError):  # a version of transformers that lacks one of the families
        from .families import pruned as _pruned  # noqa: F401  (the Auto classes know pruned models now)
