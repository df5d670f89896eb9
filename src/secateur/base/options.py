"""Settings: frozen dataclasses whose fields carry default, unit, range, choices and one sentence of help.

The command line, TOML files, Python keyword arguments, `--help` and the page of settings are made from them. An unknown
key is an error that names the nearest right one; so is a value outside its range, before any work starts.

    @dataclass(frozen=True)
    class Cut(Settings):
        \"\"\"What is removed.\"\"\"

        remove: float = option(0.3, "Remove this share of the values.", unit="share", least=0, most=0.99)
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from .errors import SecateurError, nearest
from .files import at_home
from .option_fields import changed_in, default_of, fields_of, hints_of, in_parts, part_of

T = TypeVar("T")


def option(
    default: object = MISSING, help: str = "", *, unit: str = "", least: float | None = None,  # noqa: A002
    most: float | None = None, above: float | None = None, below: float | None = None, choices: str = "",
    factory: Callable[[], Any] | None = None, positional: bool = False, advanced: bool = False, flat: bool = False,
    was: tuple[str, ...] = (), elsewhere: tuple[str, ...] = (), goes_with: str = "",
    writes: str | Callable[[Any], str] = "",
) -> Any:  # fmt: skip
    """A field of a settings dataclass.

    `help` is one sentence: a verb, the object. `unit` is what a number counts ("s", "share"). `least` and `most` may be
    reached, `above` and `below` may not; of a tuple they bound every value. `choices` names registries, imported when
    needed ("module:attribute", a space between), where a `Literal` cannot list the values. `advanced` options come last
    in `--help`. Those of a `flat` part need no prefix, unless another has the same name. `was` lists earlier names,
    `elsewhere` the names that other programs have for it: the error for one of them gives ours.
    `goes_with` names the field of the class without which this one does nothing. `writes`: see `check_outputs`.
    """
    about = {
        "help": help, "unit": unit, "least": least, "most": most, "above": above, "below": below, "choices": choices,
        "positional": positional, "advanced": advanced, "flat": flat, "was": was, "elsewhere": elsewhere,
        "goes_with": goes_with, "writes": writes,
    }  # fmt: skip
    if factory is not None:
        return field(default_factory=factory, metadata=about)
    return field(default=default, metadata=about)


def same_as(settings: type, name: str) -> Any:
    """The option `name` of another settings class as a field of this one: one default, help, unit and range."""
    one = fields_of(settings)[name]
    return field(default=one.default, metadata=one.metadata)


class Settings:
    """Base of settings dataclasses: values outside what `option` declares are refused at construction.

    Raises:
        SecateurError: a value outside its range, or not among its choices; the message begins with the field's name.
    """

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):  # type: ignore[arg-type]
            problem = _out_of_range(one.metadata, value := getattr(self, one.name))
            if isinstance(value, str | Path) and str(one.type).startswith("tuple"):
                problem = f"takes several, and '{value}' is one: put it into a tuple"
            if problem:
                raise SecateurError(f"{one.name} {problem}")


def _out_of_range(about: Mapping[str, Any], value: object) -> str:
    """What is wrong with a value, or nothing."""
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        least, most, above, below = (about.get(key) for key in ("least", "most", "above", "below"))
        wrong = (
            number != number
            or (least is not None and number < least)
            or (most is not None and number > most)
            or (above is not None and number <= above)
            or (below is not None and number >= below)
        )
        if wrong:
            hint = f"; {number:g} % is {number / 100:g}" if about.get("unit") == "share" and 1 < number <= 100 else ""
            return f"must be {range_of(about)}, found {number:g}{hint}"
    return ""


def range_of(about: Mapping[str, object]) -> str:
    """The range that an option's metadata declares, in words; empty where there is none.

    >>> range_of({"least": 0, "below": 1})
    'at least 0 and below 1'
    """
    words = {"least": "at least", "above": "above", "most": "at most", "below": "below"}
    return " and ".join(f"{word} {about[key]:g}" for key, word in words.items() if about.get(key) is not None)


def choices_of(hint: object, about: Mapping[str, Any]) -> tuple[str, ...]:
    """The values that a field may have, where they can be listed: none of a registry that cannot be imported here."""
    for one in (hint, *typing.get_args(hint)):
        if typing.get_origin(one) is typing.Literal:
            return tuple(map(str, typing.get_args(one)))
    if not about.get("choices"):
        return ()
    try:
        registries = [place.split(":") for place in about["choices"].split()]
        return tuple(dict.fromkeys(n for module, name in registries for n in getattr(import_module(module), name)))
    except ModuleNotFoundError:  # an extra that is not installed
        return ()


def changed_fields(settings: Any) -> list[dataclasses.Field[Any]]:
    """The fields of a settings dataclass that are not at their default."""
    changed = changed_in(settings)
    return [one for one in dataclasses.fields(settings) if one.name in changed]


def from_dict(cls: type[T], values: object, where: str = "config") -> T:
    """Build the dataclass `cls` (nested dataclasses and tuples included) from plain JSON or TOML values.

    Raises:
        SecateurError: an unknown or missing key, a value of the wrong type or out of its range; the message starts with
            `where`.
    """
    if not isinstance(values, dict):
        raise SecateurError(f"{where}: expected a table of keys, found {type(values).__name__}")
    fields, hints = fields_of(cls), hints_of(cls)  # type: ignore[arg-type]
    # The defaults of some depend on what is given.
    values = in_parts(cls, getattr(cls, "prepared", dict)(values), where)
    for name, one in fields.items():
        if name not in values and default_of(one) is MISSING:
            raise SecateurError(f"{where}: missing key '{name}'")
    for key, value in [pair for pair in values.items() if isinstance(pair[1], dict)]:
        moved = next((name for name, one in fields.items() if key in one.metadata.get("was", ())), "")
        if moved and part_of(hints[key]) is None:
            raise SecateurError(f"{where}: the table '{key}' is called '{moved}' now")
        if dataclasses.is_dataclass(own := default_of(fields[key])):
            values[key] = {f.name: getattr(own, f.name) for f in dataclasses.fields(own) if f.init} | value
    ready = {key: convert(hints[key], value, f"{where}: {key}") for key, value in values.items()}
    for key, value in ready.items():
        _check_choice(hints[key], fields[key].metadata, value, f"{where}: {key}")
    try:
        return cls(**ready)
    except (ValueError, SecateurError) as problem:
        raise SecateurError(f"{where}: {problem}") from problem


def _check_choice(hint: object, about: Mapping[str, object], value: object, where: str) -> None:
    """Refuse what is not in the registry that `choices` names."""
    if not about.get("choices") or value in (None, "", ()):
        return
    known = choices_of(hint, about)
    for one in value if isinstance(value, tuple) else (value,):
        if known and one not in known:
            raise SecateurError(f"{where}: '{one}' is not one of {', '.join(known)}{nearest(str(one), known)}")


def to_dict(value: object) -> Any:
    """Plain JSON values of a dataclass (tuples become lists)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [to_dict(v) for v in value]
    if isinstance(value, dict):
        return {k: to_dict(v) for k, v in value.items()}
    return str(value) if isinstance(value, Path) else value


