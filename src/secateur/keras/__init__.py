"""Keras 3 on the TensorFlow, torch and JAX backends: pruning, sensitivity, a GoogLeNet on MFCC, exports.
small = secateur.keras.prune(model, amount=0.5)
found = secateur.keras.sensitivity(model, Recordings(x, y), words=("yes", "no"))
"""

import sys
from typing import TYPE_CHECKING, Any

from .api import prune
from .channels import Flow
from .doctor import doctor
from .layers import Call, register
from .recordings import Recordings
from .saved import load
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


if "keras" in sys.modules:
    from . import regraphed  # noqa: F401


def __getattr__(name: str) -> Any:
    """`Pruner` and `GroupLasso` are Keras classes: Keras is imported when one is first asked for."""
    if name in ("GroupLasso", "Pruner"):
        from ..base.extras import require

        require("keras", "keras")
        from . import callback, lasso

        return lasso.GroupLasso if name == "GroupLasso" else callback.Pruner
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
