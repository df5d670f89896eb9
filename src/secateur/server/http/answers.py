"""A transcript as OpenAI's API words it (https://platform.openai.com/docs/api-reference/audio)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ...base.errors import SecateurError
from ...base.files import Json
from ...decode.segments import Segment, Transcript
from ...runtime.recogniser import Recogniser
from ...runtime.subtitles import WRITERS, SubtitleSettings, segmented
from ...text.languages import base_language, languages

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}

Piece = tuple[int, bytes, float]  # a token, what it spells, its log probability


def plain(transcript: Transcript, form: str) -> str:
    """text, srt or vtt."""
    return WRITERS["txt" if form == "text" else form](transcript, SubtitleSettings())


def brief(transcript: Transcript, pieces: Sequence[Piece] | None = None) -> Json:
    """json; with the log probability of each of `pieces`."""
    result: Json = {"text": transcript.text, "usage": _usage(transcript)}
    return result if pieces is None else result | {"logprobs": logprobs(pieces)}


def verbose(
    transcript: Transcript, granularities: frozenset[str], pieces: Sequence[Piece], task: str = "transcribe"
) -> Json:
    """verbose_json: segments unless only words were asked for, words if they were."""
    result: Json = {
        "task": task,
        "language": _name(transcript.language),
        "duration": transcript.duration,
        "text": transcript.text,
        "usage": _usage(transcript),
    }
    if "word" in granularities:
        result["words"] = [
            {"word": word.text, "start": word.start, "end": word.end, "probability": word.confidence}
            for segment in transcript.segments
            for word in segment.words
        ]
    if "segment" in granularities:
        result["segments"] = [
            {
                "id": number, "seek": round(100 * s.start), "start": s.start, "end": s.end, "text": s.text,
                "tokens": list(s.tokens), "temperature": s.temperature, "avg_logprob": s.avg_logprob,
                "compression_ratio": len(s.text.encode()) / len(zlib.compress(s.text.encode())),
                "no_speech_prob": s.no_speech_prob or 0.0,
            }
            for number, s in enumerate(_shared(segmented(transcript).segments, pieces))
        ]  # fmt: skip
    return result


def pieces_of(recogniser: Recogniser, transcript: Transcript) -> list[Piece]:
    """The tokens that a transcript was written with, those without letters (timestamps) left out."""
    codec = getattr(recogniser, "tokenizer", None)
    spelled = _spelled(codec) if codec is not None else None
    text = getattr(recogniser, "text", None)
    result: list[Piece] = []
    for segment in transcript.segments:
        for token, log_prob in zip(segment.tokens, segment.log_probs, strict=False):
            data = spelled.get(token, b"") if spelled is not None else text.decode([token]).encode() if text else b""
            if data:
                result.append((token, data, log_prob))
    return result


@lru_cache(maxsize=16)
def _spelled(codec: Any) -> dict[int, bytes]:
    """The bytes of every text token of a tokenizer."""
    spelled: dict[int, bytes] = codec.spelled()
    return spelled


def logprobs(pieces: Sequence[Piece]) -> list[Json]:
    """Each token, its bytes and its log probability."""
    return [{"token": data.decode(errors="replace"), "bytes": list(data), "logprob": p} for _, data, p in pieces]


def event(kind: str, **values: object) -> str:
    """One server-sent event."""
    return f"data: {json.dumps({'type': kind, **values}, ensure_ascii=False)}\n\n"


def _shared(segments: Sequence[Segment], pieces: Sequence[Piece]) -> list[Segment]:
    """`segments` with the tokens of `pieces` that spell each, and their mean; as they are where those spell another
    text (one that was rewritten since)."""
    lengths = [len(b"".join(data.split())) for _, data, _ in pieces]
    texts = [len("".join(segment.text.split()).encode()) for segment in segments]
    if not pieces or sum(lengths) != sum(texts):
        return list(segments)
    result, at, begun, end = [], 0, 0, 0
    for segment, length in zip(segments, texts, strict=True):
        first, end = at, end + length
        while at < len(pieces) and (begun < end or segment is segments[-1]):
            begun += lengths[at]
            at += 1
        mine = pieces[first:at]
        mean = sum(p for *_, p in mine) / len(mine) if mine else segment.avg_logprob
        result.append(replace(segment, tokens=tuple(token for token, *_ in mine), avg_logprob=mean))
    return result


def _name(language: str | None) -> str:
    """As OpenAI spells it: english."""
    try:
        return languages()[base_language(language)].name.lower() if language else ""
    except (SecateurError, KeyError):
        return language or ""


def _usage(transcript: Transcript) -> Json:
    return {"type": "duration", "seconds": transcript.duration}
