"""The assistant: a command in, an answer out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..base.errors import SecateurError
from ..decode.segments import Audio
from .chat import Chat
from .skill import Context, Skill
from .understand import Understanding, Understood


@dataclass(frozen=True)
class Reply:
    """What was heard, what it was taken for, and what the assistant says; `acted` tells whether a skill ran."""

    heard: str
    free: str
    intent: str | None
    slots: dict[str, str] = field(default_factory=dict)
    confidence: float = 0.0
    answer: str = ""
    acted: bool = False


class Assistant:
    """Understands, acts, answers.

    Args:
        skills: what answers an intent.
        chat: what answers everything else; None: it is said that nothing was understood.
        context: settings and memory of the skills.
    """

    def __init__(
        self, understanding: Understanding, skills: Mapping[str, Skill], context: Context, chat: Chat | None = None
    ) -> None:
        self.understanding, self.skills, self.context, self.chat = understanding, skills, context, chat

    def hear(self, samples: Audio) -> Reply:
        """Answer a spoken command."""
        return self._act(self.understanding.audio(samples))

    def read(self, text: str) -> Reply:
        """Answer a typed command."""
        return self._act(self.understanding.text(text))

    def _act(self, understood: Understood) -> Reply:
        heard, match = understood.text, understood.match
        if not heard:
            return Reply("", "", None)
        if match is None:
            return Reply(heard, understood.free, None, answer=self._otherwise(understood.free))
        known = Reply(heard, understood.free, match.intent, dict(match.slots), round(match.confidence, 3))
        if match.intent not in self.skills:
            words = ", ".join(f"{key}: {value}" for key, value in match.slots.items())
            return Reply(**{**known.__dict__, "answer": f"{match.intent} ({words})"})
        try:
            answer = self.skills[match.intent](match.slots, self.context)
        except SecateurError as problem:
            say = self.context.say(f"That did not work: {problem}.", f"没有成功：{problem}。")
            return Reply(**{**known.__dict__, "answer": say})
        return Reply(**{**known.__dict__, "answer": answer, "acted": True})

    def _otherwise(self, text: str) -> str:
        """The brain's answer, or an apology."""
        if self.chat is not None:
            try:
                return self.chat.answer(text)
            except SecateurError as problem:
                return self.context.say(f"I cannot think right now: {problem}.", f"现在无法回答：{problem}。")
        return self.context.say("I did not understand that.", "我没有听懂。")
