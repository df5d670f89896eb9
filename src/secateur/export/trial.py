"""The check of a graph's outputs in a trial run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import SecateurError


def check_finite(results: Sequence[ArrayLike]) -> None:
    """Refuse a graph whose outputs hold NaN or infinity.

    Raises:
        SecateurError: there are such values.
    """
    if not all(np.isfinite(result).all() for result in results):
        raise SecateurError("the exported graph gives values that are not finite; are the model's own weights finite?")
