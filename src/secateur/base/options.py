"""Frozen dataclasses from JSON or TOML: an unknown key is an error that names the nearest right one."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from .errors import SecateurError, nearest
from .files import at_home, read_limited

MOST_TOML = 16 << 20  # bytes; people write these by hand

T = TypeVar("T")


def from_dict(cls: type[T], values: Any, where: str = "config") -> T:
    """Build the dataclass `cls` (nested dataclasses and tuples included) from plain JSON or TOML values.

    Raises:
        SecateurError: an unknown or missing key, or a value of the wrong type; the message starts with `where`.
    """
    if not isinstance(values, dict):
        raise SecateurError(f"{where}: expected a table of keys, found {type(values).__name__}")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise SecateurError(f"{where}: unknown key '{key}'{nearest(key, fields)}")
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise SecateurError(f"{where}: missing key '{name}'")
    ready = {key: convert(hints[key], value, f"{where}: {key}") for key, value in values.items()}
    try:
        return cls(**ready)
    except ValueError as problem:
        raise SecateurError(f"{where}: {problem}") from problem


def to_dict(value: Any) -> Any:
    """Plain JSON values of a dataclass (tuples become lists)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [to_dict(v) for v in value]
    if isinstance(value, dict):
        return {k: to_dict(v) for k, v in value.items()}
    if isinstance(value, Path):
        return str(value)
    return value


def convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint` says; text (from a command line) is parsed.

    Raises:
        SecateurError: it cannot be read as that type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None or (value in ("none", "None", "") and type(None) in arguments):
            return None
        last: SecateurError | None = None
        for choice in (a for a in arguments if a is not type(None)):
            try:
                return convert(choice, value, where)
            except SecateurError as problem:
                last = problem
        raise last or SecateurError(f"{where}: no value given")
    if origin is typing.Literal:
        if value not in arguments:
            known = ", ".join(map(str, arguments))
            raise SecateurError(f"{where}: '{value}' is not one of {known}{nearest(str(value), map(str, arguments))}")
        return value
    if origin is tuple:
        if isinstance(value, str):
            value = [v.strip() for v in value.split(",") if v.strip()]
        if not isinstance(value, list | tuple):
            raise SecateurError(f"{where}: expected a list, found '{value}'")
        inner = arguments[0] if arguments else Any
        return tuple(convert(inner, v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise SecateurError(f"{where}: expected a table, found '{value}'")
        return {k: convert(arguments[1], v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else from_dict(hint, value, where)
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is bool:
        truth = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in truth:
            return truth[value.lower()]
    elif hint in (int, float) and not isinstance(value, bool):
        try:
            number = hint(value)
        except (TypeError, ValueError, OverflowError):  # overflow: an infinity as int, a huge int as float
            number = None
        if hint is int and number is not None and abs(number) >= 2**63:
            number = None  # no size, no seed and no count; what computes with it takes 64 bits
        if number is not None and (hint is float or not isinstance(value, float) or value == number):
            return number
    elif hint is str and isinstance(value, str):
        return value
    elif hint is Path and isinstance(value, str | Path):
        return at_home(value)
    elif hint is Any:
        return value
    raise SecateurError(f"{where}: expected {getattr(hint, '__name__', hint)}, found '{value}'")


def read_toml(path: str | Path) -> dict[str, Any]:
    """The table in a TOML file.

    Raises:
        SecateurError: missing, unreadable or not TOML.
    """
    path = Path(path)
    try:
        return tomllib.loads(read_limited(path, MOST_TOML).decode().replace("\r\n", "\n"))
    except ValueError as problem:  # also what is not UTF-8, and numbers of too many digits
        raise SecateurError(f"{path}: not valid TOML ({problem})") from problem
    except RecursionError:
        raise SecateurError(f"{path}: not valid TOML (nested too deep)") from None
