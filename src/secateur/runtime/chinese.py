"""Chinese transcripts as they are wanted: in simplified characters, and with what sounds right written right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..decode.segments import Segment
from ..text.chinese import simplified
from ..text.languages import base_language
from .transcript import Transcript

if TYPE_CHECKING:
    from ..text.by_sound import BySound


def rewriter(simplify: bool, words: Path | None, cost: float | None = None) -> Callable[[Transcript], Transcript]:
    """What is done to transcripts: simplified characters, and correction with a file of `secateur text learn`.

    Transcripts in other languages stay, and so, under correction, do single words, which have times of their own.
    `cost` is what a changed character costs (nats), in place of the word file's; of what the recogniser is sure of,
    word by word where words were asked for, it costs more.

    Raises:
        SecateurError: the file cannot be read, or the extra `zh` is not installed.
    """
    correct: BySound | None = None
    if words is not None:
        from ..text.by_sound import BySound, costs_of
        from ..text.word_model import WordModel

        model = WordModel.read(words)
        correct = BySound(model, costs_of(model, cost))

    def written(text: str, segments: Sequence[Segment]) -> str:
        sure = confidences(text, segments)
        after = simplified(text) if simplify else text
        if correct is None:
            return after
        return correct.correct(after, None, sure if sure is not None and len(after) == len(sure) else None)

    def rewrite(transcript: Transcript) -> Transcript:
        if transcript.language is not None and base_language(transcript.language) != "zh":
            return transcript
        segments = tuple(
            replace(
                s, text=written(s.text, [s]),
                words=tuple(replace(w, text=simplified(w.text)) for w in s.words) if simplify else s.words,
            )
            for s in transcript.segments
        )  # fmt: skip
        return replace(transcript, text=written(transcript.text, transcript.segments), segments=segments)

    return rewrite


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
