"""The assistant: a command in, an answer out; assembled from its settings. What no intent covers may go to an endpoint
that speaks OpenAI's chat completions.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.options import to_dict
from ..base.plugins import PluginError, plugins_blamed
from ..decode.segments import Audio
from ..runtime.recogniser import Recogniser
from .grammar.file import read_grammar
from .grammar.match import Match
from .grammar.words import joined
from .home_assistant import HomeAssistant
from .remote import post_json
from .skill import Context, Skill, SkillSettings
from .skills import load
from .timers import kept_timers
from .understand import Understanding, Understood

_LOG = logging.getLogger(__name__)
EXCEPTING = re.compile(r"\b(except|apart from|but not)\b|除了|除去", re.IGNORECASE)
SYSTEM = "You answer spoken questions in one or two short sentences that sound well when read aloud."
TURNS = 8  # messages of a conversation that are sent along
CLIENTS = 200  # conversations that are remembered; the one that rested longest is forgotten first


@dataclass(frozen=True)
class Reply:
    """What was recognised, what it was taken for, and what the assistant answers.

    Attributes:
        text: the words of the order, as the grammar writes them where it has them; the key `heard` in JSON.
        free: the words that the recogniser writes without the grammar.
        acted: a skill ran.
        also: intent and slots of a second order in the same sentence.
    """

    text: str
    free: str
    intent: str | None
    slots: dict[str, str] = field(default_factory=dict)
    confidence: float = 0.0
    answer: str = ""
    acted: bool = False
    also: tuple[Json, ...] = ()

    def to_json(self) -> Json:
        """Its values for JSON, in commands and on the web page; `heard` is the released key of `text`."""
        values = to_dict(self)
        return {"heard": values.pop("text"), **values}


class Assistant:
    """Understands, acts, answers.

    Args:
        skills: what answers an intent.
        chat: what answers everything else; None: the answer is that nothing was understood.
        context: settings and memory of the skills.
    """

    def __init__(
        self, understanding: Understanding, skills: Mapping[str, Skill], context: Context, chat: Chat | None = None
    ) -> None:
        self.understanding, self.skills, self.context, self.chat = understanding, skills, context, chat

    def answer_audio(self, samples: Audio, client: str = "") -> Reply:
        """Answer a spoken command of a client."""
        return self.act(self.understanding.audio(samples), client)

    def answer_text(self, text: str, client: str = "") -> Reply:
        """Answer a typed command of a client."""
        return self.act(self.understanding.text(text), client)

    def act(self, understood: Understood, client: str = "") -> Reply:
        """Do what was understood. Takes as long as the skills do; any number of threads may be in here."""
        text, matches = understood.text, understood.matches
        if not text:
            return Reply("", "", None)
        if not matches:
            return Reply(text, understood.free, None, answer=self._otherwise(understood.free, client))
        sure = round(min(match.confidence for match in matches), 3)
        reply = Reply(text, understood.free, matches[0].intent, dict(matches[0].slots), sure)
        also = tuple({"intent": match.intent, "slots": dict(match.slots)} for match in matches[1:])
        answers = [self._answer(match) for match in matches]
        acted = any(done for _, done in answers)
        once = dict.fromkeys(answer for answer, _ in answers)  # the same trouble twice is answered once
        return replace(reply, answer=" ".join(once), acted=acted, also=also)

    def _answer(self, match: Match) -> tuple[str, bool]:
        """The skill's answer, and whether it did its work. What a skill raises is its own answer's trouble only."""
        if match.intent not in self.skills:
            return f"{match.intent} ({', '.join(f'{key}: {value}' for key, value in match.slots.items())})", False
        try:
            with plugins_blamed():
                return self.skills[match.intent](match.slots, self.context), True
        except PluginError as problem:
            _LOG.exception("the skill for %s failed", match.intent)
            why = str(problem)
        except SecateurError as problem:
            return self.context.say(f"That did not work: {problem}.", f"没有成功：{problem}。"), False
        except Exception as problem:  # a skill may be anybody's code
            _LOG.exception("the skill for %s failed", match.intent)
            why = f"{type(problem).__name__}: {problem}"
        english = f"The skill for {match.intent} failed ({why})."
        return self.context.say(english, f"技能{match.intent}出错（{why}）。"), False

    def _otherwise(self, text: str, client: str) -> str:
        """What is not known is asked for; else the brain's answer, or an apology."""
        unknown = self.understanding.unknown(text)
        if EXCEPTING.search(text) and (unknown or self.chat is None):
            english = "I cannot leave some out: name those that you mean."
            return self.context.say(english, "我不会排除某些，请直接说要哪些。")
        if unknown:
            words = joined(unknown)
            english = f"I do not know '{words}' here. What do you mean?"
            return self.context.say(english, f"我不知道“{words}”是什么，请再说一遍。")
        if self.chat is not None:
            try:
                return self.chat.answer(text, client)
            except SecateurError as problem:
                return self.context.say(f"I cannot think right now: {problem}.", f"现在无法回答：{problem}。")
        return self.context.say("I did not understand that.", "我没有听懂。")


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


class Chat:
    """The conversations with every client, each for itself.

    Args:
        url: base address, such as http://localhost:8080/v1
        model: the name the endpoint knows.
    """

    def __init__(self, url: str, model: str = "default", key: str = "", timeout: float = 30.0) -> None:
        self.url, self.model, self.key, self.timeout = url.rstrip("/"), model, key, timeout
        self._lock = threading.Lock()
        self._turns: OrderedDict[str, list[dict[str, str]]] = OrderedDict()

    def answer(self, text: str, client: str = "") -> str:
        """What the endpoint answers to `text`, with the client's conversation before it.

        Raises:
            SecateurError: no answer, or not one of a chat.
        """
        question = {"role": "user", "content": text}
        with self._lock:
            before = list(self._turns.get(client, ()))
        messages = [{"role": "system", "content": SYSTEM}, *before, question]
        reply = post_json(
            f"{self.url}/chat/completions", {"model": self.model, "messages": messages}, self.timeout, self.key
        )
        try:
            answer = str(reply["choices"][0]["message"]["content"]).strip()
        except (KeyError, IndexError, TypeError):
            raise SecateurError(f"{self.url} did not answer as a chat endpoint does") from None
        with self._lock:
            now = self._turns.get(client, [])
            self._turns[client] = [*now, question, {"role": "assistant", "content": answer}][-TURNS:]
            self._turns.move_to_end(client)
            while len(self._turns) > CLIENTS:
                self._turns.popitem(last=False)
        return answer
