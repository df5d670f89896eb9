"""Home Assistant: rooms, devices and aliases from recorded answers of its API, orders as calls of its services."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from json_server import JsonHandler, answering

pytest.importorskip("websockets")


from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_socket

from secateur.assistant.grammar.file import Grammar, read_grammar
from secateur.assistant.grammar.several import matches
from secateur.assistant.home_assistant import Device, HomeAssistant, House, read_house
from secateur.assistant.skill import Context, SkillSettings
from secateur.assistant.skills import load
from secateur.base.errors import SecateurError

RECORDED = json.loads((Path(__file__).parent / "home_assistant.json").read_text(encoding="utf-8"))
TOKEN = "eyJ.recorded"
GRAMMARS: dict[str, Grammar] = {}  # with the recorded house in them


def answered(asked: list[dict[str, Any]]) -> list[Any]:
    return [RECORDED.get(one["type"]) for one in asked]


@pytest.fixture(scope="module")
def house() -> House:
    return read_house(answered)


class Calls(HomeAssistant):
    """The house as it was recorded; what would be sent is kept."""

    def __init__(self, house: House) -> None:
        self.house, self.sent = house, list[tuple[str, dict[str, Any]]]()

    def value(self, device: Any, name: str) -> float:
        return {"temperature": 20.0, "volume_level": 0.95}[name]

    def call(self, domain: str, service: str, devices: Any, **data: Any) -> None:
        self.sent.append((f"{domain}/{service}", {"entity_id": [device.entity for device in devices], **data}))


def order(house: House, *texts: str, grammar: str = "home") -> tuple[list[str], list[tuple[str, dict[str, Any]]]]:
    """Answers and calls to some commands."""
    home = Calls(house)
    read = GRAMMARS.get(grammar) or GRAMMARS.setdefault(grammar, read_grammar(grammar, lists=house.lists()))
    context = Context(SkillSettings(), read.language, home=home)
    answers = [load()[m.intent](m.slots, context) for text in texts for m in matches(read.graph, text)]
    return answers, home.sent


def test_rooms_devices_and_aliases_are_read(house: House) -> None:
    assert house.areas["attic"] == ("attic", "loft")
    devices = {device.entity: device for device in house.devices}
    assert devices["light.attic_ceiling"].area == "attic"  # of the machine that it belongs to
    assert devices["light.kitchen"].names == ("kitchen light", "cooking light")
    assert "light.garden" not in devices  # not exposed to voice
    assert "sensor.outside" not in devices
    assert "switch.hidden" not in devices


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("turn on the kitchen light", [("light/turn_on", {"entity_id": ["light.kitchen"]})]),
        ("turn on the cooking light", [("light/turn_on", {"entity_id": ["light.kitchen"]})]),
        ("turn off the ceiling light in the loft", [("light/turn_off", {"entity_id": ["light.attic_ceiling"]})]),
        ("open the blinds", []),
        ("turn on the blinds", [("cover/open_cover", {"entity_id": ["cover.blinds"]})]),
        ("set the kitchen light to 40 percent",
         [("light/turn_on", {"entity_id": ["light.kitchen"], "brightness_pct": 40})]),
        ("make the kitchen light red", [("light/turn_on", {"entity_id": ["light.kitchen"], "color_name": "red"})]),
        ("make the kitchen light warm white",
         [("light/turn_on", {"entity_id": ["light.kitchen"], "color_temp_kelvin": 2700})]),
        ("set the heating to 21.5 degrees",
         [("climate/set_temperature", {"entity_id": ["climate.living_room"], "temperature": 21.5})]),
        ("turn off everything in the kitchen",
         [("light/turn_off", {"entity_id": ["light.kitchen"]}), ("switch/turn_off", {"entity_id": ["switch.kettle"]})]),
        ("turn off the kettle and the cooking light",
         [("switch/turn_off", {"entity_id": ["switch.kettle"]}), ("light/turn_off", {"entity_id": ["light.kitchen"]})]),
        ("lights off", [("light/turn_off", {"entity_id": ["light.kitchen", "light.attic_ceiling", "light.bed_lamp",
                                                          "light.desk_lamp"]})]),
        ("make the kitchen light a bit brighter",
         [("light/turn_on", {"entity_id": ["light.kitchen"], "brightness_step_pct": 20})]),
        ("dim the kitchen light by 15 percent",
         [("light/turn_on", {"entity_id": ["light.kitchen"], "brightness_step_pct": -15})]),
        ("one and a half degrees warmer",
         [("climate/set_temperature", {"entity_id": ["climate.living_room"], "temperature": 21.5})]),
        ("turn down the heating",
         [("climate/set_temperature", {"entity_id": ["climate.living_room"], "temperature": 19})]),
        ("turn the kitchen light down",
         [("light/turn_on", {"entity_id": ["light.kitchen"], "brightness_step_pct": -20})]),
        ("turn the volume up", []),  # nothing plays
        ("turn on the bedroom light", []),  # there is none
        ("don't turn on the kitchen light", []),
    ],
)  # fmt: skip
def test_orders_become_calls_of_services(house: House, text: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    assert order(house, text)[1] == calls


def test_one_of_two_is_never_taken_silently(house: House) -> None:
    answers, sent = order(house, "turn on the lamp")
    assert answers == ["Which one: bedroom, study?"]
    assert sent == []
    assert order(house, "turn on the lamp in the study")[1] == [("light/turn_on", {"entity_id": ["light.desk_lamp"]})]
    assert order(house, "turn on all the lamps")[1] == [
        ("light/turn_on", {"entity_id": ["light.bed_lamp", "light.desk_lamp"]})
    ]


def test_what_is_to_change_is_asked_for(house: House) -> None:
    assert order(house, "turn it up") == (["Which one: the light, the volume or the temperature?"], [])
    answers, sent = order(house, "a bit brighter")  # of four lights in four rooms
    assert answers[0].startswith("Which one: ")
    assert not sent


def test_volume_has_bounds(house: House) -> None:
    home = Calls(house)
    tv = Device("media_player.tv", ("tv",))
    home.adjust([tv], up=True, by=10)
    home.adjust([tv], up=False)
    assert home.sent == [
        ("media_player/volume_set", {"entity_id": ["media_player.tv"], "volume_level": 1.0}),
        ("media_player/volume_down", {"entity_id": ["media_player.tv"]}),
    ]


def test_the_house_replaces_the_grammars_own_rooms(house: House) -> None:
    graph = read_grammar("home", lists=house.lists()).graph
    assert matches(graph, "turn on the kettle in the kitchen")
    assert not matches(graph, "turn on the coffee machine")  # the grammar's own list had one
    assert not matches(graph, "turn on the kettle in the garage")


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Both halves of its API on one address would need a proxy: the WebSocket here, services by another test."""

    def talk(socket: ServerConnection) -> None:
        socket.send(json.dumps({"type": "auth_required", "ha_version": "2026.11.1"}))
        if json.loads(socket.recv())["access_token"] != TOKEN:
            socket.send(json.dumps({"type": "auth_invalid", "message": "Invalid access token or password"}))
            return
        socket.send(json.dumps({"type": "auth_ok", "ha_version": "2026.11.1"}))
        for message in socket:
            asked = json.loads(message)
            known = asked["type"] in RECORDED
            answer = {"id": asked["id"], "type": "result", "success": known}
            socket.send(json.dumps(answer | ({"result": RECORDED[asked["type"]]} if known else {"error": {}})))

    with serve_socket(talk, "127.0.0.1", 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.socket.getsockname()[1]}", []
        running.shutdown()


