"""What a realtime session is set to, in both of OpenAI's spellings: `session.update` and the older
`transcription_session.update` (https://platform.openai.com/docs/api-reference/realtime-client-events).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...base.errors import SecateurError, nearest
from ...base.files import Json
from ...decode.options import DecodingOptions
from ...runtime.streaming import StreamOptions
from .asked import LONGEST_PROMPT
from .engine import RefusedError
from .stream_session import RATES

LOGPROBS = "item.input_audio_transcription.logprobs"
OLD_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
OLD_NAMES = {kind: name for name, kind in OLD_FORMATS.items()}
PCM_RATE = 24_000  # Hz, OpenAI's
TELEPHONE_RATE = 8000  # Hz, of G.711 (ITU-T G.711, tables 1 and 2): a byte a sample, companded
PADDING = 300  # milliseconds before speech that belong to it: `runtime.streaming.stream.BEFORE`
# What a session may hold that means nothing to a transcription, or is not done here; shown as null where it is shown.
PASSED_OVER = (
    "id",
    "object",
    "expires_at",
    "client_secret",
    "noise_reduction",
    "input_audio_noise_reduction",
    "tracing",
)


Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Vad:
    """Server-side turn detection."""

    threshold: float = 0.5
    silence: int = 600  # milliseconds


@dataclass(frozen=True)
class Session:
    """The settings of one connection."""

    kind: str = "audio/pcm"
    rate: int = PCM_RATE
    model: str | None = None
    language: str | None = None
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    vad: Vad | None = Vad()
    logprobs: bool = False

    def updated(self, values: object) -> Session:
        """With what a client sent as `session`.

        Raises:
            RefusedError: a value that is not known, by its name.
        """
        values = _table(values, "session")
        if values.get("type", "transcription") != "transcription":
            raise _refused("session.type must be transcription: this server speaks no answers", "session.type")
        flat = _flat(values)
        result = self
        for name, value in flat.items():
            result = result._with(name, value)
        return result

    def _with(self, name: str, value: Any) -> Session:
        if name == "format":
            return replace(self, **_format(value))
        if name == "transcription":
            return self._transcription(_table(value or {}, "session.audio.input.transcription"))
        if name == "turn_detection":
            return replace(self, vad=_vad(value))
        if name == "include":
            if not isinstance(value or [], list) or set(map(str, value or [])) - {LOGPROBS}:
                raise _refused(f"session.include knows only {LOGPROBS}", "session.include")
            return replace(self, logprobs=bool(value))
        return self

    def _transcription(self, values: Mapping[str, Any]) -> Session:
        result, known = self, ("model", "language", "languages", "prompt", "keywords", "delay")
        for name, value in values.items():
            where = f"session.audio.input.transcription.{name}"
            if name not in known:
                raise _refused(f"unknown {where}{nearest(name, known)}", where)
            if name in ("keywords", "languages"):
                if not isinstance(value or [], list) or not all(isinstance(one, str) for one in value or []):
                    raise _refused(f"{where} must be a list of texts", where)
                if name == "keywords":
                    result = replace(result, keywords=tuple(value or ()))
                elif value and len(value) == 1:
                    result = replace(result, language=value[0])
            elif value is not None and not isinstance(value, str):
                raise _refused(f"{where} must be a text", where)
            elif name == "language":
                result = replace(result, language=None if (value or "auto").lower() == "auto" else value)
            elif name == "prompt":
                result = replace(result, prompt=(value or "")[-LONGEST_PROMPT:])
            elif name == "model":
                result = replace(result, model=value)
        try:
            result.decoding(DecodingOptions())
        except SecateurError as problem:
            raise _refused(str(problem), "session.audio.input.transcription.language") from problem
        return result

    def decoding(self, usual: DecodingOptions) -> DecodingOptions:
        """How its audio is decoded.

        Raises:
            SecateurError: a language that is none.
        """
        words = (*usual.words, *self.keywords, *([self.prompt] if self.prompt else []))
        return replace(usual, language=self.language or usual.language, words=words)

    def listening(self, usual: StreamOptions) -> StreamOptions:
        """How its speech is detected."""
        vad = self.vad or Vad()
        return replace(usual, threshold=vad.threshold, pause=vad.silence / 1000)

    def shown(self, number: str, old: bool) -> Json:
        """As the server tells it: what is in force."""
        transcription: Json = {
            "model": self.model or "default",
            "language": self.language,
            "prompt": self.prompt or None,
        }
        vad = self.vad and {
            "type": "server_vad",
            "threshold": self.vad.threshold,
            "prefix_padding_ms": PADDING,
            "silence_duration_ms": self.vad.silence,
        }
        include = [LOGPROBS] if self.logprobs else None
        if old:
            return {
                "id": number, "object": "realtime.transcription_session", "input_audio_format": OLD_NAMES[self.kind],
                "input_audio_transcription": transcription, "turn_detection": vad, "include": include,
                "input_audio_noise_reduction": None, "modalities": ["text"],
            }  # fmt: skip
        form: Json = {"type": self.kind}
        if self.kind == "audio/pcm":
            form["rate"] = self.rate
        incoming = {"format": form, "transcription": transcription, "turn_detection": vad, "noise_reduction": None}
        return {"id": number, "object": "realtime.transcription_session", "type": "transcription",
                "audio": {"input": incoming}, "include": include}  # fmt: skip


def _flat(values: Mapping[str, object]) -> Json:
    """The settings of either spelling, by the newer one's names."""
    known = ("type", "audio", "include", *PASSED_OVER, "input_audio_format", "input_audio_transcription",
             "turn_detection", "modalities")  # fmt: skip
    result: Json = {}
    for name, value in values.items():
        if name not in known:
            raise _refused(f"unknown session.{name[:60]}{nearest(name, known)}", f"session.{name[:60]}")
        if name == "input_audio_format":
            if not isinstance(value, str) or value not in OLD_FORMATS:
                raise _refused(f"session.{name} is one of {', '.join(OLD_FORMATS)}", f"session.{name}")
            result["format"] = {"type": OLD_FORMATS[value]}
        elif name == "input_audio_transcription":
            result["transcription"] = value
        elif name in ("turn_detection", "include"):
            result[name] = value
    incoming = _table(_table(values.get("audio") or {}, "session.audio").get("input") or {}, "session.audio.input")
    inner = ("format", "transcription", "turn_detection", *PASSED_OVER)
    for name, value in incoming.items():
        if name not in inner:
            where = f"session.audio.input.{name[:60]}"
            raise _refused(f"unknown {where}{nearest(name, inner)}", where)
        result[name] = value
    return result


