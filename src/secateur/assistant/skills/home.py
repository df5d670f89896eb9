"""Lamps, sockets, heating: services of a Home Assistant, or one HTTP call to whatever else runs the house."""

from __future__ import annotations

from ...base.errors import SecateurError
from ...base.files import Json
from ..home_assistant import DOMAINS, LIGHTS, Device, HomeAssistant
from ..remote import post_json
from ..skill import Context, Slots, number, skill

SET = {"color": ("light",), "brightness": ("light",), "temperature": ("climate",), "volume": ("media_player",)}
# What an action changes where no device was named: English, Chinese, and the domains that have it.
CHANGES = {
    ("brighter", "dimmer"): ("light", "灯", ("light",)),
    ("louder", "quieter"): ("volume", "音量", ("media_player",)),
    ("warmer", "cooler"): ("temperature", "温度", ("climate",)),
    ("up", "down"): ("", "", ("light", "media_player", "climate", "fan")),
}
UP = {pair[0] for pair in CHANGES}
CHINESE = {
    "brighter": "调亮", "dimmer": "调暗", "louder": "调大", "quieter": "调小", "warmer": "调高", "cooler": "调低",
    "up": "调高", "down": "调低",
}  # fmt: skip


@skill("turnOn", "turnOff", "setBrightness", "setColor", "setTemperature", "setVolume", "adjust")
def control(slots: Slots, context: Context) -> str:
    """Tell the house what to do, and say it back."""
    if context.home is not None:
        return in_home_assistant(slots, context, context.home)
    url = context.settings.home_url
    if not url:
        return context.say("No smart home is set up.", "没有设置智能家居。")
    thing, area = slots.get("name") or _changed(slots, context), slots.get("area", "")
    if not thing:
        return _what(context)
    call: Json = {"name": thing, "area": area, "action": slots.get("action", "set")}
    if "every" in slots:
        call["all"] = True
    value = next((slots[key] for key in (*SET, "by") if key in slots), None)
    if value is not None:
        call["value"] = value
    post_json(url, call, context.settings.timeout, context.settings.home_token)
    return done(slots, context, area, thing, value)


def in_home_assistant(slots: Slots, context: Context, home: HomeAssistant) -> str:
    """The services that an order means; where a name means devices of several rooms, which one is asked."""
    kind = next((key for key in SET if key in slots), None)
    change = next((change for actions, change in CHANGES.items() if slots.get("action") in actions), None)
    allowed = SET[kind] if kind is not None else change[2] if change is not None else tuple(DOMAINS)
    area, name = slots.get("area", ""), slots.get("name") or _changed(slots, context)
    if not name:
        return _what(context)
    unnamed = "name" not in slots or (name == LIGHTS and not home.house.named(name, area, allowed))
    if allowed == ("climate",):
        devices = _climate(slots, home, area)
    elif unnamed:  # "lights off", "louder"
        domain = "light" if kind is None and change is None else allowed[0]
        devices = [device for device in home.house.devices if device.domain == domain and _in(home, device, area)]
    else:
        devices = home.house.named(name, area, allowed)
    rooms = sorted({home.house.area_of(device) or device.names[0] for device in devices})
    whole = "every" in slots or name in ("everything", "所有设备")
    whole |= unnamed and kind is None and change is None
    if not devices:
        thing = f"{area} {name}".strip()
        return context.say(f"There is no {thing} that can do that.", f"没有可以这样控制的{thing}。")
    if len(devices) > 1 and not whole and not area and len(rooms) > 1:
        return context.say(f"Which one: {', '.join(rooms)}?", f"是哪一个：{'、'.join(rooms)}？")
    if kind == "temperature":
        home.call("climate", "set_temperature", devices, temperature=number(slots["temperature"]))
    elif kind == "brightness":
        home.light(devices, brightness=number(slots["brightness"]))
    elif kind == "color":
        home.light(devices, colour=slots["color"])
    elif kind == "volume":
        home.call("media_player", "volume_set", devices, volume_level=number(slots["volume"]) / 100)
    elif change is not None:
        home.adjust(devices, slots["action"] in UP, number(slots["by"]) if "by" in slots else None)
    elif "action" in slots:
        home.switch(devices, slots["action"] == "on")
    else:
        raise SecateurError("an order without on or off")
    thing = slots.get("name") or (name if kind or change else context.say("lights", "灯"))
    return done(slots, context, area, thing, slots[kind] if kind is not None else None)


def _changed(slots: Slots, context: Context) -> str:
    """What an order without a device is about; empty where that must be asked."""
    names = next((change for actions, change in CHANGES.items() if slots.get("action") in actions), None)
    if names is None:
        names = next(
            (change for change in CHANGES.values() if any(SET[key] == change[2] for key in SET if key in slots)), None
        )
    return context.say(*(names or ("light", "灯"))[:2])


def _what(context: Context) -> str:
    return context.say("Which one: the light, the volume or the temperature?", "调什么：灯光、音量还是温度？")


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
        action = slots.get("action", "")
        by = f"{slots['by']}{'度' if action in ('warmer', 'cooler') else '%'}" if "by" in slots else "一些"
        change = f"{CHINESE[action]}{by}" if action in CHINESE else "打开" if action == "on" else "关闭"
        how = f"设为{value}" if value is not None and "action" not in slots else change
        return f"{where}已{how}。"
    many = every or (thing.endswith("s") and thing != "everything")
    plural = "s" if every and not thing.endswith("s") else ""
    if thing == "everything":
        where, many = f"everything{f' in the {area}' if area else ''}", False
    else:
        room = [] if thing.startswith(f"{area} ") else area.split()
        where = " ".join(["all the" if every else "the", *room, thing + plural])
    action = slots.get("action", "on")
    by = f"{slots['by']} {'degrees' if action in ('warmer', 'cooler') else 'percent'} " if "by" in slots else ""
    state = f"set to {value}" if value is not None and "action" not in slots else f"{by}{action}"
    return f"{where[0].upper()}{where[1:]} {'are' if many else 'is'} {state}."
