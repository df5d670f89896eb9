"""How much worse an export may be: points of its error rate, and of conditions of real use."""

from __future__ import annotations

import math

from ..base.errors import SecateurError
from ..evaluate.conditions import chosen
from .job import ErrorRateGate


def tolerances(given: float | str) -> tuple[float, dict[str, float]]:
    """Points for the error rate, and for conditions of real use: `0.2,pause=0.5,nonspeech=4`.

    Raises:
        SecateurError: not a number from 0, an unknown condition, or two values for one.

    >>> tolerances("0.3,pause=0.5")
    (0.3, {'pause': 0.5})
    """
    if isinstance(given, float | int):
        return float(given), {}
    points, by_condition = ErrorRateGate.tolerance, dict[str, float]()
    seen: set[str] = set()
    for part in filter(None, (part.strip() for part in given.split(","))):
        name, equals, value = part.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (0 <= number < math.inf):
            raise SecateurError(f"--tolerance takes points, such as 0.2,pause=0.5; found '{part}'")
        if name in seen:
            raise SecateurError(f"--tolerance has two values for {name or 'the error rate'}: leave out one")
        seen.add(name)
        if name == "all":
            raise SecateurError("--tolerance names conditions, or kinds of them, one by one: all is none of them")
        if equals:
            chosen([name])
            by_condition[name] = number
        else:
            points = number
    return points, by_condition
