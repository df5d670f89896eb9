"""Timers and alarms: kept in a file, rung once, at the right time; through the command line as through the API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import pytest

from secateur.assistant.skill import SKILLS, Context
from secateur.assistant.skills.clock import tell_time
from secateur.assistant.skills.timer import alarm_time, rings, set_alarm, set_timer
from secateur.assistant.timers import MOST, Ringer, Timer, Timers
from secateur.base.errors import SecateurError


def test_timers_outlive_the_program(tmp_path: Path) -> None:
    now = [1000.0]
    first = Timers(tmp_path / "timers.json", lambda: now[0])
    first.add(Timer(1060.0, 60.0))
    first.add(Timer(1030.0, 30.0))
    again = Timers(tmp_path / "timers.json", lambda: now[0])
    assert [timer.seconds for timer in again.running()] == [30.0, 60.0]
    now[0] = 1045.0
    assert [timer.seconds for timer in again.due()] == [30.0]
    assert again.due() == []
    assert [timer.seconds for timer in Timers(tmp_path / "timers.json").running()] == [60.0]
    (only,) = again.running()
    assert again.cancel(number="none") == []
    assert again.cancel(number=only.id) == [only]
    assert Timers(tmp_path / "timers.json").running() == []


def test_a_foreign_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "timers.json").write_text('{"timers": [{"when": 3}]}')
    with pytest.raises(SecateurError, match="not a file of timers"):
        Timers(tmp_path / "timers.json")


def test_there_is_a_most() -> None:
    timers = Timers()
    for _ in range(MOST):
        timers.add(Timer(2e9))
    with pytest.raises(SecateurError, match="cancel some"):
        timers.add(Timer(2e9))


def test_a_timer_rings_once() -> None:
    context = Context()
    set_timer({"seconds": "0.05"}, context)
    rung, done = [], threading.Event()

    def ring(timer: Timer) -> None:
        rung.append(rings(timer, context))
        done.set()

    ringer = Ringer(context.timers, ring, 0.01)
    ringer.start()
    assert done.wait(20)
    ringer.stop()
    ringer.join(20)
    assert rung == ["Your timer for 0 seconds has run out."]
    assert context.timers.running() == []


@pytest.mark.parametrize(
    ("slots", "now", "at"),
    [
        ({"hour": "7", "minute": "30"}, "2026-03-02 06:00", "2026-03-02 07:30"),
        ({"hour": "7", "minute": "30"}, "2026-03-02 12:00", "2026-03-02 19:30"),
        ({"hour": "7", "minute": "30", "morning": "am"}, "2026-03-02 12:00", "2026-03-03 07:30"),
        ({"hour": "3", "part": "pm"}, "2026-03-02 12:00", "2026-03-02 15:00"),
        ({"hour": "12", "morning": "am"}, "2026-03-02 12:00", "2026-03-03 00:00"),
        ({"hour": "8", "day": "tomorrow"}, "2026-03-02 21:00", "2026-03-03 08:00"),
        ({"hour": "20", "minute": "15"}, "2026-03-02 21:00", "2026-03-03 20:15"),
    ],
)
def test_when_an_alarm_rings(slots: dict[str, str], now: str, at: str) -> None:
    assert alarm_time(slots, datetime.fromisoformat(now)) == datetime.fromisoformat(at)


def test_alarms_and_long_timers_are_answered() -> None:
    noon = datetime(2026, 3, 2, 12).timestamp()
    context = Context(clock=lambda: noon)
    assert set_timer({"hours": "1.5"}, context) == "A timer for 1 hour 30 minutes."
    assert set_timer({"minutes": "2", "seconds": "30"}, context) == "A timer for 2 minutes 30 seconds."
    assert set_alarm({"hour": "7", "minute": "5"}, context) == "An alarm today at 7:05 PM."
    assert [timer.kind for timer in context.timers.running()] == ["timer", "timer", "alarm"]


def _house(language: str = "en") -> Context:
    """Monday noon: timers of 5 and 20 minutes, alarms of 7:45 tomorrow and 22:00, a reminder to call in 5 minutes."""
    context = Context(clock=lambda: datetime(2026, 3, 2, 12).timestamp(), language=language)
    set_timer({"minutes": "5"}, context)
    set_timer({"minutes": "20"}, context)
    set_alarm({"hour": "7", "minute": "45", "morning": "am"}, context)
    set_alarm({"hour": "10"}, context)
    set_timer({"minutes": "5", "text": "call Anna"}, context)
    return context


ALL = {"5 min", "20 min", "07:45", "22:00", "call Anna"}


def _running(context: Context) -> set[str]:
    return {
        t.text or (f"{t.seconds / 60:g} min" if t.seconds else f"{datetime.fromtimestamp(t.ends):%H:%M}")
        for t in context.timers.running()
    }


@pytest.mark.parametrize(
    ("intent", "slots", "gone", "answer"),
    [
        ("cancelTimer", {}, set(), "There are 2 timers: 5 minutes and 20 minutes. Which one?"),
        ("cancelAlarm", {}, set(), "There are 2 alarms: today at 10:00 PM and tomorrow at 7:45 AM. Which one?"),
        ("cancelReminder", {}, {"call Anna"}, "The reminder is off."),
        ("cancelTimer", {"minutes": "5"}, {"5 min"}, "The timer is off: 5 minutes."),
        ("cancelTimer", {"seconds": "300"}, {"5 min"}, "The timer is off: 5 minutes."),
        ("cancelTimer", {"minutes": "6"}, set(), "There is no such timer. Set: 5 minutes and 20 minutes."),
        ("cancelTimer", {"every": "all"}, {"5 min", "20 min"}, "2 timers are off: 5 minutes and 20 minutes."),
        ("cancelAlarm", {"hour": "7", "minute": "45"}, {"07:45"}, "The alarm is off: tomorrow at 7:45 AM."),
        ("cancelAlarm", {"hour": "8", "before": "15"}, {"07:45"}, "The alarm is off: tomorrow at 7:45 AM."),
        ("cancelAlarm", {"hour": "10", "part": "pm"}, {"22:00"}, "The alarm is off: today at 10:00 PM."),
        ("cancelAlarm", {"day": "tuesday"}, {"07:45"}, "The alarm is off: tomorrow at 7:45 AM."),
        ("cancelAlarm", {"morning": "am"}, {"07:45"}, "The alarm is off: tomorrow at 7:45 AM."),
        ("cancelReminder", {"text": "call anna"}, {"call Anna"}, "The reminder is off: call Anna."),
        ("cancelReminder", {"hour": "12", "minute": "5"}, {"call Anna"}, "The reminder is off: call Anna."),
        ("timerLeft", {}, set(), "5 minutes: 5 minutes left; 20 minutes: 20 minutes left."),
        ("timerLeft", {"minutes": "20"}, set(), "20 minutes left."),
        ("stopRinging", {}, set(), "Nothing is ringing."),
    ],
)  # fmt: skip
def test_only_what_is_meant_is_cancelled(intent: str, slots: dict[str, str], gone: set[str], answer: str) -> None:
    context = _house()
    assert SKILLS[intent](slots, context) == answer
    assert _running(context) == ALL - gone


@pytest.mark.parametrize(
    ("slots", "gone"),
    [
        ({"hour": "7"}, set()), ({"hour": "7", "minute": "45", "part": "pm"}, set()),
        ({"hour": "10", "day": "tomorrow"}, set()), ({"day": "friday"}, set()),
        ({"hour": "10", "day": "today"}, {"22:00"}), ({"every": "all"}, {"07:45", "22:00"}),
        ({"every": "all", "day": "tomorrow"}, {"07:45"}),
    ],
)  # fmt: skip
def test_an_alarm_of_another_time_stays(slots: dict[str, str], gone: set[str]) -> None:
    context = _house("zh")
    assert ("已取消" in SKILLS["cancelAlarm"](slots, context)) == bool(gone)
    assert _running(context) == ALL - gone


def test_midnight_belongs_to_the_day_that_it_ends() -> None:
    context = _house()
    set_alarm({"hour": "24", "day": "today"}, context)
    assert "no such" in SKILLS["cancelAlarm"]({"hour": "24", "day": "tomorrow"}, context)
    SKILLS["cancelAlarm"]({"hour": "24", "day": "today"}, context)
    assert _running(context) == ALL


def test_timers_of_one_length_are_told_apart_in_both_languages() -> None:
    context = _house("zh")
    now = context.clock()
    context.timers.add(Timer(now + 200, 300))
    asked = SKILLS["cancelTimer"]({"minutes": "5"}, context)
    assert asked == "有2个计时器：5分钟（还剩3分钟20秒）和5分钟（还剩5分钟）。取消哪一个？"
    assert SKILLS["cancelTimer"]({"every": "all"}, context).startswith("已取消3个计时器")
    assert SKILLS["cancelTimer"]({}, context) == "没有计时器。"
    assert _running(context) == {"07:45", "22:00", "call Anna"}


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ({"hour": "3", "part": "pm", "day": "tomorrow"}, "明天下午3点的闹钟"),
        ({"hour": "6", "minute": "5", "part": "am", "day": "tomorrow"}, "明天早上6点05分的闹钟"),
        ({"hour": "12", "minute": "30", "part": "pm", "day": "today"}, "今天中午12点30分的闹钟"),
        ({"hour": "1", "part": "am", "day": "tomorrow"}, "明天凌晨1点的闹钟"),
    ],
)
def test_times_are_said_as_in_chinese(slots: dict[str, str], words: str) -> None:
    context = _house("zh")
    assert words in set_alarm(slots, context)
    assert tell_time({}, context) == "现在是中午12点。"


def test_the_command_line_rings_even_after_a_restart(tmp_path: Path) -> None:
    """One run sets a timer and ends; the next one, which sets none, rings it."""
    command = [sys.executable, "-m", "secateur", "assistant", "-"]
    environment = {**os.environ, "SECATEUR_CACHE": str(tmp_path)}

    def run(typed: str, *more: str) -> str:
        done = subprocess.run(
            [*command, *more], input=typed, capture_output=True, text=True, check=True, env=environment, timeout=120
        )
        return done.stdout

    assert "A timer for 1 second." in run("set a timer for one second\n")
    kept = json.loads((tmp_path / "timers.json").read_text())["timers"]
    assert [one["seconds"] for one in kept] == [1.0]
    assert "Your timer for 1 second has run out." in run("what is two plus two\n", "--ring")


def test_lines_are_answered_one_by_one(tmp_path: Path) -> None:
    """The answer to a line comes before the next one is typed."""
    command = [sys.executable, "-m", "secateur", "assistant", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "SECATEUR_CACHE": str(tmp_path)},
    ) as program:  # fmt: skip
        assert program.stdin is not None and program.stdout is not None
        for typed, answer in (("what is two plus two", "2 plus 2 is 4."), ("what is 3 times 3", "3 times 3 is 9.")):
            program.stdin.write(typed + "\n")
            program.stdin.flush()
            assert [program.stdout.readline().strip() for _ in range(3)][-1] == answer
        program.stdin.close()
        assert program.wait(60) == 0
