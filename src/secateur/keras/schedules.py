"""When how much is removed while a Keras model learns: spans in steps or in shares of all steps, by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..base.errors import SecateurError, check_known
from ..prune.schedule import SCHEDULES, moment, polynomial

POLYNOMIAL = ("cubic", "polynomial")  # kinds that a power changes


@dataclass(frozen=True)
class Schedule:
    """The share of the final amount that is removed after each step.

    `begin` and `end` are shares of all steps from 0 to 1, or numbers of steps above that (Schedule(begin=100, end=900)
    removes from the 100th to the 900th). A polynomial schedule with `power` removes 1 - (1 - t)^power at the share t of
    the span: 3 is the cubic one (Zhu and Gupta 2017, arXiv 1710.01878), 1 the linear one.

    Raises:
        SecateurError: a kind that is not known, a span or power that cannot be.
    """

    kind: str = "cubic"  # polynomial, or one of `secateur.prune.schedule`
    power: float | None = None
    begin: float = 0.1
    end: float = 0.7
    every: int = 16  # steps between two looks at the units

    def __post_init__(self) -> None:
        check_known("schedule", self.kind, [*SCHEDULES, "polynomial"])
        steps = self.begin > 1, self.end > 1
        if min(self.begin, self.end, self.every - 1) < 0 or (steps[0] == steps[1] and self.begin > self.end):
            raise SecateurError(
                f"pruning needs 0 <= begin <= end, both shares of all steps up to 1 or both steps, and every >= 1, "
                f"found begin {self.begin:g}, end {self.end:g}, every {self.every}"
            )
        if self.power is not None and (self.kind not in POLYNOMIAL or self.power <= 0):
            raise SecateurError(
                f"power > 0 is of the schedules {' and '.join(POLYNOMIAL)}, found {self.power:g} of '{self.kind}'"
            )

    @property
    def in_steps(self) -> bool:
        """Whether the span needs no number of all steps."""
        return all(value > 1 or value == 0 for value in (self.begin, self.end))

    def span(self, total: int) -> tuple[int, int]:
        """First and last step of removal, of `total`."""
        begin, end = (round(value if value > 1 else value * total) for value in (self.begin, self.end))
        return begin, max(end, begin, 1)

    def progress(self, step: int, total: int) -> float | None:
        """How far from begin to end the event after `step` is, 0 to 1; None without one."""
        return moment(step, *self.span(total), self.every)

    def share(self, progress: float) -> float:
        """Of the final amount, at this progress."""
        if self.kind in POLYNOMIAL:
            return polynomial(progress, 3.0 if self.power is None else self.power)
        return SCHEDULES[self.kind](progress)


class Timetable:
    """One schedule for all layers, or several by pattern of their names; the later pattern wins."""

    def __init__(self, schedules: Mapping[str, Schedule]) -> None:
        self.schedules = schedules
        self.shares = dict.fromkeys(schedules, 0.0)
        self.finished: set[str] = set()

    def advance(self, step: int, total: int) -> bool:
        """Whether there is an event after this step; `shares` are those from then on."""
        event = False
        for name, schedule in self.schedules.items():
            progress = None if name in self.finished else schedule.progress(step, total)
            if progress is None:
                continue
            event, self.shares[name] = True, schedule.share(progress)
            if progress == 1.0 or schedule.kind == "one-shot":
                self.finished.add(name)
        return event

    @property
    def done(self) -> bool:
        """Whether everything that will be removed is."""
        return len(self.finished) == len(self.schedules)

    def last(self, total: int) -> int:
        """The step at which the last removal ends."""
        return max(schedule.span(total)[1] for schedule in self.schedules.values())

    @property
    def in_steps(self) -> bool:
        """Whether no span needs the number of all steps."""
        return all(schedule.in_steps for schedule in self.schedules.values())
