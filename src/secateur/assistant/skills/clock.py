"""What time it is, and what day."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..days import chinese_time, days_away
from ..skill import Context, Slots, skill

DAYS = "一二三四五六日"
WHEN = {
    0: ("Today is", "今天是"),
    1: ("Tomorrow is", "明天是"),
    -1: ("Yesterday was", "昨天是"),
    2: ("The day after tomorrow is", "后天是"),
    -2: ("The day before yesterday was", "前天是"),
    3: ("In three days it is", "大后天是"),
}


@skill("getTime")
def tell_time(slots: Slots, context: Context) -> str:
    """The hour and minute."""
    now = datetime.fromtimestamp(context.clock())
    return context.say(f"It is {now:%-I:%M %p}.", f"现在是{chinese_time(now)}。")


@skill("getDate")
def tell_date(slots: Slots, context: Context) -> str:
    """The day, or tomorrow's, yesterday's or next Friday's."""
    now = datetime.fromtimestamp(context.clock())
    away = days_away(slots.get("day", "today"), now.date()) or 0
    day = now + timedelta(days=away)
    when = WHEN.get(away, ("That is", "那天是"))
    weekday = DAYS[day.weekday()]
    return context.say(f"{when[0]} {day:%A, %B} {day.day}.", f"{when[1]}{day.month}月{day.day}日，星期{weekday}。")