def convert(hint: object, value: object, where: str) -> Any:
    """`value` as the type `hint` says; text (from a command line) is parsed.

    Raises:
        SecateurError: it cannot be read as that type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None or (value in ("none", "None", "") and type(None) in arguments):
            return None
        choices = [a for a in arguments if a is not type(None)]
        for choice in choices[:-1]:
            with contextlib.suppress(SecateurError):
                return convert(choice, value, where)
        try:
            return convert(choices[-1], value, where)
        except SecateurError as problem:
            if len(choices) == 1 or not isinstance(value, str):
                raise
            raise SecateurError(f"{where}: expected {' or '.join(map(_words, choices))}, found '{value}'") from problem
    if origin is typing.Literal:
        if value not in arguments:
            known = ", ".join(map(str, arguments))
            raise SecateurError(f"{where}: '{value}' is not one of {known}{nearest(str(value), map(str, arguments))}")
        return value
    if origin is tuple:
        inner = arguments[0] if arguments else Any
        if isinstance(value, str):
            nothing = inner is str and value in ("none", "None")
            value = [] if nothing else [v.strip() for v in value.split(",") if v.strip()]
        single = isinstance(value, Path | int | float) and not isinstance(value, bool)
        if single and not dataclasses.is_dataclass(inner):
            value = [value]  # one where several may be given
        if not isinstance(value, list | tuple):
            raise SecateurError(f"{where}: expected a list, found '{value}'")
        return tuple(convert(inner, v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if isinstance(value, str):  # a=1,b=2
            pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
            if not all(equals for _, equals, _ in pairs):
                raise SecateurError(f"{where}: expected NAME=VALUE,NAME=VALUE, found '{value}'")
            value = {name.strip(): text.strip() for name, _, text in pairs}
        if not isinstance(value, dict):
            raise SecateurError(f"{where}: expected a table, found '{value}'")
        plain = (type(v) is list and {*map(type, v)} <= {str} for v in value.values())
        if arguments[1] == tuple[str, ...] and all(plain):  # a dictionary of pronunciations has a hundred thousand
            return {k: tuple(v) for k, v in value.items()}
        return {k: convert(arguments[1], v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else from_dict(hint, value, where)
    return _scalar(hint, value, where)


_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


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
    elif hint is str and isinstance(value, str | Path):
        return str(value)
    elif hint is Path and isinstance(value, str | Path):
        return at_home(value)
    elif hint is Any:
        return value
    percent = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    share = f"; {percent[1]} % is {float(percent[1]) / 100:g}" if percent and hint is float else ""
    raise SecateurError(f"{where}: expected {_words(hint)}, found '{value}'{share}")


def _words(hint: Any) -> str:
    """What a plain value should be, for a message."""
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(map(str, typing.get_args(hint)))
    plain = {bool: "yes or no", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    return plain.get(hint) or str(getattr(hint, "__name__", hint))
