"""Whole sentences, typed: what must order something does, with every slot; what must not, does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import secateur.assistant.grammar.match as match_module
from secateur.assistant.grammar import several
from secateur.assistant.grammar.file import Grammar, read_grammar
from secateur.assistant.grammar.several import matches
from secateur.assistant.grammar.words import joined

FOLDER = Path(__file__).parent / "sentences"


@pytest.fixture(scope="module")
def grammars() -> dict[str, Grammar]:
    return {"en": read_grammar("home", "coffee"), "zh": read_grammar("home_zh")}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_orders_nothing_does_nothing(grammars: dict[str, Grammar], language: str) -> None:
    lines = (FOLDER / f"{language}_must_not.txt").read_text(encoding="utf-8").splitlines()
    texts = [line for line in lines if line and not line.startswith("#")]
    assert len(texts) >= 60
    acted = {text: found for text in texts if (found := matches(grammars[language].graph, text))}
    assert not acted


@pytest.mark.parametrize("language", ["en", "zh"])
def test_commands_are_understood_whole(grammars: dict[str, Grammar], language: str) -> None:
    rows = [json.loads(line) for line in (FOLDER / f"{language}_must.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= 60
    wrong = {}
    for row in rows:
        found = [{"intent": one.intent, "slots": one.slots} for one in matches(grammars[language].graph, row["text"])]
        if found != [{"intent": row["intent"], "slots": row["slots"]}, *row.get("also", [])]:
            wrong[row["text"]] = found
    assert not wrong


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("lights off in the kitchen", "turnOff", {"action": "off", "name": "light", "area": "kitchen"}),
        ("lights on in the hallway", "turnOn", {"action": "on", "name": "light", "area": "hall"}),
        ("kitchen lights off", "turnOff", {"action": "off", "name": "light", "area": "kitchen"}),
        ("the kitchen light off please", "turnOff", {"action": "off", "name": "light", "area": "kitchen"}),
        ("bedroom fan on", "turnOn", {"action": "on", "name": "fan", "area": "bedroom"}),
        ("all the lamps off", "turnOff", {"action": "off", "name": "lamp", "every": "all"}),
        ("could you turn the heating up in the bathroom", "adjust",
         {"action": "warmer", "name": "heating", "area": "bathroom"}),
        ("turn the heat down in the office by two degrees", "adjust",
         {"action": "cooler", "name": "heating", "area": "office", "by": "2"}),
        ("turn the volume down in the bedroom a bit", "adjust", {"action": "quieter", "area": "bedroom"}),
        ("turn up the volume in the kitchen", "adjust", {"action": "louder", "area": "kitchen"}),
        ("add milk to my notes", "takeNote", {"text": "milk"}),
        ("add bread for the weekend to the notes", "takeNote", {"text": "bread for the weekend"}),
        ("add a note buy milk", "takeNote", {"text": "buy milk"}),
    ],
)  # fmt: skip
def test_short_orders_have_all_their_slots(
    grammars: dict[str, Grammar], text: str, intent: str, slots: dict[str, str]
) -> None:
    assert [(one.intent, one.slots) for one in matches(grammars["en"].graph, text)] == [(intent, slots)]
    assert not matches(grammars["en"].graph, f"don't {text}")


@pytest.mark.parametrize(
    ("text", "areas"),
    [
        ("客厅和卧室的灯都打开", ["客厅", "卧室"]), ("卧室跟厨房的空调关掉", ["卧室", "厨房"]),
        ("kitchen and bedroom lights off", ["kitchen", "bedroom"]),
        ("客厅和卧室的灯都打开吗", []), ("客厅和阁楼的灯都打开", []), ("kitchen and attic lights off", []),
        ("attic lights off", []), ("the light off the coast", []), ("the light on the table", []),
    ],
)  # fmt: skip
def test_two_rooms_may_begin_an_order(grammars: dict[str, Grammar], text: str, areas: list[str]) -> None:
    language = "en" if text.isascii() else "zh"
    assert [one.slots.get("area") for one in matches(grammars[language].graph, text)] == areas


FORBIDDING = {
    "en": ["don't ", "never ", "who ", "if it rains ", "he said ", "did you ", "i never "],
    "zh": ["别", "不要", "谁", "如果", "他说", "没有"],
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_command_survives_what_forbids_it(grammars: dict[str, Grammar], language: str) -> None:
    """Every command of the file, with a word before it that makes it none; notes may hold anything. Each with two."""
    rows = [json.loads(line) for line in (FOLDER / f"{language}_must.jsonl").read_text(encoding="utf-8").splitlines()]
    before = FORBIDDING[language]
    texts = [before[(n + more) % len(before)] + row["text"] for n, row in enumerate(rows) for more in (0, 3)]
    assert not [text for text in texts if matches(grammars[language].graph, text)]


@pytest.mark.parametrize(
    ("language", "text", "unknown"),
    [
        ("en", "turn on the light in the attic", "attic"), ("en", "switch on the humidifier", "humidifier"),
        ("en", "turn on the kitchen light and the aquarium", "aquarium"), ("en", "make the nursery warmer", "nursery"),
        ("en", "turn off the washing machine", "washing machine"), ("en", "turn on the tv", ""),
        ("en", "don't turn on the toaster", ""), ("en", "what a lovely lamp", ""), ("en", "put it there", ""),
        ("zh", "把地下室的空调关了", "地下室"), ("zh", "打开厨房的洗碗机", "洗碗机"),
        ("zh", "把阁楼的灯调亮一点", "阁楼"),
        ("zh", "打开客厅的灯和加湿器", "加湿器"),
        ("zh", "别开阁楼的灯", ""),
        ("zh", "打开客厅卧室的灯", ""), ("zh", "客厅、卧室和厨房的灯都打开", ""), ("zh", "打开厨房的音响", "音响"),
        ("zh", "开空调关窗帘", "窗帘"), ("zh", "打开客厅、阳台和厨房的灯", "阳台"), ("zh", "先关灯再关窗户", "窗户"),
        ("en", "turn off the tv, the radio and the oven", "oven"),
        ("en", "lights off in the kitchen and the pantry", "pantry"),
        ("en", "switch everything off downstairs", "downstairs"),
        ("zh", "今天天气真好", ""), ("zh", "开车去上班", ""),
    ],
)  # fmt: skip
def test_what_nobody_set_up_is_asked_for_by_name(
    grammars: dict[str, Grammar], language: str, text: str, unknown: str
) -> None:
    found = several.unknown(grammars[language].graph, text, grammars[language].certain)
    assert joined(word for word in found if word != "的") == unknown


@pytest.mark.parametrize("device", ["toaster", "fridge", "blinds", "dishwasher", "van", "door", "alarm clock"])
@pytest.mark.parametrize("room", ["", " in the kitchen", " in the attic", " in the dining room"])
def test_no_unknown_thing_is_dropped(grammars: dict[str, Grammar], device: str, room: str) -> None:
    assert not matches(grammars["en"].graph, f"turn on the {device}{room}")
    assert not matches(grammars["en"].graph, f"turn on the light and the {device}{room}")
    assert not matches(grammars["en"].graph, f"turn on the {device} light{room}")


def test_the_work_grows_with_the_length_of_a_text(grammars: dict[str, Grammar], monkeypatch: Any) -> None:
    """Steps that are tried for 20 and for 40 repetitions; 17 s of the processor were one command of 299 letters."""
    steps, plain = [0], match_module._Reader.steps

    def counted(self: Any, at: int, state: int) -> Any:
        for step in plain(self, at, state):
            steps[0] += 1
            yield step

    monkeypatch.setattr(match_module._Reader, "steps", counted)
    for text in ("turn on the ", "one hundred and ", "with milk and sugar ", "a ", "take a note that "):
        counts = []
        for times in (20, 40):
            steps[0] = 0
            match_module.match(grammars["en"].graph, text * times)
            counts.append(steps[0])
        assert counts[1] <= 2.5 * counts[0] + 1000
        assert counts[1] < 200_000
