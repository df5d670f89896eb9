"""The assistant behind a real server: clients of their own, a slow brain, timers through the API, Wyoming's intents."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from json_server import JsonHandler, answering

pytest.importorskip("fastapi")
pytest.importorskip("wyoming")

from running_server import Running, serving


class Brain(JsonHandler):
    """A chat endpoint: counts the messages of a conversation, and waits for `go` when told to be slow."""

    asked = threading.Event()
    go = threading.Event()

    def post(self) -> None:
        messages = self.body()["messages"]
        if "slow" in messages[-1]["content"]:
            Brain.asked.set()
            Brain.go.wait(60)
        self.answer({"choices": [{"message": {"content": f"turn {len(messages)}"}}]})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("assistant")
    (folder / "broken.py").write_text(
        "from secateur.assistant.skill import skill\n\n"
        "@skill('dance')\ndef broken(slots, context):\n    raise ValueError('two left feet')\n"
    )
    (folder / "dance.toml").write_text('[intents]\ndance = ["dance with me"]\n')
    orders = f"home,{folder / 'dance.toml'}"
    with answering(Brain) as brain:
        words = ("--chat-url", f"{brain}/v1", "--skills", str(folder), "--assistant", orders)
        with serving(*words, SECATEUR_CACHE=str(folder)) as running:
            yield running


def ask(server: Running, text: str, client: str = "") -> dict[str, Any]:
    data = json.dumps({"text": text, "client": client}).encode()
    request = urllib.request.Request(server.url + "/v1/assistant", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return dict(json.loads(answer.read()))


def test_every_client_has_a_conversation_of_its_own(server: Running) -> None:
    assert [ask(server, "sing something", "anna")["answer"] for _ in range(2)] == ["turn 2", "turn 4"]
    assert ask(server, "sing something", "ben")["answer"] == "turn 2"


def test_a_slow_brain_keeps_only_its_client_waiting(server: Running) -> None:
    found: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: found.append(ask(server, "a slow story please sir", "carl")))
    waiting.start()
    assert Brain.asked.wait(60)
    assert ask(server, "what is 7 times 8", "dora")["answer"] == "7 times 8 is 56."
    assert ask(server, "sing something", "dora")["answer"] == "turn 2"
    assert not found
    Brain.go.set()
    waiting.join(60)
    assert found[0]["answer"] == "turn 2"


def test_a_skill_that_raises_costs_one_answer(server: Running) -> None:
    reply = ask(server, "dance with me")
    assert (reply["intent"], reply["acted"]) == ("dance", False)
    assert "two left feet" in reply["answer"]
    assert ask(server, "what is 2 plus 2")["answer"] == "2 plus 2 is 4."


def test_timers_run_ring_and_are_stopped(server: Running) -> None:
    def timers() -> dict[str, Any]:
        return dict(json.loads(server.get("/v1/assistant/timers")))

    def delete(number: str) -> int:
        request = urllib.request.Request(f"{server.url}/v1/assistant/timers/{number}", method="DELETE")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as problem:
            return problem.code

    ask(server, "set a timer for an hour and a half")
    (long,) = timers()["running"]
    assert long["seconds"] == 5400.0
    assert 5000 < long["left"] <= 5400
    ask(server, "set a timer for one second")
    for _ in range(200):
        if timers()["ringing"]:
            break
        threading.Event().wait(0.1)
    (rings,) = timers()["ringing"]
    assert rings["text"] == "Your timer for 1 second has run out."
    assert [one["id"] for one in timers()["running"]] == [long["id"]]
    assert ask(server, "stop ringing")["answer"] == "Quiet."
    assert [one["id"] for one in timers()["running"]] == [long["id"]]
    assert [delete(rings["id"]), delete(long["id"]), delete(long["id"])] == [404, 200, 404]
    assert timers() == {"running": [], "ringing": []}


def test_what_the_page_is_told(server: Running) -> None:
    about = json.loads(server.get("/v1/assistant"))
    assert [one["what"] for one in about["sends"]] == ["chat"]
    assert about["sends"][0]["where"].startswith("127.0.0.1:")
    assert "turn off all the lights" in about["examples"]


def test_wyoming_recognises_intents(server: Running) -> None:
    from wyoming.client import AsyncTcpClient
    from wyoming.info import Describe, Info
    from wyoming.intent import Intent, IntentsStart, IntentsStop, NotRecognized, Recognize

    async def talk() -> list[Any]:
        async with AsyncTcpClient("127.0.0.1", server.wyoming) as client:
            await client.write_event(Describe().event())
            found: list[Any] = [Info.from_event(await client.read_event())]
            for text, count in (
                ("turn on the kitchen light", 1), ("turn on the light and the fan", 4),
                ("don't turn on the light", 1), ("turn on the attic light", 1),
            ):  # fmt: skip
                await client.write_event(Recognize(text, {"room": "hall"}).event())
                found.append([await client.read_event() for _ in range(count)])
            return found

    info, one, two, none, unknown = asyncio.run(talk())
    assert info.asr
    assert info.intent[0].models[0].languages == ["en"]
    intent = Intent.from_event(one[0])
    assert (intent.name, intent.context) == ("turnOn", {"room": "hall"})
    assert {entity.name: entity.value for entity in intent.entities} == {
        "action": "on", "area": "kitchen", "name": "light"
    }  # fmt: skip
    assert IntentsStart.is_type(two[0].type)
    assert IntentsStop.is_type(two[3].type)
    assert [Intent.from_event(event).name for event in two[1:3]] == ["turnOn", "turnOn"]
    assert NotRecognized.is_type(none[0].type)
    assert NotRecognized.from_event(unknown[0]).text == "unknown: attic"


def test_the_page_gives_orders_only_after_the_wake_phrase(speech: Path) -> None:
    """A recording begins with some words: with these as the phrase the rest is an order, with others nothing is."""
    from speech_clips import clips
    from websockets.sync.client import connect

    samples, _ = clips(speech, "librispeech-mini", 40)[0]
    data = (samples[: 6 * 16000] * 32767).astype("<i2").tobytes()

    def replies(server: Running) -> tuple[list[str], list[str]]:
        with connect(f"ws://127.0.0.1:{server.port}/v1/assistant/listen") as connection:
            connection.send(json.dumps({"type": "start", "partials": False}))
            for at in range(0, len(data), 64_000):
                connection.send(data[at : at + 64_000])
            connection.send(json.dumps({"type": "end"}))
            found = [json.loads(message) for message in connection]
        return [one["text"] for one in found if one["type"] == "final"], [
            one["heard"] for one in found if one["type"] == "reply"
        ]

    with serving("--wake", "chapter twelve", "--detector", "energy") as server:
        assert json.loads(server.get("/v1/assistant"))["wake"] == "chapter twelve"
        finals, heard = replies(server)
        assert ask(server, "what is 2 plus 3")["answer"] == "2 plus 3 is 5."  # what is typed needs none
    assert finals and len(heard) == 1 and heard[0].startswith("the strange bargain")
    with serving("--wake", "open sesame", "--detector", "energy") as server:
        assert replies(server) == (finals, [])
