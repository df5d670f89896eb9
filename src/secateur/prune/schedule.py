"""Pruning schedules: the share of the final amount that is removed at `progress` (0 to 1) through the span.

A new schedule is a function under its name in `SCHEDULES`, and a test.
"""

from __future__ import annotations

from collections.abc import Callable

from ..base.plugins import Registry


def one_shot(progress: float) -> float:
    """Everything at once, at the start of the span."""
    return 1.0


def cubic(progress: float) -> float:
    """1 - (1 - t)^3: much early, little late (Zhu and Gupta 2017, arXiv 1710.01878, equation 1).

    >>> cubic(0.5)
    0.875
    """
    return polynomial(progress, 3.0)


def polynomial(progress: float, power: float) -> float:
    """1 - (1 - t)^power: the cubic schedule has the power 3, the linear one 1.

    >>> polynomial(0.5, 2.0)
    0.75
    """
    return 1.0 - float((1.0 - min(max(progress, 0.0), 1.0)) ** power)


def linear(progress: float) -> float:
    """The same amount at every event."""
    return min(max(progress, 0.0), 1.0)


SCHEDULES: Registry[Callable[[float], float]] = Registry(
    "schedules", "schedule", {"one-shot": one_shot, "cubic": cubic, "linear": linear}
)


def moment(step: int, begin: int, end: int, every: int) -> float | None:
    """How far from `begin` to `end` (0 to 1) the pruning event after `step` is; None when there is none.

    All are numbers of steps that are done. There is an event every so many steps from `begin` on, and one at `end`.

    >>> [moment(step, 4, 10, 4) for step in (3, 4, 6, 8, 10, 12)]
    [None, 0.0, None, 0.6666666666666666, 1.0, 1.0]
    """
    if step < begin:
        return None
    if step >= end:
        return 1.0
    return None if (step - begin) % every else (step - begin) / (end - begin)
