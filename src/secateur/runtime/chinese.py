"""Chinese transcripts as they are wanted: in simplified characters, and with what sounds right written right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..text.chinese import simplified
from ..text.languages import base_language
from .transcript import Transcript


def rewriter(simplify: bool, words: Path | None) -> Callable[[Transcript], Transcript]:
    """What is done to transcripts: simplified characters, and correction with a file of `secateur text learn`.

    Transcripts in other languages stay, and so, under correction, do single words, which have times of their own.

    Raises:
        SecateurError: the file cannot be read, or the extra `zh` is not installed.
    """
    correct: Callable[[str], str] | None = None
    if words is not None:
        from ..text.by_sound import BySound
        from ..text.word_model import WordModel

        correct = BySound(WordModel.read(words)).correct

    def written(text: str) -> str:
        text = simplified(text) if simplify else text
        return correct(text) if correct is not None else text

    def rewrite(transcript: Transcript) -> Transcript:
        if transcript.language is not None and base_language(transcript.language) != "zh":
            return transcript
        segments = tuple(
            replace(
                s, text=written(s.text),
                words=tuple(replace(w, text=simplified(w.text)) for w in s.words) if simplify else s.words,
            )
            for s in transcript.segments
        )  # fmt: skip
        return replace(transcript, text=written(transcript.text), segments=segments)

    return rewrite
