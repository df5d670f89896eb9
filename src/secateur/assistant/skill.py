"""What a skill is: a function from slots to an answer, beside the sentences that call it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.options import Settings, option
from .home_assistant import HomeAssistant
from .timers import Timers


@dataclass(frozen=True)
class SkillSettings(Settings):
    """What skills need to know about the outside; without its address a skill says that it is not set up."""

    weather_url: str = option(
        "", 'Ask this address for the weather: GET ?place=... answers {"temperature": 21, "condition": "sunny"}.'
    )
    home_url: str = option("", 'Send commands for the home to this address: POST {"name", "area", "action", "value"}.')
    home_assistant_url: str = option(
        "", "Take rooms and devices from the Home Assistant at this address, and call its services."
    )
    home_token: str = option("", "Send this token to either of them, as Authorization: Bearer.")
    notes: Path = option(Path("notes.txt"), "Append notes to this file.", writes=".txt")
    timers: Path | None = option(
        None, "Keep running timers in this file; left out: timers.json in the cache folder.", writes=".json"
    )
    orders_url: str = option("", "Send coffee orders to this address; left out: an order is only read back.")
    timeout: float = option(5.0, "Wait this long for any of these.", unit="s", above=0)


@dataclass
class Context:
    """What a skill may use: settings, the clock, the language, timers, and what it keeps between calls.

    Skills of several clients may run at the same time.
    """

    settings: SkillSettings = field(default_factory=SkillSettings)
    language: str = "en"
    clock: Callable[[], float] = time.time  # seconds since 1970
    kept: Json = field(default_factory=dict)
    timers: Timers = field(default_factory=Timers)
    home: HomeAssistant | None = None
    hush: Callable[[], int] = lambda: 0  # stops what rings; how many that were

    def __post_init__(self) -> None:
        self.timers.clock = self.clock

    @property
    def chinese(self) -> bool:
        """Whether to answer in Chinese."""
        return self.language.startswith("zh")

    def say(self, english: str, chinese: str) -> str:
        """The sentence in the user's language."""
        return chinese if self.chinese else english


Slots = Mapping[str, str]
Skill = Callable[[Slots, Context], str]

SKILLS: dict[str, Skill] = {}


def skill(*intents: str) -> Callable[[Skill], Skill]:
    """Register a function as what answers `intents`."""

    def register(function: Skill) -> Skill:
        for intent in intents:
            if intent in SKILLS and SKILLS[intent].__module__ != function.__module__:
                raise SecateurError(f"two skills answer the intent {intent}: {SKILLS[intent].__module__} and another")
            SKILLS[intent] = function
        return function

    return register


def number(text: str) -> float:
    """A slot's number.

    Raises:
        SecateurError: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise SecateurError(f"'{text}' is not a number") from None


def plain(value: float) -> str:
    """A number as people read it.

    >>> plain(12.0), plain(2.5), plain(1 / 3)
    ('12', '2.5', '0.333')
    """
    return f"{value:.3f}".rstrip("0").rstrip(".")
