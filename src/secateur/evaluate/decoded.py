"""How a recogniser is decoded for an error rate: one way, so that every command gives the same figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.progress import say, track
from ..decode.options import DecodingOptions
from ..decode.prompt import known
from ..decode.segments import Transcript
from ..text.languages import base_language, language

if TYPE_CHECKING:
    from ..data.manifest import Utterance
    from ..models.family import Config
    from ..runtime.recogniser import Recogniser

PIECE = 16  # clips a call: an int8 network's rounding depends on what runs together, so it is part of a result
# Every text counts, however unlikely: no fallback to higher temperatures, no silence threshold, and no voice activity
# detection first.
PLAIN = DecodingOptions(
    temperatures=(0.0,), compression_ratio_threshold=None, log_prob_threshold=None, no_speech_threshold=None,
    calibrated=False, vad="off",
)  # fmt: skip


def decoded(
    recogniser: Recogniser,
    options: DecodingOptions = PLAIN,
    text: Callable[[Transcript], str] | None = None,
    label: str = "transcribing",
) -> Callable[[list[Utterance]], list[str]]:
    """What `evaluate` calls: the texts of clips, each decoded in its own language, where the model takes a language.

    `text` makes the text of a transcript; by default its own.
    """

    def transcribe(utterances: list[Utterance]) -> list[str]:
        note_other_languages(recogniser.config, utterances)
        by_language = speaks(recogniser.config) is not None
        sets: dict[str | None, list[int]] = {}
        for i, u in enumerate(utterances):
            sets.setdefault(u.language if by_language else None, []).append(i)
        pieces = [(name, rows[i : i + PIECE]) for name, rows in sets.items() for i in range(0, len(rows), PIECE)]
        texts = [""] * len(utterances)
        for name, rows in track(pieces, label, len(pieces), quiet=not label):
            own = replace(options, language=options.language or name)
            transcripts = recogniser.transcribe_batch([utterances[i] for i in rows], own)
            for row, one in zip(rows, transcripts, strict=True):
                texts[row] = one.text if text is None else text(one)
        return texts

    return transcribe


def speaks(config: Config) -> tuple[str, ...] | None:
    """The languages that a model with this config can be asked to write; None: English only."""
    tokens = getattr(config, "tokens", None)
    languages = ("en",) if tokens is None else known(tokens)
    return None if languages == ("en",) else languages


def note_other_languages(config: Config, utterances: list[Utterance]) -> None:
    """Print a line where an English-only model is evaluated on other languages: such a figure means little."""
    if getattr(config, "tokens", None) is None or speaks(config) is not None:
        return
    others = sorted({base_language(u.language) for u in utterances} - {"en"})
    if others:
        names = ", ".join(language(code).name for code in others)
        say(f"note: an English-only model on {names}: unless it was tuned for that, take a multilingual one")
