"""A transcript as OpenAI's API words it (https://platform.openai.com/docs/api-reference/audio)."""

from __future__ import annotations

import json
import zlib
from typing import Any

from ...runtime.subtitles import WRITERS, SubtitleSettings, segmented
from ...runtime.transcript import Transcript

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
NAMES = {"en": "english", "zh": "chinese", "de": "german", "fr": "french", "es": "spanish"}  # as OpenAI spells them
TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}


def plain(transcript: Transcript, form: str) -> str:
    """text, srt or vtt."""
    return WRITERS["txt" if form == "text" else form](transcript, SubtitleSettings())


def brief(transcript: Transcript) -> dict[str, Any]:
    """json."""
    return {"text": transcript.text, "usage": _usage(transcript)}


def verbose(transcript: Transcript, granularities: frozenset[str]) -> dict[str, Any]:
    """verbose_json: segments unless only words were asked for, words if they were."""
    language = transcript.language or ""
    found: dict[str, Any] = {
        "task": "transcribe", "language": NAMES.get(language, language), "duration": transcript.duration,
        "text": transcript.text, "usage": _usage(transcript),
    }  # fmt: skip
    if "word" in granularities:
        found["words"] = [
            {"word": word.text, "start": word.start, "end": word.end, "probability": word.confidence}
            for segment in transcript.segments for word in segment.words
        ]  # fmt: skip
    if "segment" in granularities:
        found["segments"] = [
            {
                "id": number, "seek": round(100 * s.start), "start": s.start, "end": s.end, "text": s.text,
                "tokens": list(s.tokens), "temperature": 0.0, "avg_logprob": s.avg_logprob,
                "compression_ratio": len(s.text.encode()) / len(zlib.compress(s.text.encode())),
                "no_speech_prob": s.no_speech_prob or 0.0,
            }
            for number, s in enumerate(segmented(transcript).segments)
        ]  # fmt: skip
    return found


def event(kind: str, **values: Any) -> str:
    """One server-sent event."""
    return f"data: {json.dumps({'type': kind, **values}, ensure_ascii=False)}\n\n"


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": transcript.duration}
