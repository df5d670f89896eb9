"""What a graph gives on a trial run, looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.errors import SecateurError


def check_finite(results: Sequence[Any]) -> None:
    """Refuse a graph whose outputs hold NaN or infinity.

    Raises:
        SecateurError: they do.
    """
    if not all(np.isfinite(result).all() for result in results):
        raise SecateurError("the exported graph gives values that are not finite; is the model itself whole?")
