"""An assistant from its settings: grammars, skills, a house, a brain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..runtime.recogniser import Recogniser
from .assistant import Assistant
from .chat import Chat
from .grammar.file import read_grammar
from .home_assistant import HomeAssistant
from .skill import Context, SkillSettings
from .skills import load
from .timers import kept_timers
from .understand import Understanding


def assemble(
    recogniser: Recogniser, grammars: Sequence[str], settings: SkillSettings, phrases: bool = True,
    skills: Path | None = None, chat_url: str = "", chat_model: str = "default",
) -> Assistant:  # fmt: skip
    """The assistant that these describe. A Home Assistant's rooms and devices take the place of the grammar's own.

    Raises:
        SecateurError: grammars, skills or timers that cannot be read, or a Home Assistant that does not answer.
    """
    timers = kept_timers(settings.timers)
    home = None
    if settings.home_assistant_url:
        home = HomeAssistant(settings.home_assistant_url, settings.home_token, settings.timeout)
    grammar = read_grammar(*grammars, lists=home.house.lists() if home is not None else None)
    context = Context(settings, grammar.language, timers=timers, home=home)
    chat = Chat(chat_url, chat_model, os.environ.get("SECATEUR_CHAT_KEY", "")) if chat_url else None
    return Assistant(Understanding(recogniser, grammar, phrases), load(skills), context, chat)
