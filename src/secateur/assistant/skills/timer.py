"""Timers: set one, ask how long it still runs, stop it."""

from __future__ import annotations

from ..skill import Context, Slots, number, skill

UNITS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
CHINESE = {"hours": "小时", "minutes": "分钟", "seconds": "秒"}


@skill("setTimer")
def set_timer(slots: Slots, context: Context) -> str:
    """Of so many hours, minutes and seconds."""
    seconds = sum(size * number(slots[unit]) for unit, size in UNITS.items() if unit in slots)
    seconds += 30 if "half" in slots else 0
    context.kept.setdefault("timers", []).append(context.clock() + seconds)
    return context.say(f"A timer for {length(seconds)}.", f"好的，{length(seconds, chinese=True)}的计时器。")


@skill("timerLeft")
def timer_left(slots: Slots, context: Context) -> str:
    """What the next timer has left."""
    ends = [end for end in context.kept.get("timers", []) if end > context.clock()]
    if not ends:
        return context.say("No timer is running.", "没有计时器。")
    left = round(min(ends) - context.clock())
    return context.say(f"{length(left)} left.", f"还剩{length(left, chinese=True)}。").capitalize()


@skill("cancelTimer")
def cancel_timer(slots: Slots, context: Context) -> str:
    """All of them."""
    if not context.kept.pop("timers", []):
        return context.say("No timer is running.", "没有计时器。")
    return context.say("The timer is off.", "计时器已取消。")


def due(context: Context) -> int:
    """How many timers have run out since this was last asked; they are forgotten."""
    ends = context.kept.get("timers", [])
    context.kept["timers"] = [end for end in ends if end > context.clock()]
    return len(ends) - len(context.kept["timers"])


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
