"""What `prune` and `Pruner` share, checked before any work."""

from __future__ import annotations

import fnmatch
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..base.errors import SecateurError, check_known, several
from ..prune.importance import CRITERIA
from ..prune.sensitivity_map import SensitivityMap
from .data import Data
from .patterns import parse


def any_matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is of this name."""
    return any(matches(name, pattern) for pattern in patterns)


def matches(name: str, pattern: str) -> bool:
    """A pattern is of the whole path, of a model in it, or of the last name."""
    parts = name.split("/")
    paths = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    return any(fnmatch.fnmatchcase(one, pattern) for one in (*paths, parts[-1]))


AMOUNT = 0.5  # unless given
MODES = ("shrink", "mask")
ZEROS = "zeros"  # the amount of what is zero already
BUDGETS = ("parameters", "macs", "latency")


@dataclass(frozen=True)
class Options:
    """What `prune` and `Pruner` share; see `prune`."""

    amount: float | str | Mapping[str, float] | None = None
    criterion: str = "magnitude"
    data: Data | None = field(default=None, repr=False)
    only: Sequence[str] = ()
    exclude: Sequence[str] = ()
    protect: float = 0.9
    mode: str = "shrink"
    batch_size: int = 64
    seed: int = 0
    measured: SensitivityMap | str | Path | None = field(default=None, repr=False)
    threshold: float = 0.0
    inputs: bool = False
    round_to: int = 1
    budget: str = "parameters"
    pattern: str = "units"
    refit: bool = False

    def __post_init__(self) -> None:
        for name in ("only", "exclude"):
            object.__setattr__(self, name, tuple(several(name, getattr(self, name))))
        check_known("criterion", self.criterion, CRITERIA)
        if "map" in CRITERIA[self.criterion].needs and self.measured is None:
            raise SecateurError(f"criterion '{self.criterion}' needs measured=..., a map of secateur.keras.sensitivity")
        check_known("mode", self.mode, MODES)
        check_known("budget", self.budget, BUDGETS)
        pattern = parse(self.pattern)
        if self.amount is None and (pattern is None or pattern.kind != "n:m"):
            object.__setattr__(self, "amount", AMOUNT)
        if pattern is not None:
            self._of_units()
        if self.refit and self.data is None:
            raise SecateurError("refit=True looks at what layers read: give data=inputs, or an iterable of batches")
        if isinstance(self.amount, str):
            check_known("amount", self.amount, (ZEROS,))
        elif isinstance(self.amount, float | int) and not 0 <= self.amount < 1:
            raise SecateurError(f"amount must be from 0 to below 1, found {self.amount}")
        if not 0 <= self.protect <= 1:
            raise SecateurError(f"protect is the largest share of a group that goes, 0 to 1, found {self.protect}")
        if self.batch_size < 1:
            raise SecateurError(f"batch_size must be at least 1, found {self.batch_size}")
        self._of_others()
        if isinstance(self.amount, Mapping) and not self.amount:
            raise SecateurError(
                "an empty amount has no effect: name layers or kinds with their shares, such as conv* with 0.3"
            )
        if self.threshold < 0 or self.round_to < 1:
            raise SecateurError(f"threshold >= 0 and round_to >= 1 needed, found {self.threshold} and {self.round_to}")

    def _of_others(self) -> None:
        """Refuse what was given and nothing would read."""
        zeros, several = self.amount == ZEROS, isinstance(self.amount, Mapping)
        if not zeros and self.threshold > 0:
            raise SecateurError("threshold has no effect without amount='zeros': leave it out, or give that amount")
        if zeros and self.criterion != "magnitude":
            raise SecateurError(f"criterion '{self.criterion}' has no effect with amount='zeros': leave it out")
        if self.measured is not None and "map" not in CRITERIA[self.criterion].needs:
            raise SecateurError(
                f"measured has no effect with criterion '{self.criterion}': leave it out, or take 'sensitivity'"
            )
        if self.data is None and self.batch_size != Options.batch_size:
            raise SecateurError("batch_size has no effect without data: leave it out")
        unread = ["protect"] if zeros or several else []
        unread += ["round_to", "refit"] if zeros else []
        unread += ["budget"] if (several or zeros) and self.budget != "latency" else []
        what = "amount='zeros'" if zeros else "an amount by layer"
        for name in unread:
            if getattr(self, name) != getattr(Options, name):
                raise SecateurError(f"{name} has no effect with {what}: leave it out")

    @property
    def looks(self) -> bool:
        """Whether anything looks at data."""
        needs = {"taylor", "signed", "activations"} & {*CRITERIA[self.criterion].needs}
        return bool(needs) or self.refit or self.budget == "latency"

    def check_data(self, model: object) -> None:
        """Say it where nothing looks at the data: only a model without a graph is followed with the help of it."""
        if self.data is not None and not self.looks and getattr(model, "inputs", None):
            what = "amount='zeros'" if self.amount == ZEROS else f"criterion '{self.criterion}'"
            warnings.warn(
                f"data has no effect with {what}: leave it out, or take criterion='taylor', 'signed' or 'wanda', "
                "refit=True or budget='latency'",
                stacklevel=4,
            )

    def _of_units(self) -> None:
        """Refuse what only the removal of whole units reads."""
        for name in ("inputs", "round_to", "budget", "measured", "refit", "protect"):
            if getattr(self, name) != getattr(Options, name, None):
                raise SecateurError(f"{name} is of whole units: pattern '{self.pattern}' does not read it")
