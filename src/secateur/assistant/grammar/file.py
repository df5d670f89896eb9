"""Grammars from TOML files: intents, each with its sentence templates; lists; rules; examples of what can be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...base.errors import SecateurError, nearest
from ...base.files import read_toml
from .graph import ANY, NAME, NUMBER, Builder, Graph, Numbers
from .match import match
from .words import joined

FOLDER = Path(__file__).parent.parent / "grammars"
KEYS = ("language", "examples", "certain", "intents", "slots", "rules")
LONGEST = 5000  # letters of a template
ANYTHING = {"en": {ANY: "buy some milk", NAME: "Berlin"}, "zh": {ANY: "买牛奶", NAME: "北京"}}
LIKED = (20, 5, 7, 2, 50, 1)  # numbers of examples
LONGEST_EXAMPLE = 40  # words


@dataclass(frozen=True)
class Grammar:
    """What can be said: `graph` holds all sentences of all intents."""

    graph: Graph
    language: str
    intents: tuple[str, ...]
    certain: frozenset[str] = frozenset()  # slots whose value must have been recognised, not only be the nearest
    examples: tuple[str, ...] = ()  # sentences to show who asks what can be said


def read_grammar(*names: str | Path, lists: Mapping[str, Mapping[str, str]] | None = None) -> Grammar:
    """Grammars by path, or by the name of one that comes with secateur, joined into one.

    `lists` take the place of the lists of their names, in grammars that have them.

    Raises:
        SecateurError: no such file, one that is no grammar, or grammars of different languages.
    """
    return grammar_of([(str(name), read_toml(_find(name))) for name in names], lists)


def grammar_of(
    tables: Sequence[tuple[str, Mapping[str, Any]]],
    lists: Mapping[str, Mapping[str, str]] | None = None,
    most: int | None = None,
) -> Grammar:
    """One grammar from the tables of several, each with its name; see `read_grammar`.

    Args:
        most: states of the graph at the most; None: as many as the sentences need.

    Raises:
        SecateurError: a table that is no grammar, or one that is too large.
    """
    languages = {str(table.get("language", "en")) for _, table in tables}
    if len(languages) != 1:
        raise SecateurError(f"grammars of different languages ({', '.join(sorted(languages))}) cannot be joined")
    graph: Graph | None = None
    intents: list[str] = []
    examples: list[str] = []
    certain: list[str] = []
    for name, table in tables:
        _check(name, table)
        slots = table.get("slots", {})
        slots = {**slots, **{name: values for name, values in (lists or {}).items() if name in slots and values}}
        builder = Builder(slots, table.get("rules", {}), str(table.get("language", "en")), most)
        builder.graph = graph = graph or builder.graph
        for intent, templates in table["intents"].items():
            try:
                builder.add_intent(intent, templates)
            except RecursionError:
                raise SecateurError(f"{name}: intent {intent} has too many brackets in brackets") from None
            intents.append(intent)
        examples += table.get("examples", [])
        certain += table.get("certain", [])
    if graph is None:
        raise SecateurError("no grammar was named")
    return Grammar(graph, languages.pop(), tuple(intents), frozenset(certain), tuple(examples or drawn(graph)))


def known_grammars() -> list[str]:
    """Names of the grammars that come with secateur."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def _find(name: str | Path) -> Path:
    path = Path(name)
    if path.suffix == ".toml":
        return path
    if str(name) not in known_grammars():
        known = known_grammars()
        raise SecateurError(f"no grammar '{name}'{nearest(str(name), known)}: name a .toml file or {', '.join(known)}")
    return FOLDER / f"{name}.toml"


def _check(name: str, table: Mapping[str, Any]) -> None:
    """Types of everything in a grammar's file."""
    for key in table:
        if key not in KEYS:
            raise SecateurError(f"{name}: unknown key '{key}'{nearest(key, KEYS)}")
    if not isinstance(table.get("intents"), Mapping) or not table["intents"]:
        raise SecateurError(f"{name}: no [intents]")
    for key in ("slots", "rules"):
        if not isinstance(table.get(key, {}), Mapping):
            raise SecateurError(f"{name}: {key} must be a table")
    for key in ("examples", "certain"):
        if not _strings(table.get(key, [])):
            raise SecateurError(f"{name}: {key} must be a list of texts")
    for intent, templates in table["intents"].items():
        if not _strings(templates):
            raise SecateurError(f"{name}: intent {intent} must be a list of templates")
    for slot, values in table.get("slots", {}).items():
        if not _strings(values) and not (isinstance(values, Mapping) and _strings(list(values.values()))):
            raise SecateurError(f"{name}: list {slot} must be a list of templates or a table of them")
    if not all(isinstance(rule, str) for rule in table.get("rules", {}).values()):
        raise SecateurError(f"{name}: rules must be templates")


def _strings(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(v, str) and len(v) <= LONGEST for v in value)
    )


def drawn(graph: Graph) -> list[str]:
    """The sentence of every intent that its first template begins with, always the first of several ways."""
    result, known = [], set[str]()
    for arc in graph.arcs[0]:
        if arc.mark is None or arc.mark.name in known:
            continue
        text = joined(_first(graph, arc.target))
        if match(graph, text, 0.0) is not None:
            known.add(arc.mark.name)
            result.append(text)
    return result


def _first(graph: Graph, state: int) -> list[str]:
    words: list[str] = []
    language = "zh" if graph.language.startswith("zh") else "en"
    while state != graph.end and len(words) < LONGEST_EXAMPLE:
        arc = next(arc for arc in graph.arcs[state] if not arc.spelled)
        if arc.spoken in (ANY, NAME):
            words.append(ANYTHING[language][arc.spoken])
            state = next(one.target for one in graph.arcs[arc.target] if one.spoken is None)
            continue
        if arc.spoken == NUMBER and arc.numbers is not None:
            words.append(_number(arc.numbers))
        elif arc.spoken is not None:
            words.append(arc.spoken)
        state = arc.target
    return words


def _number(numbers: Numbers) -> str:
    return str(next((value for value in LIKED if numbers.holds(value)), numbers.first))
