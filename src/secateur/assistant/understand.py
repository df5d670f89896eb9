"""From audio to an intent: free recognition, phrase mode, and which of the two to believe."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..decode.options import DecodingOptions
from ..decode.segments import Audio
from ..runtime.recogniser import Recogniser
from .grammar.file import Grammar
from .grammar.match import Match
from .grammar.several import matches, unknown
from .phrases.phrases import Phrases


@dataclass(frozen=True)
class Understood:
    """What was said and what it orders: nothing, one thing, or two in one sentence."""

    text: str
    matches: tuple[Match, ...]
    free: str  # what the recogniser wrote without a grammar

    @property
    def match(self) -> Match | None:
        """The first order, or None for what the grammar does not have."""
        return self.matches[0] if self.matches else None


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
        if self.phrases is None or len(samples) > self.recogniser.window_seconds * self.recogniser.sample_rate:
            result = self.recogniser.transcribe(samples, self._options)
            return self._free(result.text, result.confidence)
        begun = self.phrases.search.begin(samples)
        free = self._free(begun.free, begun.confidence)
        if begun.free and not (free.matches and all(one.cost == 0 for one in free.matches)):
            phrase = self.phrases.choose(begun)
            if phrase is not None:
                return Understood(phrase.text, (phrase.match,), begun.free)
        return free

    def _free(self, text: str, confidence: float | None) -> Understood:
        """Of what was recognised without a grammar: as sure as the recogniser was of its words."""
        sure = 1.0 if confidence is None else confidence
        return Understood(text, tuple(replace(m, sure=sure) for m in matches(self.grammar.graph, text)), text)

    def text(self, text: str) -> Understood:
        """Of a command that was typed."""
        return Understood(text, tuple(matches(self.grammar.graph, text)), text)

    def unknown(self, text: str) -> tuple[str, ...]:
        """The words that keep a text from being a command of the grammar; empty where it is far from all of them."""
        return tuple(word for word in unknown(self.grammar.graph, text, self.grammar.certain) if word != "的")
