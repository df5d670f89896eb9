"""Commands to answers: every skill, the outside over real HTTP, the command line, wake phrases, real speech."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from json_server import JsonHandler, answering

from secateur.assistant.assistant import Assistant, Chat
from secateur.assistant.grammar.file import read_grammar
from secateur.assistant.listen import Wake, blocks_of, commands, woken
from secateur.assistant.skill import Context, SkillSettings
from secateur.assistant.skills import load
from secateur.assistant.skills.timer import due
from secateur.assistant.speak import speech as speak
from secateur.assistant.speak import voice_installed
from secateur.assistant.understand import Understanding
from secateur.audio.read import read_audio
from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.runtime.recogniser import Recogniser


class Outside(JsonHandler):
    """Weather, a house and a chat endpoint."""

    calls: list[dict[str, Any]] = []  # noqa: RUF012

    def get(self) -> None:
        self.calls.append({"path": self.path})
        self.answer({"temperature": 7, "condition": "raining"})

    def post(self) -> None:
        body = self.body()
        self.calls.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
        if self.path == "/broken":
            self.send_error(500)
        else:
            self.answer({"choices": [{"message": {"content": f"turn {len(body.get('messages', []))}"}}]})


@pytest.fixture(scope="module")
def outside() -> Iterator[str]:
    with answering(Outside) as url:
        yield url


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser.load(threads=1)


@pytest.fixture
def assistant(recogniser: Recogniser, outside: str, tmp_path: Path) -> Assistant:
    settings = SkillSettings(
        weather_url=outside + "/weather", home_url=outside + "/home", home_token="t0ken", notes=tmp_path / "notes.txt"
    )
    clock = iter(range(1_700_000_000, 1_800_000_000, 60))
    understanding = Understanding(recogniser, read_grammar("home", "coffee"), phrases=False)
    return Assistant(understanding, load(), Context(settings, clock=lambda: next(clock)), Chat(outside + "/v1"))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what is 7 times 8", "7 times 8 is 56."),
        ("how much is twelve percent of fifty", "12 percent of 50 is 6."),
        ("what is 5 divided by 0", "Nothing can be divided by zero."),
        ("convert 100 fahrenheit to celsius", "100 fahrenheit is 37.778 celsius."),
        ("how many feet in a mile", "1 mile is 5280 feet."),
        ("convert 3 miles to grams", "Miles are not measured in grams."),
        ("what is the weather in paris", "It is 7 degrees and raining in paris."),
        ("turn on the kitchen light", "The kitchen light is on."),
        ("set the bedroom lamp to forty percent", "The bedroom lamp is set to 40."),
        ("could i have a large latte with lots of cream", "A large latte with lots of cream, coming up."),
        ("tell me a story about a fox", "turn 2"),
    ],
)
def test_answers(assistant: Assistant, text: str, answer: str) -> None:
    assert assistant.answer_text(text).answer == answer


def test_the_house_hears_what_was_meant(assistant: Assistant) -> None:
    Outside.calls.clear()
    assert assistant.answer_text("switch the lamp in the office off").acted
    assert Outside.calls == [
        {"path": "/home", "key": "Bearer t0ken", "name": "lamp", "area": "office", "action": "off"}
    ]
    assistant.answer_text("make the bedroom light warm white")
    assert Outside.calls[1]["value"] == "warm white"


def test_timers_run_out(assistant: Assistant) -> None:
    assert assistant.answer_text("set a timer for three minutes").answer == "A timer for 3 minutes."
    # Every look at the clock is a minute.
    assert assistant.answer_text("how much time is left").answer == "1 minute left."
    assert due(assistant.context) == 1
    assistant.answer_text("set a timer for ten minutes")
    assert assistant.answer_text("cancel the timer").answer == "The timer is off."
    assert assistant.answer_text("cancel the timer").answer == "No timer is running."


def test_what_is_left_out_is_asked_for(assistant: Assistant) -> None:
    assistant.chat = None
    for text in ("turn on all the lights except the kitchen", "everything off apart from the fan"):
        assert "name those" in assistant.answer_text(text).answer
    assert assistant.answer_text("sing a song").answer == "I did not understand that."


def test_notes_are_kept(assistant: Assistant) -> None:
    assistant.answer_text("take a note that the milk is sour")
    assistant.answer_text("write down buy oats")
    assert assistant.answer_text("read my notes").answer == "Your notes: the milk is sour; buy oats."


def test_conversations_belong_to_their_clients(assistant: Assistant) -> None:
    texts = ("sing a song", "and another one please sing")
    assert [assistant.answer_text(text, "anna").answer for text in texts] == ["turn 2", "turn 4"]
    assert assistant.answer_text("sing a song", "ben").answer == "turn 2"
    assert assistant.answer_text("sing a song", "anna").answer == "turn 6"


def test_a_skill_that_raises_costs_one_answer(assistant: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(slots: Any, context: Context) -> str:
        raise ZeroDivisionError("oops")

    monkeypatch.setitem(assistant.skills, "getTime", broken)  # type: ignore[arg-type]
    reply = assistant.answer_text("what time is it")
    assert (reply.intent, reply.acted) == ("getTime", False)
    assert "oops" in reply.answer
    assert assistant.answer_text("what is 7 times 8").answer == "7 times 8 is 56."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("turn on the attic light", "I do not know 'attic' here. What do you mean?"),
        ("turn on the light and the toaster", "I do not know 'toaster' here. What do you mean?"),
        ("please don't turn on the light", "turn 2"),
        ("turn on the light when i get home", "turn 2"),
    ],
)
def test_nothing_is_done_that_was_not_ordered(assistant: Assistant, text: str, answer: str) -> None:
    Outside.calls.clear()
    reply = assistant.answer_text(text)
    assert (reply.answer, reply.intent, reply.acted) == (answer, None, False)
    assert not [call for call in Outside.calls if call["path"] == "/home"]


def test_two_orders_in_one_sentence(assistant: Assistant) -> None:
    Outside.calls.clear()
    reply = assistant.answer_text("turn on the kitchen light and the fan")
    assert reply.answer == "The kitchen light is on. The fan is on."
    assert [(call["area"], call["name"]) for call in Outside.calls] == [("kitchen", "light"), ("", "fan")]
    assert reply.also == ({"intent": "turnOn", "slots": {"action": "on", "name": "fan"}},)
    assert assistant.answer_text("turn off all the lights").answer == "All the lights are off."


def test_the_conversation_goes_along(assistant: Assistant) -> None:
    texts = ("sing a song", "and another one please sing")
    assert [assistant.answer_text(text).answer for text in texts] == ["turn 2", "turn 4"]


def test_what_is_broken_is_said(assistant: Assistant, outside: str) -> None:
    assistant.context.settings = SkillSettings(home_url=outside + "/broken", weather_url="file:///etc/passwd")
    assert "500" in assistant.answer_text("turn on the lamp").answer
    assert "not an http address" in assistant.answer_text("what is the weather").answer
    assistant.context.settings = SkillSettings()
    assert assistant.answer_text("turn on the lamp").answer == "No smart home is set up."


def test_own_skills(tmp_path: Path) -> None:
    (tmp_path / "dance.py").write_text(
        "from secateur.assistant.skill import skill\n\n"
        "@skill('dance')\ndef dance(slots, context):\n    return 'La la.'\n"
    )
    assert load(tmp_path)["dance"]({}, Context()) == "La la."
    (tmp_path / "dance.py").write_text("1 / 0")
    with pytest.raises(SecateurError, match="ZeroDivisionError"):
        load(tmp_path)
    with pytest.raises(SecateurError, match="no such folder"):
        load(tmp_path / "none")


def test_wake_phrases() -> None:
    assert woken("Hey, Secateur! What time is it?", "hey secateur") == "what time is it"
    assert woken("hey sector what time is it", "hey secateur") == "what time is it"
    assert woken("what time is it", "hey secateur") is None
    assert woken("", "hey secateur") is None


def test_what_follows_the_wake_phrase_after_a_pause(recogniser: Recogniser, speech: Path) -> None:
    """The phrase alone wakes; the next thing said is the command, in full, for ten seconds."""
    row = json.loads((speech / "barista-commands" / "test.jsonl").read_text().splitlines()[0])
    order = read_audio(speech / "barista-commands" / row["audio"], 16000)
    text = recogniser.transcribe(order).text
    now = [0.0]
    alone = Wake(text, lambda: now[0])  # the clip itself is the phrase
    assert alone.follow(recogniser, order) is None
    now[0] = 5.0
    other = read_audio(
        speech
        / "barista-commands"
        / json.loads((speech / "barista-commands" / "test.jsonl").read_text().splitlines()[1])["audio"],
        16000,
    )
    followed = alone.follow(recogniser, other)
    assert followed is not None
    assert len(followed) == len(other)
    assert alone.follow(recogniser, other) is None  # one command each time
    assert alone.follow(recogniser, order) is None
    now[0] = 50.0
    assert alone.follow(recogniser, other) is None  # too late
    words = text.split()
    begun = Wake(" ".join(words[:3])).follow(recogniser, order)  # in the same breath: what comes before is cut off
    assert begun is not None
    assert 0 < len(begun) < len(order)
    assert words[-1] in recogniser.transcribe(begun).text


def test_pauses_part_commands(speech: Path) -> None:
    rows = (speech / "barista-commands" / "test.jsonl").read_text().splitlines()[:2]
    clips = [read_audio(speech / "barista-commands" / json.loads(row)["audio"], 16000) for row in rows]
    quiet = (1e-3 * np.random.default_rng(0).standard_normal(2 * 16000)).astype(np.float32)
    sound = np.concatenate([quiet, clips[0], quiet, clips[1], quiet])
    found = list(commands(blocks_of(sound, 16000), 16000))
    assert len(found) >= 2
    assert sum(map(len, found)) < len(sound)
    assert list(commands(blocks_of(quiet, 16000), 16000)) == []


def test_the_command_line(speech: Path, tmp_path: Path) -> None:
    name = "02b77977-ada7-4f37-a1b3-8cb433c8c8da.opus"
    order = str(speech / "barista-commands" / "test" / name)
    command = [sys.executable, "-m", "secateur", "assistant", order, "-", "--json"]
    typed_in = "what is two plus two\n"
    done = subprocess.run(command, input=typed_in, capture_output=True, text=True, check=True, cwd=tmp_path,
                          env={**os.environ, "SECATEUR_CACHE": str(tmp_path)})  # fmt: skip
    spoken, typed = json.loads(done.stdout)["replies"]
    assert spoken["slots"] == {"coffeeDrink": "iced mocha", "roast": "light roast", "size": "eight ounce"}
    assert spoken["answer"] == "An eight ounce light roast iced mocha, coming up."
    assert typed["answer"] == "2 plus 2 is 4."


@pytest.mark.skipif(not voice_installed(), reason="no espeak-ng on this machine")
def test_answers_are_spoken(tmp_path: Path) -> None:
    (tmp_path / "said.wav").write_bytes(speak("A large latte, coming up."))
    assert len(read_audio(tmp_path / "said.wav", 16000)) > 16000


def test_what_is_only_typed_may_be_in_another_language(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("打开客厅的灯\n"))
    assert main(["assistant", "-", "--grammar", "home_zh"]) == 0  # with the bundled English model
    assert "turnOn (action: on, area: 客厅, name: 灯)" in capsys.readouterr().out
