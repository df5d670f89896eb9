"""Timers and alarms: set one, ask how long it still runs, stop it. `timers.Ringer` rings them."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...base.errors import SecateurError
from ..days import days_away
from ..skill import Context, Slots, number, skill
from ..timers import Timer

UNITS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
CHINESE = {"hours": "小时", "minutes": "分钟", "seconds": "秒"}


@skill("setTimer")
def set_timer(slots: Slots, context: Context) -> str:
    """Of so many hours, minutes and seconds."""
    seconds = sum(size * number(slots[unit]) for unit, size in UNITS.items() if unit in slots)
    if seconds <= 0:
        return context.say("A timer of no time at all?", "计时器的时间是零。")
    about = slots.get("text", "")
    context.timers.add(Timer(context.clock() + seconds, seconds, text=about))
    lasts, spoken = length(seconds), length(seconds, chinese=True)
    if about:
        return context.say(f"In {lasts} I remind you: {about}.", f"好的，{spoken}后提醒您：{about}。")
    return context.say(f"A timer for {lasts}.", f"好的，{spoken}的计时器。")


@skill("setAlarm")
def set_alarm(slots: Slots, context: Context) -> str:
    """At a time of the day: the next one that is not past."""
    now = datetime.fromtimestamp(context.clock())
    at = alarm_time(slots, now)
    about = slots.get("text", "")
    context.timers.add(Timer(at.timestamp(), kind="alarm", text=about))
    later = (at.date() - now.date()).days
    when = {0: ("today", "今天"), 1: ("tomorrow", "明天")}.get(later, (f"on {at:%A}", f"{at.month}月{at.day}日"))
    clock, spoken = f"{when[0]} at {at:%-I:%M %p}", f"{when[1]}{at.hour}点{at.minute:02}分"
    if about:
        return context.say(f"{clock[0].upper()}{clock[1:]} I remind you: {about}.", f"好的，{spoken}提醒您：{about}。")
    return context.say(f"An alarm {clock}.", f"好的，{spoken}的闹钟。")


@skill("timerLeft")
def timer_left(slots: Slots, context: Context) -> str:
    """What the next timer has left."""
    ends = [t.ends for t in context.timers.running() if t.kind == "timer" and t.ends > context.clock()]
    if not ends:
        return context.say("No timer is running.", "没有计时器。")
    left = round(min(ends) - context.clock())
    return context.say(f"{length(left)} left.", f"还剩{length(left, chinese=True)}。").capitalize()


@skill("cancelTimer")
def cancel_timer(slots: Slots, context: Context) -> str:
    """All of them."""
    if not context.timers.cancel("timer"):
        return context.say("No timer is running.", "没有计时器。")
    return context.say("The timer is off.", "计时器已取消。")


@skill("cancelAlarm")
def cancel_alarm(slots: Slots, context: Context) -> str:
    """All of them."""
    if not context.timers.cancel("alarm"):
        return context.say("No alarm is set.", "没有闹钟。")
    return context.say("The alarm is off.", "闹钟已取消。")


def alarm_time(slots: Slots, now: datetime) -> datetime:
    """When an alarm rings: on the day that was said, else the next time that the clock shows this.

    Raises:
        SecateurError: that time is past.
    """
    hour, minute = int(number(slots["hour"])), int(number(slots.get("minute", "0")))
    half = slots.get("morning") or slots.get("part", "")
    if half == "pm" and hour < 12:
        hour += 12
    elif half == "am" and hour == 12:
        hour = 0
    at = now.replace(hour=hour % 24, minute=minute, second=0, microsecond=0)
    at += timedelta(days=hour // 24) - timedelta(minutes=number(slots.get("before", "0")))  # midnight ends its day
    if "day" in slots:
        away = days_away(slots["day"], now.date())
        if away is None or away < 0:
            raise SecateurError("an alarm cannot ring in the past")
        at += timedelta(days=away)
        if at <= now and not half and hour < 12:
            at += timedelta(hours=12)
        if at <= now and away == 0 and slots["day"] != "today":  # a weekday: the next one
            at += timedelta(days=7)
        if at <= now:
            raise SecateurError("that time is past")
        return at
    while at <= now:  # "at seven", said at noon, is this evening; with "in the morning", tomorrow's
        at += timedelta(hours=12 if not half and 0 < hour <= 12 else 24)
    return at


def due(context: Context) -> int:
    """How many timers have run out since this was last asked; they are forgotten."""
    return len(context.timers.due())


def rings(timer: Timer, context: Context) -> str:
    """What is said when a timer runs out."""
    if timer.text:
        return context.say(f"You wanted to be reminded: {timer.text}.", f"提醒您：{timer.text}。")
    if timer.kind == "alarm":
        at = datetime.fromtimestamp(timer.ends)
        return context.say(f"It is {at:%-I:%M %p}: your alarm.", f"现在{at.hour}点{at.minute:02}分，闹钟响了。")
    lasted, spoken = length(timer.seconds), length(timer.seconds, chinese=True)
    return context.say(f"Your timer for {lasted} has run out.", f"{spoken}到了。")


def length(seconds: float, chinese: bool = False) -> str:
    """Seconds as a person says them.

    >>> length(3661)
    '1 hour 1 minute 1 second'
    """
    rest, parts = round(seconds), []
    for unit, size in UNITS.items():
        count, rest = divmod(rest, int(size))
        if count:
            parts.append(f"{count}{CHINESE[unit]}" if chinese else f"{count} {unit[: -1 if count == 1 else None]}")
    return ("" if chinese else " ").join(parts) or ("0秒" if chinese else "0 seconds")
