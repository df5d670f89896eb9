"""Transcripts as they are wanted: simplified characters, what sounds right written right, numbers, punctuation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.options import Settings, option
from ..base.progress import say_once
from ..decode.segments import Segment, Transcript, Word
from ..text.languages import base_language

if TYPE_CHECKING:
    from ..text.by_sound import BySound
    from ..text.hotwords import Hotwords

Rewrite = Callable[[Transcript], Transcript]
CHINESE = ("zh", "yue")
CHINESE_ONLY = ("simplified", "correct", "punctuate")


@dataclass(frozen=True)
class WritingSettings(Settings):
    """How what was recognised is written."""

    simplified: bool = option(False, "Write Chinese in simplified characters.")
    correct: Path | None = option(None, "Correct Chinese by its sound with this file of `secateur text learn`.")
    correct_cost: float | None = option(
        None,
        "Charge this much for a character that correction changes; less changes more (left out: what the "
        "word file was tuned to, else 8).",
        unit="nats",
        above=0,
    )
    correct_lm: Path | None = option(
        None, "Ask this language model of Chinese words as well when correcting (a file of `secateur lm`)."
    )
    write_numbers: bool = option(
        False,
        "Write numbers, dates, times and percentages in digits: 3.5 for 三点五 or three point five (Mandarin, "
        "English).",
    )
    punctuate: bool = option(
        False,
        "Punctuate Chinese that was recognised without marks; the weights were learnt from sentences of Chinese "
        "Wikipedia (CC BY-SA) and Common Voice (CC0), see THIRD_PARTY.md.",
    )


def rewriter(settings: WritingSettings, hotwords: Sequence[str] = ()) -> Rewrite | None:
    """What is done to transcripts; None: nothing. `hotwords` are written where Chinese sounds like them.

    Single words, which have times of their own, are simplified only. `correct_cost` is what a changed character costs,
    in place of the word file's; of what the recogniser is sure of, word by word where words were asked for, it costs
    more. Text in languages that a step does not know stays.

    Raises:
        SecateurError: the word file cannot be read, or the extra `zh` is not installed.
    """
    words = [word for word in hotwords if not word.isascii()]
    if settings == WritingSettings() and not words:
        return None
    writer = _Writer(settings, words)
    return writer.rewrite


class _Writer:
    """The steps in their order, with what they need."""

    def __init__(self, settings: WritingSettings, hotwords: Sequence[str]) -> None:
        self.settings = settings
        self.by_sound: BySound | None = None
        self.hotwords: Hotwords | None = None
        if settings.correct is not None:
            from ..lm.tables import read_ngram
            from ..text.by_sound import BySound, costs_of
            from ..text.word_model import WordModel

            model = WordModel.read(settings.correct)
            model = replace(model, protected=(*model.protected, *hotwords))
            lm = None if settings.correct_lm is None else read_ngram(settings.correct_lm)
            self.by_sound = BySound(model, costs_of(model, settings.correct_cost), lm=lm)
        if hotwords:
            from ..text.hotwords import Hotwords

            self.hotwords = Hotwords(hotwords)

    def rewrite(self, transcript: Transcript) -> Transcript:
        """The transcript, its segments, and the script of its words."""
        language = None if transcript.language is None else base_language(transcript.language)
        self._name_unused(language)
        if language is not None and language not in CHINESE and not self.settings.write_numbers:
            return transcript
        segments = tuple(
            replace(s, text=self._written(s.text, [s], language), words=tuple(self._word(w, language) for w in s.words))
            for s in transcript.segments
        )
        text = self._written(transcript.text, transcript.segments, language)
        return replace(transcript, text=text, segments=segments)

    def _name_unused(self, language: str | None) -> None:
        """Say once which of the settings leave text in `language` as it is."""
        if language is None or language in CHINESE:
            return
        wanted = {name for name in CHINESE_ONLY if getattr(self.settings, name)}
        if self.settings.write_numbers and language != "en":
            wanted.add("write_numbers")
        for name in sorted(wanted):
            say_once(f"--{name.replace('_', '-')} does nothing to text in '{language}'")

    def _word(self, word: Word, language: str | None) -> Word:
        if not self.settings.simplified or language not in (None, *CHINESE):
            return word
        from ..text.chinese import simplified

        return replace(word, text=simplified(word.text))

    def _written(self, text: str, segments: Sequence[Segment], language: str | None) -> str:
        if language in (None, *CHINESE):
            text = self._chinese(text, segments)
        if self.settings.write_numbers:
            from ..text.written_numbers import numbers_written

            text = numbers_written(text, language)
        return text

    def _chinese(self, text: str, segments: Sequence[Segment]) -> str:
        sure = confidences(text, segments)
        if self.settings.simplified:
            from ..text.chinese import simplified

            text = simplified(text)
        if self.hotwords is not None:
            text = self.hotwords.written(text)
        if self.by_sound is not None:
            text = self.by_sound.correct(text, None, sure if sure is not None and len(text) == len(sure) else None)
        if self.settings.punctuate:
            from ..text.punctuation import punctuated

            text = punctuated(text, pauses(text, segments))
        return text


def confidences(text: str, segments: Sequence[Segment]) -> list[float] | None:
    """How sure the recogniser was of every character of `text`: of its word, else of its segment; None: unknown."""
    values: list[float] = []
    for segment in segments:
        parts: list[tuple[str, float | None]] = [(w.text, w.confidence) for w in segment.words]
        parts = parts or [(segment.text, segment.confidence)]
        for part, sure in parts:
            at = text.find(part.strip(), len(values)) if part.strip() else -1
            if at < 0 or sure is None:
                continue
            values += [sure] * (at + len(part.strip()) - len(values))
    return values + [values[-1]] * (len(text) - len(values)) if values else None


def pauses(text: str, segments: Sequence[Segment]) -> dict[int, float]:
    """Seconds of silence before characters of `text`, by their place: between words, or else between segments."""
    result: dict[int, float] = {}
    at, last = 0, None
    for segment in segments:
        for one in segment.words or (segment,):
            place = text.find(one.text.strip(), at) if one.text.strip() else -1
            if place < 0:  # written otherwise since
                place = min(at, len(text))
            if last is not None and place:
                result[place] = max(0.0, one.start - last)
            at, last = min(place + len(one.text.strip()), len(text)), one.end
    return result