def test_the_websocket_is_asked_as_it_wants_to_be(server: tuple[str, Any], house: House) -> None:
    assert HomeAssistant(server[0], TOKEN).house == house
    with pytest.raises(SecateurError, match="does not take this token"):
        HomeAssistant(server[0], "wrong")
    with pytest.raises(SecateurError, match="does not answer"):
        HomeAssistant("http://127.0.0.1:9", TOKEN, timeout=1)


def test_services_are_called_over_rest(house: House) -> None:
    got: list[tuple[str, str | None, Any]] = []

    class Rest(JsonHandler):
        def post(self) -> None:
            got.append((self.path, self.headers.get("Authorization"), self.body()))
            self.answer([])

        def get(self) -> None:
            got.append((self.path, self.headers.get("Authorization"), None))
            self.answer({"state": "heat", "attributes": {"temperature": 19.5}})

    with answering(Rest) as url:
        home = HomeAssistant.__new__(HomeAssistant)
        home.url, home.token, home.timeout, home.house = url, TOKEN, 5.0, house
        home.light(house.named("kitchen light"), brightness=40)
        home.adjust(house.named("heating"), up=False, by=0.5)
        with pytest.raises(SecateurError, match="has no level to start from"):
            home.value(house.named("heating")[0], "volume_level")
    state = ("/api/states/climate.living_room", f"Bearer {TOKEN}", None)
    assert got == [
        ("/api/services/light/turn_on", f"Bearer {TOKEN}", {"entity_id": ["light.kitchen"], "brightness_pct": 40}),
        state,
        ("/api/services/climate/set_temperature", f"Bearer {TOKEN}",
         {"entity_id": ["climate.living_room"], "temperature": 19.0}),
        state,
    ]  # fmt: skip
