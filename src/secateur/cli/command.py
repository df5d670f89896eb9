"""A command is a module: an `Options` settings class, `run`, HELP and EXAMPLE. This turns it into arguments."""

from __future__ import annotations

import argparse
import dataclasses
import re
import shutil
import types
import typing
from collections.abc import Collection
from dataclasses import MISSING, Field
from pathlib import Path
from types import ModuleType
from typing import Any

from ..base.errors import SecateurError, either, nearest
from ..base.files import Json, read_toml
from ..base.locale import shown_language, translated
from ..base.option_fields import called_here, check_keys, default_of, flat_names, hints_of, in_parts, part_of, renamed
from ..base.options import choices_of, from_dict, range_of, to_dict
from ..base.progress import say


def add_arguments(parser: argparse.ArgumentParser, options: type) -> None:
    """One `--key value` for every field of `options` and of its parts (`--part.key`), plus --config and --json.

    What is common comes first, then the parts, then what is advanced. The options of a flat part need no prefix.
    """
    later: dict[str, list[_Flag]] = {}
    parts: list[tuple[str, type, bool]] = []

    def split(cls: type, prefix: str, flat: Collection[str] | None = None, inner: str = "") -> list[_Flag]:
        """The common options of `cls`; its parts and advanced options are noted for later.

        Of a flat part (`inner` is its path) only those of `flat` have no prefix.
        """
        hints = hints_of(cls)
        common: list[_Flag] = []
        advanced: list[_Flag] = []
        for one in dataclasses.fields(cls):
            hint, part = hints[one.name], part_of(hints[one.name])
            dest = f"{inner or prefix}{one.name}"
            flag = dest if flat is not None and one.name not in flat else f"{prefix}{one.name}"
            if part is None:
                (advanced if one.metadata.get("advanced") else common).append(_Flag(one, hint, flag, dest))
            elif one.metadata.get("flat"):
                common += split(part, prefix, flat_names(cls, one), f"{dest}.")
            else:
                parts.append((dest, part, type(None) in typing.get_args(hint)))
        if advanced:
            later.setdefault(prefix[:-1], []).extend(advanced)
        return common

    for argument in split(options, ""):
        _add(parser, argument)
    from_file = translated("Read options from a TOML file; --key wins.")
    parser.add_argument("--config", default=None, metavar="FILE.toml", help=from_file)
    parser.add_argument("--json", action="store_true", help=translated("Print the result as JSON."))
    while parts:
        name, part, optional = parts.pop(0)
        group = parser.add_argument_group(f"{name} ([{name}])", translated(_first_sentence(part)))
        if optional:
            flag = "--" + name.replace("_", "-")
            group.add_argument(flag, dest=name, default=None, metavar="none", help=translated("Turn it off with none."))
        for argument in split(part, f"{name}."):
            _add(group, argument)
    for name, arguments in later.items():
        title = translated("advanced options")
        group = parser.add_argument_group(f"{name}: {title}" if name else title)
        for argument in arguments:
            _add(group, argument)


class _Flag(typing.NamedTuple):
    """An option on the command line: its field and type, its flag without dashes, and its path in the settings."""

    field: Field[Any]
    hint: Any
    flag: str
    dest: str


# A sentence begins with a capital; "Park et al. 2019" and "et al. SpecAugment" go on.
_SENTENCE_END = re.compile(r"(?<!\bal)\.\s+(?=[A-Z`])")


def _first_sentence(cls: type) -> str:
    text = " ".join((cls.__doc__ or "").split())
    return _SENTENCE_END.split(text)[0].rstrip(".") + "."


def _add(group: Any, argument: _Flag) -> None:
    one, hint = argument.field, argument.hint
    text = help_of(one, hint).replace("%", "%%")
    if one.metadata.get("positional"):
        # Never required here: --config may give it, and build_options says what is missing after all.
        many = typing.get_origin(hint) is tuple
        shape = "*" if many else "?"
        group.add_argument(one.name, nargs=shape, default=None, help=text, metavar=one.name.upper(), type=_not_empty)
        return
    flag = "--" + argument.flag.replace("_", "-")
    if hint is bool or bool in typing.get_args(hint):
        shape = metavar(one, hint)
        group.add_argument(flag, dest=argument.dest, nargs="?", const="true", default=None, metavar=shape, help=text)
    else:
        # Where nothing means a default of its own, an empty value is a variable of a script that was never set.
        kind = str if default_of(one) not in (None, MISSING) else _not_empty
        action: Any = _Once if typing.get_origin(hint) in (tuple, dict) else "store"
        group.add_argument(
            flag, dest=argument.dest, default=None, action=action, help=text, metavar=metavar(one, hint), type=kind
        )


