"""Templates to graphs, and texts found in them; `hassil` reads the same templates and is the judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from secateur.assistant.grammar.file import known_grammars, read_grammar
from secateur.assistant.grammar.graph import Builder
from secateur.assistant.grammar.match import match
from secateur.assistant.grammar.numbers import english, mandarin
from secateur.base.errors import SecateurError

SLOTS = {"name": ["light", "lamp", "coffee machine"], "color": {"#f00": "red", "#00f": "(blue|azure)"}}
SENTENCES = {
    "on": ["(turn|switch) on [the] {name}", "(turn|switch) [the] {name} on"],
    "color": ["(set;[please]) [the] {name} [to] {color}"],
    "both": ["(one [fine] day;two nights;three) home"],
}
TEXTS = [
    "turn on the lamp", "switch the coffee machine on", "turn lamp", "set please the lamp to azure", "turn on", "",
    "please set lamp red", "set lamp red please", "three two nights one fine day home", "one day two nights home",
    "one day three two nights home", "Turn on the LAMP!",
]  # fmt: skip


@pytest.fixture(scope="module")
def graph() -> Any:
    builder = Builder(SLOTS, {})
    for name, templates in SENTENCES.items():
        builder.add_intent(name, templates)
    return builder.graph


@pytest.mark.parametrize("text", TEXTS)
def test_what_hassil_takes_we_take_and_nothing_else(graph: Any, text: str) -> None:
    hassil = pytest.importorskip("hassil")
    values = {
        name: {"values": list(v) if isinstance(v, list) else [{"in": said, "out": out} for out, said in v.items()]}
        for name, v in SLOTS.items()
    }
    intents = hassil.Intents.from_dict({
        "language": "en", "lists": values,
        "intents": {name: {"data": [{"sentences": sentences}]} for name, sentences in SENTENCES.items()},
    })  # fmt: skip
    theirs = hassil.recognize(text, intents)
    ours = match(graph, text, worst=0)
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert ours.intent == theirs.intent.name
        assert ours.slots == {name: entity.value for name, entity in theirs.entities.items()}


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("turn onn the lamb", "on", {"name": "lamp"}),
        ("um turn on the the light", "on", {"name": "light"}),
        ("set the coffee machines to blew", "color", {"name": "coffee machine", "color": "#00f"}),
    ],
)
def test_near_misses_are_forgiven(graph: Any, text: str, intent: str, slots: dict[str, str]) -> None:
    found = match(graph, text)
    assert found is not None
    assert (found.intent, found.slots) == (intent, slots)
    assert 0.5 < found.confidence < 1


def test_other_talk_is_not_a_command() -> None:
    grammar = read_grammar("home", "coffee")
    for text in ("what is the meaning of life", "the weather was fine and we went home", "he turned away from her"):
        assert match(grammar.graph, text) is None


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("set a timer for an hour and twenty minutes", "setTimer", {"hours": "1", "minutes": "20"}),
        ("Set a 5-minute timer.", "setTimer", {"minutes": "5"}),
        ("what is a hundred and five times 3", "calculate", {"first": "105", "operation": "times", "second": "3"}),
        ("turn the lights off in the garage", "turnOff", {"name": "light", "action": "off", "area": "garage"}),
        ("please write down call mum at nine", "takeNote", {"text": "call mum at nine"}),
        ("can I get a 16 oz latte, two shots, with oat", "orderDrink", {}),
    ],
)
def test_home_and_coffee(text: str, intent: str, slots: dict[str, str]) -> None:
    found = match(read_grammar("home", "coffee").graph, text)
    assert found is not None
    assert found.intent == intent
    assert not slots or found.slots == slots


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("can i get a large iced mocha with a double shot light roast some brown sugar and a bit of skim milk please",
         {"size": "large", "coffeeDrink": "iced mocha", "numberOfShots": "double shot", "roast": "light roast",
          "sugarAmount": "some brown sugar", "milkAmount": "a bit of skim milk"}),
        ("I'd like a 16-ounce medium roast americano", {"size": "sixteen ounce", "roast": "medium roast",
                                                        "coffeeDrink": "americano"}),
        ("a double shot of espresso", {"numberOfShots": "double shot", "coffeeDrink": "espresso"}),
    ],
)  # fmt: skip
def test_orders(text: str, slots: dict[str, str]) -> None:
    found = match(read_grammar("coffee").graph, text, worst=0)
    assert found is not None
    assert found.slots == slots


def test_mandarin() -> None:
    graph = read_grammar("home_zh").graph
    found = match(graph, "设置一个十五分钟的计时器。")
    assert found is not None
    assert (found.intent, found.slots) == ("setTimer", {"minutes": "15"})
    found = match(graph, "请打开客厅的灯")
    assert found is not None
    assert found.slots == {"action": "on", "area": "客厅", "name": "灯"}


def test_numbers() -> None:
    assert english(9999) == "nine thousand nine hundred ninety nine"
    assert [mandarin(n) for n in (0, 10, 110, 1001, 2015)] == ["零", "十", "一百一十", "一千零一", "二千零一十五"]
    assert len({english(n) for n in range(10000)}) == 10000
    assert len({mandarin(n) for n in range(10000)}) == 10000


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('[intents]\na = ["turn (on"]', "not closed"),
        ('[intents]\na = ["turn on)"]', "closes nothing"),
        ('[intents]\na = ["{colour}"]\n[slots]\ncolor = ["red"]', "did you mean 'color'"),
        ('[intents]\na = ["<b>"]\n[rules]\nb = "x <b>"', "nested too deep"),
        ('[intents]\na = ["{9..1:n}"]', "upwards"),
        ('[intents]\na = "turn on"', "list of templates"),
        ('[intens]\na = ["x"]', "did you mean 'intents'"),
        ('[intents]\na = ["(a|b;c)"]', "brackets around"),
    ],
)
def test_broken_grammars_are_one_line(tmp_path: Path, table: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(table)
    with pytest.raises(SecateurError, match=message):
        read_grammar(path)


def test_unknown_grammars_are_named(tmp_path: Path) -> None:
    assert known_grammars() == ["coffee", "home", "home_zh"]
    with pytest.raises(SecateurError, match="did you mean 'coffee'"):
        read_grammar("cofee")
    with pytest.raises(SecateurError, match="different languages"):
        read_grammar("home", "home_zh")
