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

from secateur.assistant.skill import Context
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
