"""docs/commands.md from the commands, and docs/formats.md from the classes whose fields files have.

`tools/make_settings.py` writes them, beside docs/settings.md.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import re
import sys
import tokenize
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import make_settings

from secateur.api import JOBS
from secateur.cli import COMMANDS
from secateur.data.manifest import Utterance
from secateur.evaluate.result import ROW_COLUMNS, Result
from secateur.families.ctc.config import CtcConfig
from secateur.families.moonshine.config import MoonshineConfig
from secateur.families.parakeet.config import ParakeetConfig
from secateur.families.transformers_ctc.config import HfCtcConfig
from secateur.families.whisper.config import WhisperConfig
from secateur.prune.sensitivity_map import SensitivityMap
from secateur.runtime.contents import Contents

DOCS = Path(__file__).resolve().parent.parent / "docs"
COMMANDS_HEAD = """# Commands

<!-- tools/make_settings.py writes this page from the commands; edit them. -->

What each command takes; `secateur COMMAND --help` prints the same. An option is `--name VALUE` (dashes for
underscores), a name in capitals stands without dashes. All take `--config FILE.toml` and `--json`. In a line each:
[the tour](tour.md).
"""
FORMATS_HEAD = """# Formats

<!-- tools/make_settings.py writes this page from the classes; edit them. -->

The fields of files that `secateur` reads and writes. An unknown key is an error that names the nearest right one.
Nothing is pickled. TOML files (`--config`, studies) have the [settings](settings.md) as keys; grammars:
[plug-ins](guides/plug-ins.md).
"""
WORDS = {
    "str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Path": "path", "Any": "anything",
}  # fmt: skip
# Heading, what the file is, the classes of its fields.
FORMATS: tuple[tuple[str, str, tuple[type, ...]], ...] = (
    (
        "Manifest",
        "JSON lines, one clip each. `audio` is relative to the manifest; fields that are not listed are kept.",
        (Utterance,),
    ),
    (
        "Checkpoint",
        "A folder: `config.json`, `model.safetensors` and a tokenizer (`tokenizer.json`; of CTC models `units.json`). "
        "The config has every width of every layer; which class it is goes by its `family`.",
        (WhisperConfig, CtcConfig, MoonshineConfig, ParakeetConfig, HfCtcConfig),
    ),
    (
        "Export",
        "A folder: ONNX graphs (those of more than 2 GiB with their weights in a file beside them), `config.json`, a "
        "tokenizer, and `export.json`:",
        (Contents,),
    ),
    (
        "Results of evaluate",
        f"JSON. `columns` names the values of each of `rows`, a row a clip: {', '.join(ROW_COLUMNS)}.",
        (Result,),
    ),
    ("Sensitivity map", "`map.json`, as `sensitivity` writes it.", (SensitivityMap,)),
)


def commands() -> Iterator[tuple[str, ModuleType]]:
    """Every command and its module, families of commands spread out."""
    for name in COMMANDS:
        module = importlib.import_module(f"secateur.cli.{name}")
        if hasattr(module, "COMMANDS"):
            yield from ((f"{name} {sub}", one) for sub, one in module.COMMANDS.items())
        else:
            yield name, module


def commands_page() -> str:
    """The page of commands; what is a job's settings class is linked to the page of settings."""
    text, parts = [COMMANDS_HEAD], dict[str, type]()
    jobs = {job.settings: name for name, job in JOBS.items()}
    for name, module in commands():
        options: type = module.Options
        text += [f"## {name}", "", re.sub(r"(?<=\S)\*(?=\S)", r"\\*", module.HELP.strip()), ""]
        text += ["```sh", *module.EXAMPLE.strip().splitlines(), "```", ""]
        job = next((jobs[cls] for cls in options.__mro__ if cls in jobs), None)
        if job:
            text += [f"Options: [settings](settings.md#{job}).", ""]
        elif dataclasses.fields(options):
            text += [*option_rows(options, parts), ""]
    known = make_settings.page()
    here: list[str] = []  # parts that have no table on the page of settings
    while rest := [name for name in parts if name not in here and f"\n## {name}\n" not in known]:
        here.append(rest[0])
        about = " ".join((parts[rest[0]].__doc__ or "").split())
        text += [f"## {rest[0]}", "", about, "", *option_rows(parts[rest[0]], parts), ""]
    mine = {name.lower() for name in here}
    linked = re.sub(r"\]\(#(\w+)\)", lambda m: m[0] if m[1] in mine else f"](settings.md#{m[1]})", "\n".join(text))
    return linked.rstrip() + "\n"


