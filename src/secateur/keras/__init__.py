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

__all__ = ["Pruner", "Recordings", "prune", "sensitivity"]


def __getattr__(name: str) -> Any:
    """`Pruner` is a Keras class: Keras is imported when it is first asked for."""
    if name == "Pruner":
        from ..base.extras import require

        require("keras", "keras")
        from .callback import Pruner

        return Pruner
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