def _format(value: object) -> Json:
    where = "session.audio.input.format"
    values = _table({"type": "audio/pcm"} if value is None else value, where)
    kind, rate = values.get("type", "audio/pcm"), values.get("rate", PCM_RATE)
    if not isinstance(kind, str) or kind not in OLD_NAMES:
        raise _refused(f"{where}.type is one of {', '.join(OLD_NAMES)}", f"{where}.type")
    if kind != "audio/pcm":
        return {"kind": kind, "rate": TELEPHONE_RATE}
    if type(rate) is not int or not RATES[0] <= rate <= RATES[1]:
        raise _refused(f"{where}.rate must be from {RATES[0]} to {RATES[1]} Hz", f"{where}.rate")
    return {"kind": kind, "rate": rate}


def _vad(value: object) -> Vad | None:
    """None: the client commits."""
    if value is None:
        return None
    where = "session.audio.input.turn_detection"
    values = _table(value, where)
    if values.get("type", "server_vad") != "server_vad":
        raise _refused(f"{where}.type must be server_vad, or {where} null", f"{where}.type")
    threshold, silence = values.get("threshold"), values.get("silence_duration_ms")
    threshold, silence = Vad.threshold if threshold is None else threshold, Vad.silence if silence is None else silence
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold < 1:
        raise _refused(f"{where}.threshold must be between 0 and 1", f"{where}.threshold")
    if isinstance(silence, bool) or not isinstance(silence, int | float) or not 50 <= silence <= 10_000:
        raise _refused(f"{where}.silence_duration_ms must be from 50 to 10000", f"{where}.silence_duration_ms")
    return Vad(float(threshold), round(silence))


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _refused(f"{where} must be an object", where)
    return value


def _refused(message: str, param: str) -> RefusedError:
    return RefusedError(400, "invalid_request_error", message, param=param)


def _mu_law() -> Samples:
    code = ~np.arange(256) & 0xFF
    size = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _a_law() -> Samples:
    code = np.arange(256) ^ 0x55
    mantissa, exponent = (code & 0x0F) << 4, (code & 0x70) >> 4
    size = np.where(exponent == 0, mantissa + 8, mantissa + 0x108 << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


TABLES = {"audio/pcmu": _mu_law(), "audio/pcma": _a_law()}


def expanded(data: bytes, kind: str) -> bytes:
    """16-bit little-endian samples of `data`, audio/pcmu (mu-law) or audio/pcma (A-law).

    >>> [np.frombuffer(expanded(b"\\xff\\x00\\x80", "audio/pcmu"), "<i2").tolist()]
    [[0, -32124, 32124]]
    """
    return TABLES[kind][np.frombuffer(data, np.uint8)].astype("<i2").tobytes()
