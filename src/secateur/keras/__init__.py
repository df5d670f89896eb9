"""Keras 3 on the TensorFlow and torch backends: pruning, sensitivity, a GoogLeNet on MFCC, exports.
small = secateur.keras.prune(model, amount=0.5)
found = secateur.keras.sensitivity(model, Recordings(x, y), words=("yes", "no"))
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .api import prune
from .channels import Flow
from .doctor import doctor
from .layers import Call, register
from .recordings import Recordings
from .schedules import Schedule
from .sensitivity import sensitivity

if TYPE_CHECKING:
    from .callback import Pruner
    from .lasso import GroupLasso

__all__ = [
    "Call",
    "Flow",
    "GroupLasso",
    "Pruner",
    "Recordings",
    "Schedule",
    "doctor",
    "load",
    "prune",
    "register",
    "sensitivity",
]


def load(path: str | Path, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A saved model, with what `prune` made of layers of other classes; not compiled.

    Keras' own `load_model` reads it too where `secateur.keras` was imported after Keras.
    """
    from ..base.extras import require

    keras = require("keras", "keras")
    from . import resized  # noqa: F401 (Keras learns the name)

    return keras.saving.load_model(path, compile=False, custom_objects=custom_objects)


if "keras" in sys.modules:
    from . import resized  # noqa: F401


def __getattr__(name: str) -> Any:
    """`Pruner` and `GroupLasso` are Keras classes: Keras is imported when one is first asked for."""
    if name in ("GroupLasso", "Pruner"):
        from ..base.extras import require

        require("keras", "keras")
        from . import callback, lasso

        return lasso.GroupLasso if name == "GroupLasso" else callback.Pruner
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
