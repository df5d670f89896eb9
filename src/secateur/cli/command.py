"""A command is a module: an `Options` dataclass, a `run` function, HELP and EXAMPLE. This turns it into arguments."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from dataclasses import MISSING, Field, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ..base.errors import SecateurError, nearest
from ..base.locale import problem_said, said
from ..base.options import from_dict, read_toml, to_dict


def option(default: Any = MISSING, help: str = "", positional: bool = False) -> Any:  # noqa: A002
    """A dataclass field that is also a command-line argument; `positional` ones need no `--name`."""
    return field(default=default, metadata={"help": help, "positional": positional})


def add_arguments(parser: argparse.ArgumentParser, options: type) -> None:
    """One `--key value` for every field of `options` (booleans also as a bare `--key`), plus --config and --json."""
    hints = typing.get_type_hints(options)
    for f in dataclasses.fields(options):
        text = said(f.metadata.get("help", ""))
        if f.default not in (MISSING, None, (), ""):
            text += problem_said(f" (default: {f.default})")
        text = text.replace("%", "%%")
        if dataclasses.is_dataclass(hints[f.name]):
            own = f.default if dataclasses.is_dataclass(f.default) else None
            _add_part(parser, f.name, typing.cast(type, hints[f.name]), own)
            continue
        many = typing.get_origin(hints[f.name]) is tuple
        if f.metadata.get("positional"):
            # Never required here: --config may give it, and build_options says what is missing after all.
            count = "*" if many else "?"
            parser.add_argument(f.name, nargs=count, default=None, help=text, metavar=f.name.upper())
            continue
        flag = "--" + f.name.replace("_", "-")
        if hints[f.name] is bool:
            parser.add_argument(flag, dest=f.name, nargs="?", const="true", default=None, metavar="yes|no", help=text)
        else:
            parser.add_argument(flag, dest=f.name, default=None, help=text, metavar=f.name.upper())
    from_file = said("options from a TOML file; --key wins")
    parser.add_argument("--config", default=None, metavar="FILE.toml", help=from_file)
    parser.add_argument("--json", action="store_true", help=said("print the result as JSON"))


def _add_part(parser: argparse.ArgumentParser, name: str, part: type, own: Any) -> None:
    """`--train.learning-rate 1e-4` for every plain field of a nested dataclass; the rest is for the TOML file.

    `own` is the command's default of the whole, if it has one.
    """
    hints = typing.get_type_hints(part)
    group = parser.add_argument_group(f"{name} (or a [{name}] table in the TOML file)")
    for f in dataclasses.fields(part):
        plain = typing.get_origin(hints[f.name]) is not dict and not any(
            dataclasses.is_dataclass(h) for h in (hints[f.name], *typing.get_args(hints[f.name]))
        )
        if plain:
            value = f.default if own is None else getattr(own, f.name)
            default = "" if value in (MISSING, None, ()) else f"default: {value}"
            flag = f"--{name}.{f.name.replace('_', '-')}"
            group.add_argument(flag, dest=f"{name}.{f.name}", default=None, help=default, metavar="VALUE")


def build_options(options: type, arguments: argparse.Namespace) -> Any:
    """The dataclass from --config and the command line, which wins.

    Raises:
        SecateurError: an unknown key, a wrong type, a missing value.
    """
    values: dict[str, Any] = {}
    where = "command line"
    if arguments.config:
        where = str(arguments.config)
        values = {key.replace("-", "_"): value for key, value in read_toml(Path(arguments.config)).items()}
    for f in dataclasses.fields(options):
        nested = {
            key.split(".", 1)[1]: value
            for key, value in vars(arguments).items() if key.startswith(f"{f.name}.") and value is not None
        }  # fmt: skip
        if nested or isinstance(values.get(f.name), dict):
            # What is not said stays the command's own default, which may differ from the dataclass's.
            own = to_dict(f.default) if dataclasses.is_dataclass(f.default) else {}
            values[f.name] = {**own, **values.get(f.name, {}), **nested}
        given = getattr(arguments, f.name, None)
        if given not in (None, []):
            values[f.name] = given
        elif f.name not in values and _required(f):
            flag = f.name.upper() if f.metadata.get("positional") else "--" + f.name.replace("_", "-")
            raise SecateurError(f"{flag} is missing; see --help")
    return from_dict(options, values, where)


def _required(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


class Parser(argparse.ArgumentParser):
    """argparse that raises our one-line error instead of printing usage, and knows the nearest right flag."""

    def error(self, message: str) -> typing.NoReturn:
        """Turn argparse's complaint into a `SecateurError`."""
        if message.startswith("unrecognized arguments: "):
            wrong = message.split(": ", 1)[1].split()[0]
            known = [flag for action in self._actions for flag in action.option_strings]
            message = f"unknown option '{wrong}'{nearest(wrong, known)}"
        raise SecateurError(f"{self.prog}: {message}")

    def speak(self) -> None:
        """Put argparse's own words into the user's language."""
        for group in self._action_groups:
            group.title = said(group.title or "")
        for action in self._actions:
            if action.dest == "help":
                action.help = said(action.help or "")

    def parse_all(self, words: list[str]) -> argparse.Namespace:
        """Parse `words`; what is left over is an error of this (sub)parser, which knows its own flags."""
        known, rest = self.parse_known_args(words)
        if rest:
            self.error("unrecognized arguments: " + " ".join(rest))
        return known


def make_parser(module: ModuleType, name: str) -> Parser:
    """The parser of one command module."""
    parser = Parser(
        prog=f"secateur {name}",
        description=said(module.HELP),
        epilog=said("example:") + "\n  " + module.EXAMPLE.strip().replace("\n", "\n  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser, module.Options)
    parser.speak()
    return parser
