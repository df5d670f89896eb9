"""Days as grammars name them: today, friday, next friday; how far away they are, and their names in Chinese."""

from __future__ import annotations

from datetime import date, datetime

AWAY = {
    "the day before yesterday": -2, "yesterday": -1, "today": 0, "tomorrow": 1, "the day after tomorrow": 2,
    "in three days": 3,
}  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CHINESE = dict(zip(AWAY, ("前天", "昨天", "今天", "明天", "后天", "大后天"), strict=True)) | {"the weekend": "周末"}


def days_away(day: str, today: date) -> int | None:
    """Days from `today` to the day of a slot; None where it is no single day, such as the weekend.

    >>> thursday = date(2026, 11, 26)
    >>> [days_away(day, thursday) for day in ("tomorrow", "thursday", "monday", "next monday", "next sunday")]
    [1, 0, 4, 4, 10]
    """
    weekday = day.removeprefix("next ")
    if weekday not in WEEKDAYS:
        return AWAY.get(day)
    ahead = WEEKDAYS.index(weekday) - today.weekday()
    return ahead + 7 if day != weekday else ahead % 7


def chinese_day(day: str) -> str:
    """
    >>> chinese_day("tomorrow"), chinese_day("next friday"), chinese_day("sunday")
    ('明天', '下星期五', '星期日')
    """
    weekday = day.removeprefix("next ")
    if weekday not in WEEKDAYS:
        return _CHINESE.get(day, "")
    return f"{'' if day == weekday else '下'}星期{'一二三四五六日'[WEEKDAYS.index(weekday)]}"


PARTS = ((5, "凌晨"), (8, "早上"), (11, "上午"), (13, "中午"), (18, "下午"), (24, "晚上"))  # each up to this hour


def chinese_time(at: datetime) -> str:
    """The time of day as it is said in Chinese.

    >>> chinese_time(datetime(2026, 12, 1, 15, 0)), chinese_time(datetime(2026, 12, 1, 6, 5))
    ('下午3点', '早上6点05分')
    """
    part = next(name for hour, name in PARTS if at.hour < hour)
    hour = at.hour - 12 if at.hour > 12 else at.hour
    return f"{part}{hour}点" + (f"{at.minute:02}分" if at.minute else "")
