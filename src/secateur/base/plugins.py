"""Named parts of the pipeline, our own and those of other packages: imported when they are asked for, not before.

Another package adds a part by an entry point (see `GROUPS`), in its pyproject.toml:

    [project.entry-points."secateur.criteria"]
    mine = "my_package.criteria:mine"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar, cast

from .errors import SecateurError, nearest

T = TypeVar("T")
GROUPS = {
    "families": "a model family: a `models.family.Family`",
    "features": "a kind of features: a `features.front_end.Kind`",
    "criteria": "an importance criterion for units: a `prune.importance.Criterion`",
    "weight_criteria": "an importance criterion for single weights: a `prune.weights.scores.WeightCriterion`",
    "schedules": "a pruning schedule: a function from time to share, both from 0 to 1",
    "methods": "a pruning method: a subclass of `prune.method.Method`",
    "writers": "a format to export to: a `models.family.Writer`",
    "skills": "a module whose functions are skills (`assistant.skill`)",
}


@dataclass(frozen=True)
class Lazy(Generic[T]):
    """An object named by `module:attribute`; calling it imports the module and gives the object."""

    target: str

    def __call__(self) -> T:
        """The object itself.

        Raises:
            ImportError: what the module imports is not installed.
        """
        module, _, attribute = self.target.partition(":")
        return cast(T, getattr(import_module(module), attribute) if attribute else import_module(module))


@cache
def installed(group: str) -> dict[str, str]:
    """Names and targets of the entry points `secateur.GROUP` of all installed packages; nothing is imported."""
    return {point.name: point.value for point in entry_points(group=f"secateur.{group}")}


class Registry(Mapping[str, T]):
    """Parts of one kind by name: our own first, then those of other packages, which cannot replace ours.

    `own` maps names to the parts themselves or to `Lazy` ones. `what` names the kind in errors.
    """

    def __init__(self, group: str, what: str, own: Mapping[str, T | Lazy[T]]) -> None:
        self.group, self.what, self.own = group, what, own

    def __getitem__(self, name: str) -> T:
        """The part `name`.

        Raises:
            KeyError: there is none; `find` says it in a sentence.
            SecateurError: a part of another package that cannot be imported.
        """
        if name in self.own:
            part = self.own[name]
            return part() if isinstance(part, Lazy) else part
        target = installed(self.group)[name]
        try:
            return Lazy[T](target)()
        except Exception as problem:  # whatever another package's module raises when it is imported
            reason = (str(problem).splitlines() or [type(problem).__name__])[0]
            raise SecateurError(
                f"the {self.what} '{name}' of another package ({target}) cannot be loaded: {reason}; repair or remove "
                "that package"
            ) from problem

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from (name for name in installed(self.group) if name not in self.own)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in installed(self.group)

    def find(self, name: str, where: str = "") -> T:
        """The part `name`.

        Raises:
            SecateurError: there is none, with the nearest name and all known ones; or it cannot be loaded.
        """
        if name not in self:
            start = f"{where}: " if where else ""
            raise SecateurError(f"{start}no {self.what} '{name}'{nearest(name, self)} (known: {', '.join(self)})")
        return self[name]
