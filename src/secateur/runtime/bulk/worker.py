"""The work of one worker: its model transcribes the clips of a piece; an unreadable clip becomes a "problem"."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ...base.errors import SecateurError
from ...base.options import to_dict
from ...data.manifest import Utterance
from ...decode.options import DecodingOptions
from ..recogniser import Recogniser
from ..sides import Sides, joined, sides_of
from ..writing import WritingSettings, rewriter
from .clips import Piece

Rows = list[dict[str, Any]]  # a clip's id with its transcript, or with its "problem"


@dataclass(frozen=True)
class TranscribeSpec:
    """Everything a worker needs; it may be on another machine that sees the same files."""

    model: str | None
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    threads: int | None = None
    workers: int = 1  # groups of clips side by side
    writing: WritingSettings = field(default_factory=WritingSettings)
    channel: Sides | None = None  # None: mixed, or the louder one where channels cancel each other


def make_worker(spec: TranscribeSpec) -> Callable[[Piece], Rows]:
    """Load the model.

    Raises:
        SecateurError: it cannot be loaded.
    """
    recogniser = Recogniser.load(spec.model, spec.threads, workers=spec.workers)
    rewrite = rewriter(spec.writing, spec.decoding.words)

    def transcribe_piece(piece: Piece) -> Rows:
        rows: dict[int, dict[str, Any]] = {}
        read: dict[str | None, list[tuple[int, str, Any]]] = {}
        for number, clip in enumerate(piece.clips):
            try:
                sides = sides_of(clip, recogniser.sample_rate, spec.channel)
            except SecateurError as problem:
                rows[number] = {"id": clip.id, "problem": _reason(clip, problem)}
                continue
            group = read.setdefault(spec.decoding.language or clip.language or None, [])
            group += [(number, name, samples) for name, samples in sides]
        for language, clips in read.items():
            options = replace(spec.decoding, language=language)
            transcripts_of_group = recogniser.transcribe_batch([samples for _, _, samples in clips], options)
            transcripts = map(rewrite, transcripts_of_group) if rewrite else iter(transcripts_of_group)
            for number, one in itertools.groupby(zip(clips, transcripts, strict=True), key=lambda pair: pair[0][0]):
                whole = joined([(name, transcript) for (_, name, _), transcript in one])
                rows[number] = {"id": piece.clips[number].id, **to_dict(whole)}
        return [rows[number] for number in range(len(piece.clips))]

    return transcribe_piece


def _reason(clip: Utterance, problem: SecateurError) -> str:
    return str(problem).removeprefix(f"{clip.audio}: ")
