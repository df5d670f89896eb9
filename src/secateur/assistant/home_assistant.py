"""A house from Home Assistant: rooms, devices and their aliases from its API, orders as calls of its services.

Areas, devices and entities come over its WebSocket (https://developers.home-assistant.io/docs/api/websocket), services
are called over REST (https://developers.home-assistant.io/docs/api/rest). Only what is exposed to its voice assistants
is known, where it says what is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..base.errors import SecateurError
from ..base.extras import require
from ..base.files import Json
from .grammar.words import joined, words_of
from .remote import get_json, post_json

# Domains that are switched by voice, and the services that do it where they are not turn_on and turn_off.
DOMAINS: dict[str, dict[str, str]] = {
    "light": {}, "switch": {}, "fan": {}, "media_player": {}, "climate": {}, "input_boolean": {}, "humidifier": {},
    "cover": {"turn_on": "open_cover", "turn_off": "close_cover"},
}  # fmt: skip
COLOURS = {
    "红色": "red", "绿色": "green", "蓝色": "blue", "黄色": "yellow", "橙色": "orange", "紫色": "purple",
    "粉色": "pink", "白色": "white",
}  # fmt: skip
WARM = {"warm white", "暖白"}
WARM_KELVIN = 2700
ALL = {"en": "everything", "zh": "所有设备"}
LIGHTS = "lights"  # all of a house or room: "lights off"
MOST = 16 << 20  # bytes of one answer
LIGHT_STEP, DEGREES_STEP = 20, 1  # "a bit": per cent of brightness, degrees


@dataclass(frozen=True)
class Device:
    """One entity, what it is called, and the room that it is in (None: none)."""

    entity: str
    names: tuple[str, ...]
    area: str | None = None

    @property
    def domain(self) -> str:
        """Of the entity: light, switch, ..."""
        return self.entity.partition(".")[0]


@dataclass(frozen=True)
class House:
    """Rooms by their id, each with its names (the first is shown), and devices."""

    areas: Mapping[str, tuple[str, ...]]
    devices: tuple[Device, ...]

    def lists(self) -> dict[str, dict[str, str]]:
        """The lists `area`, `name` and `all_lights` of a grammar: what is shown for a value, and how it is said."""
        areas = {names[0]: names for names in self.areas.values()}
        # A name that several devices have stays what was said: whose it is, is found, or asked, when it is ordered.
        names = {name: (name,) for device in self.devices for name in self.forms(device)}
        known = _templates({name: (name,) for name in ALL.values()} | names)
        return {"area": _templates(areas), "name": known, "all_lights": {LIGHTS: LIGHTS}}

    def forms(self, device: Device) -> tuple[str, ...]:
        """What a device may be called: its names, and those without its room's at their begin."""
        return tuple(dict.fromkeys([*device.names, *(self._without_area(name, device.area) for name in device.names)]))

    def named(self, name: str, area: str = "", domains: Iterable[str] = DOMAINS) -> list[Device]:
        """The devices of some domains that a name means, in a room if one was said; all of them for "everything"."""
        rooms = {key for key, names in self.areas.items() if area in names}
        here = [d for d in self.devices if d.domain in domains and (not area or d.area in rooms)]
        if name in ALL.values():
            return here
        return [device for device in here if name in self.forms(device)]

    def area_of(self, device: Device) -> str:
        """The name of a device's room."""
        return self.areas[device.area][0] if device.area is not None and device.area in self.areas else ""

    def _without_area(self, name: str, area: str | None) -> str:
        """`kitchen light`, in the kitchen, is also `light`."""
        for room in self.areas.get(area or "", ()):
            begin = " ".join(words_of(room)) + " "
            plain = " ".join(words_of(name))
            if plain.startswith(begin):
                return joined(word for word in plain[len(begin) :].split() if word != "的")
        return name


