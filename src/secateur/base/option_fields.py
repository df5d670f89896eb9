"""What fields a settings class has, what they are called, and which of them given keys mean; and where a job
writes, checked before it works.

`option(writes=...)` says what a path becomes: "folder", or the ending of a file ("." where any will do), or it
is a function of the settings that says so.
"""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from functools import cache
from pathlib import Path
from typing import Any

from .errors import SecateurError, either, nearest
from .remote import url_of

FOLDER = "folder"


def part_of(hint: object) -> type | None:
    """The settings dataclass that a field holds, `X | None` included; None for a plain value."""
    for one in (hint, *typing.get_args(hint)) if typing.get_origin(hint) is not dict else ():
        if isinstance(one, type) and dataclasses.is_dataclass(one):
            return one
    return None


@cache  # from text at every call otherwise, which took most of the time of reading a result file
def hints_of(cls: type) -> Mapping[str, Any]:
    """The types of a dataclass's fields."""
    return types.MappingProxyType(typing.get_type_hints(cls))


@cache
def fields_of(cls: type) -> Mapping[str, dataclasses.Field[Any]]:
    """The fields of a dataclass that it is made with, by name."""
    return types.MappingProxyType({f.name: f for f in dataclasses.fields(cls) if f.init})


def walk(cls: type) -> Iterator[Option]:
    """Every plain option of a settings dataclass, parts included."""
    for one in fields_of(cls).values():
        part = part_of(hint := hints_of(cls)[one.name])
        if part is None:
            yield Option(one.name, one, hint)
            continue
        flat = flat_names(cls, one)
        for inner in walk(part):
            short = inner.path.split(".")[0] in flat
            yield Option(inner.path if short else f"{one.name}.{inner.path}", inner.field, inner.hint)


def flat_names(cls: type, one: dataclasses.Field[Any]) -> frozenset[str]:
    """The fields of a flat part that are called without its name: those that `cls` has not itself."""
    part = part_of(hints_of(cls)[one.name]) if one.metadata.get("flat") else None
    if part is None:
        return frozenset()
    return frozenset(f.name for f in dataclasses.fields(part)) - {f.name for f in dataclasses.fields(cls)}


class Option(typing.NamedTuple):
    """A plain option: how it is called ("training.epochs", "beam"), its field and type."""

    path: str
    field: dataclasses.Field[Any]
    hint: Any


class UnknownKeyError(SecateurError):
    """A key that a settings class does not have; `meant` is the path of the only setting of its parts called so."""

    def __init__(self, message: str, meant: str = "") -> None:
        super().__init__(message)
        self.meant = meant


def default_of(one: dataclasses.Field[Any]) -> Any:
    """A field's default; `MISSING` where it must be given."""
    return one.default_factory() if one.default_factory is not MISSING else one.default


def in_parts(cls: type, values: Mapping[str, object], where: str) -> dict[str, Any]:
    """`values` with the keys of flat parts in their parts.

    Raises:
        SecateurError: a key that `cls` does not have, or one setting that is given twice, by itself and in its part.
    """
    fields, sorted_in = fields_of(cls), dict(values)
    for key in values.keys() - fields.keys():
        for name in [n for n, one in fields.items() if key in flat_names(cls, one)][:1]:
            part = sorted_in.get(name, {})
            inner = as_table(part, f"{where}: {name}")
            if key in (inner if isinstance(part, dict) else changed_in(part)):
                raise SecateurError(f"{where}: '{key}' and '{name}.{key}' are one setting, given twice: leave out one")
            sorted_in[name] = {**inner, key: sorted_in.pop(key)}
    for key in sorted_in:
        if key not in fields:
            raise _unknown_key(cls, key, where)
    return sorted_in


def as_table(part: object, where: str) -> dict[str, Any]:
    """A part of settings, given as a table or as an object, as a new table.

    Raises:
        SecateurError: it is neither.
    """
    if dataclasses.is_dataclass(part):
        return {f.name: getattr(part, f.name) for f in dataclasses.fields(part) if f.init}
    if not isinstance(part, dict):
        raise SecateurError(f"{where}: expected a table of keys, found {type(part).__name__}")
    return dict(part)


def check_keys(cls: type, values: Mapping[str, object], where: str) -> None:
    """Refuse keys that `cls` or its parts do not have.

    Raises:
        SecateurError: the first such key.
    """
    for key, value in in_parts(cls, values, where).items():
        part = part_of(hints_of(cls)[key])
        if part is not None and isinstance(value, dict):
            check_keys(part, value, f"{where}: {key}")


