"""Named parts of the pipeline, our own and those of other packages: imported when they are asked for, not before.

Another package adds a part by an entry point (see `GROUPS`), in its pyproject.toml:

    [project.entry-points."secateur.criteria"]
    mine = "my_package.criteria:mine"

What goes wrong inside such a part is blamed on it (`plugins_blamed`).
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import FrameType
from typing import Any, Generic, TypeVar, cast

from .errors import SecateurError, nearest
from .progress import out_of_memory

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
WORDS = {
    "families": "family", "features": "kind of features", "criteria": "criterion",
    "weight_criteria": "criterion for single weights", "schedules": "schedule", "methods": "pruning method",
    "writers": "export format", "skills": "module of skills",
}  # fmt: skip


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


class PluginError(SecateurError):
    """A fault of another package's code: what it raised is the cause. The CLI shows both and exits with 1."""


@contextlib.contextmanager
def plugins_blamed() -> Iterator[None]:
    """What another package's part raises inside the block becomes a line that names both.

    Raises:
        PluginError: from whatever was raised, unless that is a `SecateurError`.
    """
    try:
        yield
    except SecateurError:
        raise
    except Exception as problem:
        frames = [] if out_of_memory(problem) else _frames(problem)
        if not frames:
            raise
        frame, line = frames[-1]
        reason = (str(problem).splitlines() or [""])[0]
        raised = type(problem).__name__ + (f": {reason}" if reason else "")
        where = f"{frame.f_globals['__name__']}, line {line}, in {frame.f_code.co_qualname}"
        raise PluginError(f"{_part(frames)} raised {raised} ({where}): this is for its authors to repair") from problem


def named(part: object, group: str) -> str:
    """A part as a message names it, with its package if it is another's; empty if no package has it."""
    for point in entry_points(group=f"secateur.{group}"):
        if _loaded(point) is part:
            return _named(group, point)
    return ""


def shape_of(value: object) -> str:
    """What came in place of an array, in words: its shape, or its type.

    >>> shape_of([0.5])
    'a list'
    """
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" if shape is None else f"scores of the shape {tuple(shape)}"


def _named(group: str, point: EntryPoint) -> str:
    return f"the {WORDS[group]} '{point.name}' of the package {_package(point)}"


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else _root(point.module)


def _root(module: str) -> str:
    return module.partition(".")[0]


def _points() -> list[tuple[str, EntryPoint]]:
    points = [(group, point) for group in GROUPS for point in entry_points(group=f"secateur.{group}")]
    return [(group, point) for group, point in points if _root(point.module) != "secateur"]


def _frames(problem: Exception) -> list[tuple[FrameType, int]]:
    """The frames of other packages' code that an exception passed, from the first call on, with their lines."""
    roots = {_root(point.module) for _, point in _points()}
    passed = traceback.walk_tb(problem.__traceback__)
    return [(frame, line) for frame, line in passed if _root(frame.f_globals.get("__name__", "")) in roots]


def _part(frames: list[tuple[FrameType, int]]) -> str:
    """The part whose code the frames are of, or only its package."""
    points = [(g, p) for g, p in _points() if _root(p.module) == _root(frames[-1][0].f_globals["__name__"])]
    for frame, _ in frames:
        for group, point in points:
            if point.module == frame.f_globals["__name__"] and _is_code_of(frame.f_code.co_qualname, _loaded(point)):
                return _named(group, point)
    return _named(*points[0]) if len(points) == 1 else f"a part of the package {_package(points[0][1])}"


def _loaded(point: EntryPoint) -> Any:
    """What an entry point names, if its module is imported."""
    module = sys.modules.get(point.module)
    return getattr(module, point.attr, None) if point.attr else module


def _is_code_of(name: str, part: object) -> bool:
    """Whether the function called `name` in full belongs to a part of the same module."""
    if isinstance(part, type(sys)):
        return True
    code = getattr(part, "score", part)  # of a criterion
    own = getattr(code, "__qualname__", type(code).__qualname__)
    return name == own or name.startswith(f"{own}.")