def option_rows(options: type, parts: dict[str, type]) -> list[str]:
    """The table of a command's options; what stands without dashes is in capitals."""
    inputs = {f.name for f in dataclasses.fields(options) if f.metadata.get("positional")}

    def named(found: re.Match[str]) -> str:
        return found[0].upper() if found[0] in inputs else found[0]

    return [re.sub(r"(?<=^\| `)\w+", named, line) for line in make_settings.rows(options, parts)]


def formats_page() -> str:
    """The page of formats: a table a class, classes within its fields behind it."""
    text, done = [FORMATS_HEAD], set[type]()
    for title, about, classes in FORMATS:
        text += [f"## {title}", "", about, ""]
        waiting = list(classes)
        while waiting:
            cls = waiting.pop(0)
            if cls not in done:
                done.add(cls)
                doc = " ".join((cls.__doc__ or "").partition("Raises:")[0].split())
                lines, inner = table(cls)
                text += [f"### {title_of(cls)}", "", doc, "", *lines, ""]
                waiting = inner + waiting
    return "\n".join(text).rstrip() + "\n"


def title_of(cls: type) -> str:
    """A class's name, with its family where others have one of that name."""
    family = re.match(r"secateur\.families\.(\w+)\.", cls.__module__)
    own = cls.__name__.endswith("Config")
    return f"{cls.__name__} ({family[1]})" if family and not own else cls.__name__


def table(cls: type) -> tuple[list[str], list[type]]:
    """A row a field: name, type, default, the comment beside it; and the classes of its fields."""
    hints, said, inner = typing.get_type_hints(cls), comments(cls), list[type]()
    lines = ["| field | type | default | what it is |", "|---|---|---|---|"]
    for one in dataclasses.fields(cls):
        if cls is Result and one.name == "rows":  # named by their columns
            continue
        own = [t for t in within(hints[one.name]) if isinstance(t, type) and dataclasses.is_dataclass(t)]
        inner += own
        kind = type_name(hints[one.name])
        for t in own:
            anchor = re.sub(r"[^\w -]", "", title_of(t).lower()).replace(" ", "-")
            kind = kind.replace(t.__name__, f"[{t.__name__}](#{anchor})")
        about = said.get(one.name, "").replace("|", "\\|")
        lines.append(f"| `{one.name}` | {kind} | {default_name(one)} | {about} |")
    return lines, inner


def within(hint: Any) -> Iterator[Any]:
    """A type and all types that it is made of."""
    yield hint
    for one in typing.get_args(hint):
        yield from within(one)


def type_name(hint: Any) -> str:
    """A type as JSON has it, in a few words."""
    if isinstance(hint, type) and not typing.get_args(hint):
        return WORDS.get(hint.__name__, hint.__name__)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return ", ".join(f"`{one}`" for one in args)
    if origin is tuple or origin is list:
        return f"list of {type_name(args[0])}"
    if origin is dict:
        return f"object of {type_name(args[1])}"
    return " or ".join("null" if one is type(None) else type_name(one) for one in args)


def default_name(one: dataclasses.Field[Any]) -> str:
    """A default, where it is short enough to print; *needed* without one."""
    if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
        return "*needed*"
    if one.default in (dataclasses.MISSING, None, "", ()) or dataclasses.is_dataclass(one.default):
        return ""
    return f"`{str(one.default).lower() if isinstance(one.default, bool) else one.default}`"


def comments(cls: type) -> dict[str, str]:
    """The comment beside each field of a class and of those that it inherits from."""
    found: dict[str, str] = {}
    for one in reversed([base for base in cls.__mro__ if dataclasses.is_dataclass(base)]):
        name = ""
        for token in tokenize.generate_tokens(io.StringIO(inspect.cleandoc(inspect.getsource(one))).readline):
            start = re.match(r"    (\w+): ", token.line)
            if start and token.type == tokenize.NAME and token.string == start[1]:
                name = start[1]
            elif token.type == tokenize.COMMENT and name:
                found[name] = token.string.lstrip("# ").strip()
                name = ""
            elif token.type == tokenize.NEWLINE:
                name = ""
    return found


def pages() -> dict[Path, str]:
    """Both pages, by where they are."""
    return {DOCS / "commands.md": commands_page(), DOCS / "formats.md": formats_page()}
