"""From audio to an intent: free recognition, phrase mode, and which of the two to believe."""

from __future__ import annotations

from dataclasses import dataclass

from ..decode.options import DecodingOptions
from ..decode.segments import Audio
from ..runtime.recogniser import Recogniser
from .grammar.file import Grammar
from .grammar.match import Match, match
from .phrases.phrases import Phrases


@dataclass(frozen=True)
class Understood:
    """What was heard and what it means; `match` is None for what the grammar does not have."""

    text: str
    match: Match | None
    free: str  # what the recogniser wrote without a grammar


class Understanding:
    """A recogniser and a grammar.

    Args:
        phrases: decode inside the grammar too (phrase mode); else texts are only matched with it.
    """

    def __init__(self, recogniser: Recogniser, grammar: Grammar, phrases: bool = True) -> None:
        self.recogniser, self.grammar = recogniser, grammar
        self.phrases = Phrases(recogniser, grammar) if phrases else None
        self._options = DecodingOptions(language=grammar.language)

    def audio(self, samples: Audio) -> Understood:
        """Of one command (samples,) at the recogniser's rate."""
        free = self.recogniser.transcribe(samples, self._options).text
        if not free:
            return Understood("", None, "")
        found = match(self.grammar.graph, free)
        if self.phrases is not None and not (found and found.cost == 0):
            phrase = self.phrases.hear(samples, free)
            if phrase is not None:
                return Understood(phrase.text, phrase.match, free)
        return Understood(free, found, free)

    def text(self, text: str) -> Understood:
        """Of a command that was typed."""
        return Understood(text, match(self.grammar.graph, text), text)