def changed_in(settings: Any) -> set[str]:
    """The names of the fields of a settings dataclass that are not at their default."""
    return {one.name for one in dataclasses.fields(settings) if getattr(settings, one.name) != default_of(one)}


def _unknown_key(cls: type, key: str, where: str) -> UnknownKeyError:
    """The error for a key that `cls` does not have: its new name, the part that has it, or the nearest one."""
    if new := renamed(cls, key):
        return UnknownKeyError(f"{where}: '{key}' is called '{new}' now")
    if ours := called_here(cls, key):
        return UnknownKeyError(f"{where}: unknown key '{key}' (here it is '{ours}')", ours)
    ends = [path for path, names, _ in _spellings(cls) if any(name.rsplit(".", 1)[-1] == key for name in names)]
    known = [*fields_of(cls), *(name for one in fields_of(cls).values() for name in flat_names(cls, one))]
    hint = either(ends) or nearest(key, known)
    return UnknownKeyError(f"{where}: unknown key '{key}'{hint}", ends[0] if len(ends) == 1 else "")


def renamed(cls: type, old: str) -> str:
    """The present path of the option that was called `old` (a path); empty if there is none."""
    return next((path for path, spellings, _ in _spellings(cls) if old in spellings and old != path), "")


def called_here(cls: type, name: str) -> str:
    """The path of the option that other programs call `name` (see `option`); empty if there is none."""
    last = name.rpartition(".")[2]
    return next((path for path, _, one in _spellings(cls) if last in one.metadata.get("elsewhere", ())), "")


def _spellings(cls: type) -> Iterator[tuple[str, list[str], dataclasses.Field[Any]]]:
    """Every field's path, all its names, old ones included, and the field: a part before its fields."""
    for one in dataclasses.fields(cls):
        names = [one.name, *one.metadata.get("was", ())]
        yield one.name, names, one
        part = part_of(hints_of(cls)[one.name])
        if part is None:
            continue
        flat = flat_names(cls, one)
        for path, inner, leaf in _spellings(part):
            short = path.split(".")[0] in flat
            full = [f"{start}.{name}" for start in names for name in inner]
            yield (path, [*inner, *full], leaf) if short else (f"{one.name}.{path}", full, leaf)


def check_outputs(settings: object) -> None:
    """Refuse paths that cannot be written, for every option of `settings` and its parts that `writes` something.

    Raises:
        SecateurError: a folder where a file is written or the reverse, no right to write, or a file that is read, too.
    """
    read = list(_inputs(settings))
    for option, path, writes in _outputs(settings):
        flag = "--" + option.replace("_", "-")
        if url_of(path) is not None:
            continue
        if writes == FOLDER:
            check_folder(path, flag)
            continue
        if path.is_dir():
            example = f"{path / 'NAME'}{writes.rstrip('.')}"
            raise SecateurError(f"{path}: is a folder; name a file with {flag}, such as {example}")
        check_folder(path.parent, flag)
        if any(path.exists() and one.exists() and path.samefile(one) for one in read):
            raise SecateurError(f"{path}: is read, and {flag} would replace it; name another {flag}")


def _outputs(settings: Any) -> Iterator[tuple[str, Path, str]]:
    """The option ("access.log"), path and kind (`folder`, or the ending of a file) of all that is written."""
    for one in dataclasses.fields(settings):
        value, writes = getattr(settings, one.name), one.metadata.get("writes", "")
        if dataclasses.is_dataclass(value):
            flat = flat_names(type(settings), one)
            for inner, path, kind in _outputs(value):
                yield inner if inner.split(".")[0] in flat else f"{one.name}.{inner}", path, kind
        elif writes and isinstance(value, Path) and str(value) != "-":
            yield one.name, value, writes(settings) if callable(writes) else writes


def _inputs(settings: Any) -> Iterator[Path]:
    """Every path that is only read, and the words that a command works on."""
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        for word in value if isinstance(value, tuple) else (value,):
            if not one.metadata.get("writes") and (isinstance(word, Path) or one.metadata.get("positional")):
                yield Path(str(word))


def check_folder(out: Path, flag: str = "--out") -> None:
    """Refuse a folder that cannot be written.

    Raises:
        SecateurError: a file is there, or no right to write.
    """
    for parent in (out, *out.absolute().parents):
        if parent.exists():
            if not parent.is_dir():
                raise SecateurError(f"{parent} is a file, not a folder; name another {flag}")
            if not os.access(parent, os.W_OK | os.X_OK):
                raise SecateurError(f"{out}: cannot write here (no right to write in {parent})")
            return
