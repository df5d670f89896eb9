"""The weather, from an address that the user gives."""

from __future__ import annotations

from urllib.parse import urlencode

from ..remote import get_json
from ..skill import Context, Slots, skill


@skill("getWeather")
def weather(slots: Slots, context: Context) -> str:
    """Temperature and condition at a place."""
    url = context.settings.weather_url
    if not url:
        return context.say("No weather service is set up.", "没有设置天气服务。")
    place = slots.get("place", "")
    found = get_json(f"{url}{'&' if '?' in url else '?'}{urlencode({'place': place})}", context.settings.timeout)
    where = f" in {place}" if place else ""
    degrees, sky = found.get("temperature"), found.get("condition", "")
    return context.say(f"It is {degrees} degrees and {sky}{where}.", f"{place}{degrees}度，{sky}。")
