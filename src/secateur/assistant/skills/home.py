"""Lamps, sockets, heating: one HTTP call to whatever runs the house."""

from __future__ import annotations

from typing import Any

from ..remote import post_json
from ..skill import Context, Slots, skill


@skill("turnOn", "turnOff", "setBrightness", "setColor", "setTemperature")
def control(slots: Slots, context: Context) -> str:
    """Tell the house what to do, and say it back."""
    url = context.settings.home_url
    if not url:
        return context.say("No smart home is set up.", "没有设置智能家居。")
    every = "every" in slots
    thing, area = slots.get("name", "light"), slots.get("area", "")
    call: dict[str, Any] = {"name": thing, "area": area, "action": slots.get("action", "set")}
    if every:
        call["all"] = True
    value = next((slots[key] for key in ("brightness", "color", "temperature") if key in slots), None)
    if value is not None:
        call["value"] = value
    post_json(url, call, context.settings.timeout, context.settings.home_token)
    if context.chinese:
        where = f"{area}{'的' if area else ''}{'所有的' if every else ''}{thing}"
        done = f"设为{value}" if value is not None else "打开" if slots.get("action") == "on" else "关闭"
        return f"{where}已{done}。"
    many = every or thing.endswith("s")
    plural = "s" if every and not thing.endswith("s") else ""
    where = " ".join(["all the" if every else "the", *area.split(), thing + plural])
    if thing == "everything":
        where, many = f"everything{f' in the {area}' if area else ''}", False
    state = f"set to {value}" if value is not None else slots.get("action", "on")
    return f"{where[0].upper()}{where[1:]} {'are' if many else 'is'} {state}."
