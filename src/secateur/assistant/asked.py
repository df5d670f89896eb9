"""Phrase mode for one request: a list of phrases, or a grammar by its name or its TOML, that a client sends along."""

from __future__ import annotations

import threading
import tomllib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ..base.errors import SecateurError
from ..base.files import Json
from ..decode.segments import Audio
from ..runtime.recogniser import Recogniser
from .grammar.file import Grammar, grammar_of, read_grammar
from .grammar.words import words_of
from .understand import Understanding

if TYPE_CHECKING:
    from ..server.http.asked import Asked

KEPT = 8  # grammars that are kept ready
MOST = 50_000  # states of a client's grammar


class AskedPhrases:
    """What the server's transcriptions ask: see `server.http.transcriptions.PhraseMode`.

    Args:
        grammars: files that clients may name beside those that come with secateur, by their names.
    """

    def __init__(self, grammars: tuple[str, ...] = ()) -> None:
        self._files = {name: name for name in grammars}
        self._ready: OrderedDict[tuple[Any, ...], Understanding] = OrderedDict()
        self._lock = threading.Lock()

    def recognise(self, recogniser: Recogniser, audio: Audio, asked: Asked) -> Json:
        """The sentence that was said, its confidence, and in a grammar its intent and slots; `free` is the text as
        recognised without one.

        Raises:
            SecateurError: no such grammar, one that cannot be read, phrases without words, or audio that is too long.
        """
        if len(audio) > recogniser.window_seconds * recogniser.sample_rate:
            raise SecateurError(f"phrases and grammar are for at most {recogniser.window_seconds:g} s of audio")
        understood = self._understanding(recogniser, asked).audio(audio)
        match = understood.match
        phrase: Json = {"free": understood.free, "confidence": round(match.confidence, 3) if match else 0.0}
        text = understood.text if match else ""
        if match is not None and asked.phrases:
            text = asked.phrases[int(match.intent)]
        elif match is not None:
            phrase |= {"intent": match.intent, "slots": dict(match.slots)}
        return {"text": text, "phrase": phrase}

    def _understanding(self, recogniser: Recogniser, asked: Asked) -> Understanding:
        language = asked.options.language or (recogniser.languages[0] if len(recogniser.languages) == 1 else "en")
        key = (id(recogniser), asked.phrases, asked.grammar, language)
        with self._lock:
            ready = self._ready.get(key)
            if ready is None:
                grammar = _phrases(asked.phrases, language) if asked.phrases else self._grammar(asked.grammar)
                ready = self._ready[key] = Understanding(recogniser, grammar)
            self._ready.move_to_end(key)
            while len(self._ready) > KEPT:
                self._ready.popitem(last=False)
            return ready

    def _grammar(self, text: str) -> Grammar:
        """A grammar by name, or from its own words. A client's name is looked up here, never on the disk."""
        if "\n" not in text and "=" not in text:
            if text.endswith(".toml") and text not in self._files:
                raise SecateurError(f"no grammar '{text[:80]}': send its TOML, or name home, coffee or home_zh")
            return read_grammar(text)
        try:
            table = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as problem:
            raise SecateurError(f"the grammar is not TOML ({problem})") from problem
        return grammar_of([("grammar", table)], most=MOST)


def _phrases(phrases: tuple[str, ...], language: str) -> Grammar:
    """A grammar of plain sentences, whose intents are their numbers."""
    intents = {}
    for number, phrase in enumerate(phrases):
        words = [word for word in words_of(phrase) if word != "?"]
        if not words:
            raise SecateurError(f"'{phrase[:40]}' has no word")
        intents[str(number)] = [" ".join(words)]
    return grammar_of([("phrases", {"language": language, "intents": intents})], most=MOST)
