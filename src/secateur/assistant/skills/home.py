"""Lamps, sockets, heating: services of a Home Assistant, or one HTTP call to whatever else runs the house."""

from __future__ import annotations

from ...base.errors import SecateurError
from ...base.files import Json
from ..home_assistant import DOMAINS, Device, HomeAssistant
from ..remote import post_json
from ..skill import Context, Slots, number, skill


@skill("turnOn", "turnOff", "setBrightness", "setColor", "setTemperature")
def control(slots: Slots, context: Context) -> str:
    """Tell the house what to do, and say it back."""
    if context.home is not None:
        return in_home_assistant(slots, context, context.home)
    url = context.settings.home_url
    if not url:
        return context.say("No smart home is set up.", "没有设置智能家居。")
    thing, area = slots.get("name", "light"), slots.get("area", "")
    call: Json = {"name": thing, "area": area, "action": slots.get("action", "set")}
    if "every" in slots:
        call["all"] = True
    value = next((slots[key] for key in ("brightness", "color", "temperature") if key in slots), None)
    if value is not None:
        call["value"] = value
    post_json(url, call, context.settings.timeout, context.settings.home_token)
    return done(slots, context, area, thing, value)


def in_home_assistant(slots: Slots, context: Context, home: HomeAssistant) -> str:
    """The services that an order means; where a name means devices of several rooms, which one is asked."""
    domains = {"color": ("light",), "brightness": ("light",), "temperature": ("climate",)}
    kind = next((key for key in domains if key in slots), None)
    allowed = domains[kind] if kind is not None else tuple(DOMAINS)
    area = slots.get("area", "")
    if kind == "temperature":
        devices = _climate(slots, home, area)
    elif "name" not in slots:  # "lights off"
        devices = [device for device in home.house.devices if device.domain == "light" and _in(home, device, area)]
    else:
        devices = home.house.named(slots["name"], area, allowed)
    rooms = sorted({home.house.area_of(device) or device.names[0] for device in devices})
    whole = "every" in slots or "name" not in slots or slots["name"] in ("everything", "所有设备")
    if not devices:
        thing = f"{area} {slots.get('name', '')}".strip()
        return context.say(f"There is no {thing} that can do that.", f"没有可以这样控制的{thing}。")
    if len(devices) > 1 and not whole and not area and len(rooms) > 1:
        return context.say(f"Which one: {', '.join(rooms)}?", f"是哪一个：{'、'.join(rooms)}？")
    if kind == "temperature":
        home.call("climate", "set_temperature", devices, temperature=number(slots["temperature"]))
    elif kind == "brightness":
        home.light(devices, brightness=number(slots["brightness"]))
    elif kind == "color":
        home.light(devices, colour=slots["color"])
    elif "action" in slots:
        home.switch(devices, slots["action"] == "on")
    else:
        raise SecateurError("an order without on or off")
    thing = slots.get("name", context.say("lights", "灯"))
    return done(slots, context, area, thing, slots[kind] if kind is not None else None)


def _climate(slots: Slots, home: HomeAssistant, area: str) -> list[Device]:
    """What regulates the temperature: the one of that name, else those of the room."""
    named = home.house.named(slots.get("name", ""), area, ("climate",))
    return named or [d for d in home.house.devices if d.domain == "climate" and _in(home, d, area)]


def _in(home: HomeAssistant, device: Device, area: str) -> bool:
    return not area or area in home.house.areas.get(device.area or "", ())


def done(slots: Slots, context: Context, area: str, thing: str, value: str | None) -> str:
    """What was done, in words."""
    every = "every" in slots
    if context.chinese:
        where = f"{area}{'的' if area else ''}{'所有的' if every else ''}{thing}"
        how = f"设为{value}" if value is not None else "打开" if slots.get("action") == "on" else "关闭"
        return f"{where}已{how}。"
    many = every or (thing.endswith("s") and thing != "everything")
    plural = "s" if every and not thing.endswith("s") else ""
    if thing == "everything":
        where, many = f"everything{f' in the {area}' if area else ''}", False
    else:
        room = [] if thing.startswith(f"{area} ") else area.split()
        where = " ".join(["all the" if every else "the", *room, thing + plural])
    state = f"set to {value}" if value is not None else slots.get("action", "on")
    return f"{where[0].upper()}{where[1:]} {'are' if many else 'is'} {state}."
