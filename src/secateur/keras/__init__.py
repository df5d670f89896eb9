"""Keras 3 on the TensorFlow and torch backends: pruning, sensitivity, a GoogLeNet on MFCC, exports.
small = secateur.keras.prune(model, amount=0.5)
found = secateur.keras.sensitivity(model, Recordings(x, y), words=("yes", "no"))
"""

from typing import TYPE_CHECKING, Any

from .api import prune
from .recordings import Recordings
from .sensitivity import sensitivity

if TYPE_CHECKING:
    from .callback import Pruner
    from .lasso import GroupLasso

__all__ = ["GroupLasso", "Pruner", "Recordings", "prune", "sensitivity"]


def __getattr__(name: str) -> Any:
    """`Pruner` and `GroupLasso` are Keras classes: Keras is imported when one is first asked for."""
    if name in ("GroupLasso", "Pruner"):
        from ..base.extras import require

        require("keras", "keras")
        from . import callback, lasso

        return lasso.GroupLasso if name == "GroupLasso" else callback.Pruner
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
