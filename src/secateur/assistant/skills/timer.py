"""Timers and alarms: set one, ask how long it still runs, stop it. `timers.Ringer` rings them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ...base.errors import SecateurError
from ..days import chinese_time, days_away
from ..skill import Context, Slots, number, skill
from ..timers import Timer

UNITS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
CHINESE = {"hours": "小时", "minutes": "分钟", "seconds": "秒"}
CALLED = {"timer": "计时器", "alarm": "闹钟", "reminder": "提醒"}


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
    when = _when(at.timestamp(), context)
    if about:
        return context.say(f"{when[0].upper()}{when[1:]} I remind you: {about}.", f"好的，{when}提醒您：{about}。")
    return context.say(f"An alarm {when}.", f"好的，{when}的闹钟。")


@skill("timerLeft")
def timer_left(slots: Slots, context: Context) -> str:
    """What each timer has left; where there is none, each reminder that was set like one."""
    running = [t for t in context.timers.running() if t.kind == "timer" and t.ends > context.clock()]
    running = [t for t in running if not t.text] or running
    if not running:
        return context.say("No timer is running.", "没有计时器。")
    meant = [t for t in running if _meant(t, slots, context)]
    if not meant:
        return _none_such("timer", running, context)
    left = [round(max(0.0, t.ends - context.clock())) for t in meant]
    if len(meant) == 1:
        return context.say(f"{length(left[0])} left.", f"还剩{length(left[0], chinese=True)}。").capitalize()
    each = [
        context.say(f"{name}: {length(rest)} left", f"{name}：还剩{length(rest, chinese=True)}")
        for name, rest in zip(_names(meant, context), left, strict=True)
    ]
    return context.say(f"{'; '.join(each)}.", f"{'；'.join(each)}。")


@skill("cancelTimer")
def cancel_timer(slots: Slots, context: Context) -> str:
    """One of the timers, or all."""
    return cancel("timer", slots, context)


@skill("cancelAlarm")
def cancel_alarm(slots: Slots, context: Context) -> str:
    """One of the alarms, or all."""
    return cancel("alarm", slots, context)


@skill("cancelReminder")
def cancel_reminder(slots: Slots, context: Context) -> str:
    """One of the reminders, or all."""
    return cancel("reminder", slots, context)


def cancel(called: str, slots: Slots, context: Context) -> str:
    """The only one, the one that time, length or text name, or all; which one, is asked where it is not plain."""
    running = [t for t in context.timers.running() if t.called == called]
    chinese = CALLED[called]
    if not running:
        state = "running" if called == "timer" else "set"
        return context.say(f"No {called} is {state}.", f"没有{chinese}。")
    meant = [t for t in running if _meant(t, slots, context)]
    if not meant:
        return _none_such(called, running, context)
    names = _listed(_names(meant, context), context)
    if len(meant) > 1 and "every" not in slots:
        return context.say(
            f"There are {len(meant)} {called}s: {names}. Which one?",
            f"有{len(meant)}个{chinese}：{names}。取消哪一个？",
        )
    for timer in meant:
        context.timers.cancel(number=timer.id)
    if len(meant) > 1:
        return context.say(f"{len(meant)} {called}s are off: {names}.", f"已取消{len(meant)}个{chinese}：{names}。")
    if slots.keys() <= {"every"}:
        return context.say(f"The {called} is off.", f"{chinese}已取消。")
    return context.say(f"The {called} is off: {names}.", f"{chinese}已取消：{names}。")


@skill("stopRinging")
def stop_ringing(slots: Slots, context: Context) -> str:
    """What has run out; what still runs goes on."""
    late = [t for t in context.timers.running() if t.ends <= context.clock()]
    for timer in late:
        context.timers.cancel(number=timer.id)
    if not context.hush() and not late:
        return context.say("Nothing is ringing.", "没有在响的。")
    return context.say("Quiet.", "已停止。")


def _meant(timer: Timer, slots: Slots, context: Context) -> bool:
    """Whether what `slots` say of a timer holds for this one: its length, time, day and text."""
    seconds = sum(size * number(slots[unit]) for unit, size in UNITS.items() if unit in slots)
    if not UNITS.keys().isdisjoint(slots) and abs(timer.seconds - seconds) > 0.5:
        return False
    if slots.get("text", "").lower() not in timer.text.lower():
        return False
    at = datetime.fromtimestamp(timer.ends)
    half, hour = slots.get("morning") or slots.get("part", ""), int(number(slots.get("hour", "-1")))
    if hour >= 0:
        minutes = hour % 24 * 60 + int(number(slots.get("minute", "0"))) - int(number(slots.get("before", "0")))
        if half and 0 < hour <= 12:
            minutes += 720 * ((half == "pm") - (hour == 12))
        if (at.hour * 60 + at.minute - minutes) % (720 if not half and 0 < hour <= 12 else 1440):
            return False
    elif half and (half == "pm") != (at.hour >= 12):
        return False
    if "day" in slots:
        today = datetime.fromtimestamp(context.clock()).date()
        day = (at.date() - today).days - max(hour, 0) // 24  # midnight ends its day
        away = days_away(slots["day"], today)
        return day == away or (away == 0 and slots["day"] != "today" and day == 7)  # a weekday: the next one
    return True


def _names(timers: Sequence[Timer], context: Context) -> list[str]:
    """What tells timers apart: what a reminder is of, when an alarm rings, how long a timer was set for, and where two
    are the same, what they have left."""
    names = []
    for timer in timers:
        if timer.text:
            names.append(timer.text)
        elif timer.kind == "alarm":
            names.append(_when(timer.ends, context))
        else:
            names.append(length(timer.seconds, context.chinese))
    return [
        context.say(f"{name} ({length(left)} left)", f"{name}（还剩{length(left, chinese=True)}）")
        if timer.kind == "timer" and names.count(name) > 1
        else name
        for name, timer in zip(names, timers, strict=True)
        for left in [max(0.0, timer.ends - context.clock())]
    ]


def _listed(names: Sequence[str], context: Context) -> str:
    """Names as a person lists them."""
    signs = context.say(", ", "、"), context.say(" and ", "和")
    return signs[1].join([signs[0].join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _none_such(called: str, others: Sequence[Timer], context: Context) -> str:
    names = _listed(_names(others, context), context)
    return context.say(f"There is no such {called}. Set: {names}.", f"没有这个{CALLED[called]}。现有：{names}。")


def _when(ends: float, context: Context) -> str:
    """When an alarm rings, in words."""
    at = datetime.fromtimestamp(ends)
    later = (at.date() - datetime.fromtimestamp(context.clock()).date()).days
    when = {0: ("today", "今天"), 1: ("tomorrow", "明天")}.get(later, (f"on {at:%A}", f"{at.month}月{at.day}日"))
    return context.say(f"{when[0]} at {at:%-I:%M %p}", f"{when[1]}{chinese_time(at)}")


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
        return context.say(f"It is {at:%-I:%M %p}: your alarm.", f"现在{chinese_time(at)}，闹钟响了。")
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