def _not_empty(word: str) -> str:
    if not word.strip():
        raise argparse.ArgumentTypeError("empty: give a value, or leave it out")
    return word


class _Once(argparse.Action):
    """An option of several values: the last counts, as of any option, and the others are not lost in silence."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Store the values."""
        if getattr(namespace, self.dest) is not None:
            say(f"note: {option_string} is given twice and the last counts: several values take a comma between them")
        setattr(namespace, self.dest, values)


def help_of(one: Field[Any], hint: object) -> str:
    """The sentence, then unit, range and default: `Remove this share of the values. (share from 0; default: 0.3)`."""
    chinese = shown_language() == "zh"
    about = [("，" if chinese else " ").join(map(translated, fact)) for fact in facts_of(one, hint)]
    left, mark, right = ("（", "；", "）") if chinese else (" (", "; ", ")")
    return translated(one.metadata.get("help", "")) + (f"{left}{mark.join(about)}{right}" if about else "")


def facts_of(one: Field[Any], hint: object) -> list[tuple[str, ...]]:
    """Unit and range, choices of a registry and default of an option, each as a few words."""
    about, default = one.metadata, default_of(one)
    facts = [tuple(word for word in (about.get("unit", ""), range_of(about)) if word)]
    if about.get("choices") and choices_of(hint, about):
        facts.append((", ".join(choices_of(hint, about)),))
    if default not in (MISSING, None, (), "", {}):
        facts.append((f"default: {shown(default)}",))
    return [fact for fact in facts if fact]


def shown(value: object) -> str:
    """A default as it is typed.

    >>> shown((0.9, 1.0)), shown(True)
    ('0.9,1.0', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(shown, value))
    if isinstance(value, dict):
        return ",".join(f"{key}={shown(one)}" for key, one in value.items())
    return str(value)


def metavar(one: Field[Any], hint: object) -> str:
    """What `--help` shows for the value: the choices of a `Literal`, or the kind of value."""
    several = [a for a in typing.get_args(hint) if a is not type(None)]
    if typing.get_origin(hint) in (typing.Union, types.UnionType) and len(several) > 1:
        return "|".join(metavar(one, a) for a in several)
    if not one.metadata.get("choices") and choices_of(hint, one.metadata):
        return "|".join(choices_of(hint, one.metadata))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return f"{_kind(arguments[0])},..."
    if origin is dict:
        return f"NAME={_kind(arguments[1])},..."
    return _kind(next((a for a in arguments if a is not type(None)), hint))


def _kind(hint: Any) -> str:
    return {int: "N", float: "NUMBER", Path: "PATH", bool: "yes|no"}.get(hint, "TEXT")


def build_options(options: type, arguments: argparse.Namespace, command: str = "COMMAND") -> Any:
    """The settings from --config and the command line, which wins.

    Raises:
        SecateurError: an unknown key, a wrong type, a value out of its range, a missing value.
    """
    values: Json = {}
    where = "command line"
    if arguments.config:
        where = str(arguments.config)
        values = {key.replace("-", "_"): value for key, value in read_toml(Path(arguments.config)).items()}
        check_keys(options, values, where)
        values = in_parts(options, values, where)  # where the command line finds what it replaces
    names = {f.name for f in dataclasses.fields(options)}
    for path, given in vars(arguments).items():
        name, *rest = path.split(".")
        if given in (None, []) or name not in names:
            continue
        table = values
        for part in [name, *rest][:-1]:
            inner = table.get(part)
            table[part] = to_dict(inner) if isinstance(inner, dict) else {}
            table = table[part]
        table[[name, *rest][-1]] = given
    for one in dataclasses.fields(options):
        if one.name not in values and default_of(one) is MISSING:
            flag = one.name.upper() if one.metadata.get("positional") else "--" + one.name.replace("_", "-")
            raise SecateurError(f"{flag} is missing; see  secateur {command} --help")
    return from_dict(options, values, where)


def hyphens(word: str) -> str:
    """A flag with hyphens, however it was written: Whisper's own command line has underscores.

    >>> hyphens("--max_line_width=42"), hyphens("a_b.wav")
    ('--max-line-width=42', 'a_b.wav')
    """
    flag, equals, value = word.partition("=")
    return flag.replace("_", "-") + equals + value if word.startswith("--") else word


def _nearest_flag(wrong: str, known: list[str]) -> str:
    """The hint for an unknown flag: of a known table (`--training.lr`) by what follows the table's name."""
    table, dot, last = wrong.rpartition(".")
    ends = [flag.removeprefix(table + dot) for flag in known if dot and flag.startswith(table + dot)]
    return nearest(last, ends, table + dot) if ends else nearest(wrong, known)


