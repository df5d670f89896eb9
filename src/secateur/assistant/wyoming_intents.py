"""Wyoming's intent service for the assistant's grammar: `recognize` a text, get an `intent` with its entities.

(https://github.com/OHF-Voice/wyoming#intent-recognition) Nothing is done here: what an intent does is the client's.
"""

from __future__ import annotations

from wyoming.event import Event
from wyoming.info import Attribution, IntentModel, IntentProgram
from wyoming.intent import Entity, Intent, IntentsStart, IntentsStop, NotRecognized, Recognize

from ..base.errors import SecateurError
from ..base.version import __version__
from ..server.http.engine import Engine, sendable
from .grammar.words import joined
from .understand import Understanding

LONGEST = 300  # letters of a command
OURS = Attribution("secateur", "https://pypi.org/project/secateur")


class Intents:
    """What the Wyoming server says and answers about intents."""

    def __init__(self, engine: Engine, understanding: Understanding, grammars: tuple[str, ...]) -> None:
        self.engine, self.understanding, self.grammars = engine, understanding, grammars

    def programs(self) -> list[IntentProgram]:
        """For `describe`."""
        grammar = self.understanding.grammar
        about = f"{len(set(grammar.intents))} intents: {', '.join(self.grammars)}"
        model = IntentModel("-".join(self.grammars), OURS, True, about, __version__, [grammar.language])
        return [IntentProgram("secateur", OURS, True, "Commands by grammar", __version__, [model])]

    async def answer(self, event: Event) -> list[Event] | None:
        """The answer to `recognize`: one intent, several between `intents-start` and `-stop`, or `not-recognized`.

        None: another event.

        Raises:
            SecateurError: a text that is too long for a command.
        """
        if not Recognize.is_type(event.type):
            return None
        asked = Recognize.from_event(event)
        if not isinstance(asked.text, str) or len(asked.text) > LONGEST:
            raise SecateurError(f"a command is a text of at most {LONGEST} letters")
        understood = await self.engine.in_turn(self.understanding.text, sendable(asked.text))
        if not understood.matches:
            unknown = self.understanding.unknown(understood.text)
            text = f"unknown: {joined(unknown)}" if unknown else None
            return [NotRecognized(text, asked.context).event()]
        intents = []
        for one in understood.matches:
            entities = [Entity(name, value) for name, value in one.slots.items()]
            intents.append(Intent(one.intent, entities, context=asked.context).event())
        return intents if len(intents) == 1 else [IntentsStart().event(), *intents, IntentsStop().event()]