class HomeAssistant:
    """A Home Assistant at an address, with a long-lived access token.

    Args:
        url: such as http://homeassistant.local:8123
        timeout: seconds for any answer.

    Raises:
        SecateurError: no answer, a token that it does not take, or answers that are not its own.
    """

    def __init__(self, url: str, token: str, timeout: float = 5.0) -> None:
        self.url, self.token, self.timeout = url.rstrip("/"), token, timeout
        self.house = read_house(self._answers)

    def call(self, domain: str, service: str, devices: Iterable[Device], **data: object) -> None:
        """Call a service for some devices: `POST /api/services/light/turn_on {"entity_id": [...], ...}`.

        Raises:
            SecateurError: it does not answer, or refuses.
        """
        body = {"entity_id": [device.entity for device in devices], **data}
        post_json(f"{self.url}/api/services/{domain}/{service}", body, self.timeout, self.token)

    def switch(self, devices: Iterable[Device], on: bool) -> None:
        """Turn devices on or off, one call a domain."""
        by_domain: dict[str, list[Device]] = {}
        for device in devices:
            by_domain.setdefault(device.domain, []).append(device)
        for domain, some in by_domain.items():
            service = "turn_on" if on else "turn_off"
            self.call(domain, DOMAINS[domain].get(service, service), some)

    def light(self, devices: Iterable[Device], brightness: float | None = None, colour: str | None = None) -> None:
        """Set the brightness (per cent) or colour of lights."""
        data: Json = {}
        if brightness is not None:
            data["brightness_pct"] = round(brightness)
        if colour in WARM:
            data["color_temp_kelvin"] = WARM_KELVIN
        elif colour is not None:
            data["color_name"] = COLOURS.get(colour, colour).replace(" ", "")
        self.call("light", "turn_on", devices, **data)

    def adjust(self, devices: Iterable[Device], up: bool, by: float | None = None) -> None:
        """Make lights brighter, media louder, heating warmer or fans faster, or less so.

        Args:
            by: per cent, of climate degrees; None: a step.

        Raises:
            SecateurError: it does not answer, or what is to be changed has no value now.
        """
        sign = 1 if up else -1
        for device in devices:
            if device.domain == "light":
                self.call("light", "turn_on", [device], brightness_step_pct=sign * (LIGHT_STEP if by is None else by))
            elif device.domain == "fan":
                step = {} if by is None else {"percentage_step": by}
                self.call("fan", "increase_speed" if up else "decrease_speed", [device], **step)
            elif device.domain == "media_player":
                if by is None:
                    self.call("media_player", "volume_up" if up else "volume_down", [device])
                else:
                    level = min(1.0, max(0.0, self.value(device, "volume_level") + sign * by / 100))
                    self.call("media_player", "volume_set", [device], volume_level=round(level, 3))
            else:
                degrees = self.value(device, "temperature") + sign * (DEGREES_STEP if by is None else by)
                self.call("climate", "set_temperature", [device], temperature=degrees)

    def value(self, device: Device, name: str) -> float:
        """A value of a device as it is: `GET /api/states/climate.living_room`.

        Raises:
            SecateurError: it does not answer, or the device has no such value: it is off.
        """
        value = (
            get_json(f"{self.url}/api/states/{device.entity}", self.timeout, self.token).get("attributes", {}).get(name)
        )
        if not isinstance(value, (int, float)):
            raise SecateurError(f"{device.names[0]} has no level to start from: is it on?")
        return float(value)

    def _answers(self, asked: list[Json]) -> list[Any]:
        """The results of WebSocket commands; None for one that this version does not know."""
        client = require("websockets.sync.client", "serve")
        split = urlsplit(self.url)
        if split.scheme not in ("http", "https"):
            raise SecateurError(f"'{self.url}' is not an http address")
        address = f"{'wss' if split.scheme == 'https' else 'ws'}://{split.netloc}{split.path}/api/websocket"
        try:
            with client.connect(address, open_timeout=self.timeout, max_size=MOST) as socket:
                _expect(socket.recv(self.timeout), "auth_required", self.url)
                socket.send(json.dumps({"type": "auth", "access_token": self.token}))
                _expect(socket.recv(self.timeout), "auth_ok", self.url)
                result = []
                for number, command in enumerate(asked, 1):
                    socket.send(json.dumps({"id": number, **command}))
                    answer = _expect(socket.recv(self.timeout), "result", self.url)
                    result.append(answer.get("result") if answer.get("success") else None)
                return result
        except SecateurError:
            raise
        except Exception as problem:  # websockets raises its own kinds, and the system's
            raise SecateurError(f"{self.url}: Home Assistant does not answer ({problem})") from problem


def read_house(answers: Callable[[list[Json]], list[Any]]) -> House:
    """Rooms and devices from the answers to WebSocket commands.

    Raises:
        SecateurError: an answer that is not one of Home Assistant's.
    """
    kinds = ("config/area_registry/list", "config/device_registry/list", "config/entity_registry/list", "get_states",
             "homeassistant/expose_entity/list")  # fmt: skip
    areas, machines, entities, states, exposed = answers([{"type": kind} for kind in kinds])
    try:
        known = {entity["entity_id"]: entity for entity in entities or []}
        wanted = [state["entity_id"] for state in states if state["entity_id"].partition(".")[0] in DOMAINS]
        if exposed is not None:
            shown = exposed["exposed_entities"]
            wanted = [entity for entity in wanted if shown.get(entity, {}).get("conversation")]
        listed = [entity for entity in wanted if entity in known]
        (full,) = answers([{"type": "config/entity_registry/get_entries", "entity_ids": listed}])
        rooms = {m["id"]: m.get("area_id") for m in machines or []}
        titles = {state["entity_id"]: state.get("attributes", {}).get("friendly_name") or "" for state in states}
        devices = []
        for entity in wanted:
            entry = {**known.get(entity, {}), **((full or {}).get(entity) or {})}
            if entry.get("disabled_by") or entry.get("hidden_by"):
                continue
            names = [entry.get("name"), titles[entity], *(entry.get("aliases") or ())]
            spoken = tuple(dict.fromkeys(joined(words_of(name)) for name in names if name and words_of(name)))
            if spoken:
                devices.append(Device(entity, spoken, entry.get("area_id") or rooms.get(entry.get("device_id"))))
        named = {a["area_id"]: (a["name"], *(a.get("aliases") or ())) for a in areas or []}
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        why = f"{type(problem).__name__}: {problem}"
        raise SecateurError(f"Home Assistant answered what is not its own ({why})") from problem
    return House({key: tuple(joined(words_of(name)) for name in names) for key, names in named.items()}, tuple(devices))


def _templates(named: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {value: f"({'|'.join(' '.join(words_of(name)) for name in names)})" for value, names in named.items()}


def _expect(data: str | bytes, kind: str, url: str) -> Json:
    try:
        message = json.loads(data)
        result = message["type"]
    except (ValueError, KeyError, TypeError):
        raise SecateurError(f"{url} did not answer as Home Assistant does") from None
    if result == "auth_invalid":
        raise SecateurError(f"{url}: Home Assistant does not take this token: make one in your profile, under Security")
    if result != kind:
        raise SecateurError(f"{url} did not answer as Home Assistant does ('{result}' where '{kind}' was expected)")
    return dict(message)
