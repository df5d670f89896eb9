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
    thing, area = slots.get("name", "light"), slots.get("area", "")
    call: dict[str, Any] = {"name": thing, "area": area, "action": slots.get("action", "set")}
    value = next((slots[key] for key in ("brightness", "color", "temperature") if key in slots), None)
    if value is not None:
        call["value"] = value
    post_json(url, call, context.settings.timeout, context.settings.home_token)
    where = f"{area} {thing}".strip()
    if value is not None:
        return context.say(f"The {where} is set to {value}.", f"{where}已设为{value}。")
    action = slots.get("action", "on")
    return context.say(f"The {where} is {action}.", f"{where}已{'打开' if action == 'on' else '关闭'}。")
