"""The weather, from an address that the user gives."""

from __future__ import annotations

from urllib.parse import urlencode

from ..days import chinese_day
from ..remote import get_json
from ..skill import Context, Slots, skill


@skill("getWeather")
def weather(slots: Slots, context: Context) -> str:
    """Temperature and condition at a place; what was asked of it (`about`: rain, cold, umbrella) is seen in both."""
    url = context.settings.weather_url
    if not url:
        return context.say("No weather service is set up.", "没有设置天气服务。")
    place, day = slots.get("place", ""), slots.get("day", "today")
    asked = {"place": place} | ({"day": day} if day != "today" else {})
    report = get_json(f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}", context.settings.timeout)
    where = f" in {place}" if place else ""
    degrees, sky = report.get("temperature"), report.get("condition", "")
    begin = {"yesterday": "Yesterday it was", "today": "It is"}.get(day, f"{day.capitalize()} it will be")
    when = chinese_day(day) if day != "today" else ""
    return context.say(f"{begin} {degrees} degrees and {sky}{where}.", f"{place}{when}{degrees}度，{sky}。")
