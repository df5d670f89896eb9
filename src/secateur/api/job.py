"""What makes a function a job: it takes its settings, or keyword arguments that fill them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.option_fields import UnknownKeyError, as_table, changed_in, check_outputs, default_of
from ..base.options import from_dict
from ..base.plugins import plugins_blamed

S = TypeVar("S")
R = TypeVar("R")
BY_POSITION, BY_NAME = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY


class Job(Generic[S, R]):
    """A callable job. `adapt(AdaptSettings(...))` and `adapt(train="a.jsonl", out="runs/a", prune__remove=0.2)` are the
    same; parts are settings objects, dicts, or single keys with two underscores.

    Raises:
        SecateurError: an unknown key (with the nearest), a wrong type, a value out of its range, a missing one.
        PluginError: a part of another package failed.
    """

    def __init__(self, settings: type[S], run: Callable[[S], R]) -> None:
        functools.update_wrapper(self, run)
        self.settings, self.run, self.name = settings, run, run.__name__
        self.__signature__ = _signature(settings)

    def __call__(self, *inputs: object, **options: object) -> R:
        """Run the job."""
        if len(inputs) == 1 and isinstance(inputs[0], self.settings) and not options:
            settings = inputs[0]
        else:
            settings = settings_of(self.settings, self.name, inputs, options)
        check_outputs(settings)
        with plugins_blamed():
            return self.run(settings)


def job(settings: type[S]) -> Callable[[Callable[[S], R]], Job[S, R]]:
    """Decorate a function of one settings object."""
    return lambda run: Job(settings, run)


def settings_of(cls: type[S], name: str, inputs: Sequence[object], options: Mapping[str, object]) -> S:
    """The settings that a call of the job `name` means.

    Raises:
        SecateurError: see `Job`.
    """
    values: Json = {}
    named = [f for f in dataclasses.fields(cls) if f.metadata.get("positional")]  # type: ignore[arg-type]
    if named and len(inputs) >= len(named) and str(named[-1].type).startswith("tuple"):
        first, last = inputs[: len(named) - 1], inputs[len(named) - 1 :]
        inputs = [*first, last[0] if len(last) == 1 and isinstance(last[0], list | tuple) else tuple(last)]
    if len(inputs) > len(named):
        rest = [f.name for f in dataclasses.fields(cls) if not f.metadata.get("positional")]  # type: ignore[arg-type]
        hint = f": name the others, such as {'out' if 'out' in rest else rest[0]}=..." if rest else ""
        raise SecateurError(f"{name}: takes {len(named)} values without a name, found {len(inputs)}{hint}")
    values |= {f.name: given for f, given in zip(named, inputs, strict=False)}
    wholes: dict[str, Any] = {}  # parts that were given as settings objects, which hold defaults, too
    split = [(key, key.replace(".", "__").split("__"), value) for key, value in options.items()]
    for key, (*parts, last), value in sorted(split, key=lambda one: len(one[1])):  # parts before their settings
        table, path = values, ""
        for part in parts:
            inner, path = table.get(part, {}), f"{path}{part}."
            if dataclasses.is_dataclass(inner):
                wholes[path] = inner
            elif not isinstance(inner, dict):
                raise SecateurError(f"{name}: {key}: '{part}' is no group of settings")
            table[part] = as_table(inner, name)
            table = table[part]
        if last in table and (path not in wholes or last in changed_in(wholes[path])):
            raise SecateurError(f"{name}: {path}{last} is given twice in this call: leave out one")
        table[last] = value
    try:
        return from_dict(cls, values, name)
    except UnknownKeyError as problem:
        if "." not in problem.meant:
            raise
        raise SecateurError(f"{problem}, in a call {problem.meant.replace('.', '__')}=...") from problem


def _signature(cls: type) -> inspect.Signature:
    """What `help` shows: positional inputs, then keywords with their defaults."""
    parameters = []
    for one in dataclasses.fields(cls):
        default = default_of(one)
        default = inspect.Parameter.empty if default is dataclasses.MISSING else default
        kind = BY_POSITION if one.metadata.get("positional") else BY_NAME
        parameters.append(inspect.Parameter(one.name, kind, default=default, annotation=one.type))
    parameters.sort(key=lambda p: (p.kind == BY_NAME, p.default is not inspect.Parameter.empty))
    return inspect.Signature(parameters)