class Parser(argparse.ArgumentParser):
    """argparse that raises our one-line error instead of printing usage, and knows the nearest right flag."""

    options: type = type(None)

    def error(self, message: str) -> typing.NoReturn:
        """Turn argparse's complaint into a `SecateurError`."""
        if message.startswith("unrecognized arguments: "):
            wrong = message.split(": ", 1)[1].split()[0]
            new = renamed(self.options, wrong.partition("=")[0].lstrip("-").replace("-", "_"))
            if new and wrong.startswith("--"):
                message = f"'{wrong.partition('=')[0]}' is called '--{new.replace('_', '-')}' now"
            else:
                known = [flag for action in self._actions for flag in action.option_strings]
                flag = wrong.partition("=")[0]
                ends = [one for one in known if one.endswith(f".{flag.lstrip('-')}")]
                ours = called_here(self.options, flag.lstrip("-").replace("-", "_")).replace("_", "-")
                near = f" (here it is '--{ours}')" if ours else either(ends) or _nearest_flag(flag, known)
                message = f"unknown option '{wrong}'{near}; see  {self.prog} --help"
            if not wrong.startswith("-"):
                places = [str(action.metavar or action.dest) for action in self._actions if not action.option_strings]
                after = f", and {' '.join(places)} are all that this command takes without one" if places else ""
                message = f"'{wrong}' belongs to no option: values of one option are separated by commas{after}"
            elif not wrong.startswith("--") and Path(wrong).exists():
                message = f"'{wrong}' looks like an option: write ./{wrong}"
        named = re.fullmatch(r"argument (--[\w.-]+): expected one argument", message)
        if named:
            action = self._option_string_actions[named[1]]
            message = f"{named[1]} needs a value ({action.metavar}): {(action.help or '').replace('%%', '%')}"
        raise SecateurError(f"{self.prog}: {message}")

    def translate_titles(self) -> None:
        """Translate argparse's own titles and help into the user's language."""
        for group in self._action_groups:
            group.title = translated(group.title or "")
        for action in self._actions:
            if action.dest == "help":
                action.help = translated(action.help or "")

    def parse_all(self, words: list[str]) -> argparse.Namespace:
        """Parse `words`; what is left over is an error of this (sub)parser, which knows its own flags."""
        known, rest = self.parse_known_args([hyphens(word) for word in words])
        if rest:
            # The first flag among what is left: a word before it may be the value of an unknown one.
            rest.sort(key=lambda word: not word.startswith("--"))
            self.error("unrecognized arguments: " + " ".join(rest))
        return known


def _layout(prog: str) -> argparse.RawDescriptionHelpFormatter:
    """Help beside the flags, where the terminal is wide enough for both (or nobody knows: 100 columns)."""
    columns = shutil.get_terminal_size((100, 24)).columns
    beside = 40 if columns >= 100 else 24
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=beside, width=min(columns, 120) - 2)


def make_parser(module: ModuleType, name: str) -> Parser:
    """The parser of one command module."""
    inputs = [f.name.upper() for f in dataclasses.fields(module.Options) if f.metadata.get("positional")]
    parser = Parser(
        prog=f"secateur {name}",
        usage=" ".join(["secateur", name, *inputs, "[--key value ...]"]),
        description=translated(module.HELP),
        epilog=translated("example:") + "\n  " + module.EXAMPLE.strip().replace("\n", "\n  "),
        formatter_class=_layout,
        allow_abbrev=False,
    )
    parser.options = module.Options
    add_arguments(parser, module.Options)
    parser.translate_titles()
    return parser
