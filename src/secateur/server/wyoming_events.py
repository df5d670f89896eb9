"""Wyoming's events as bytes, read with bounds: a length that a client claims is checked before a byte is kept."""

from __future__ import annotations

import asyncio
import json

from wyoming.audio import AudioChunk
from wyoming.event import Event

from ..base.errors import SecateurError
from ..base.files import Json

MOST_HEADER = 65_536  # bytes of the JSON line, and of further data
MOST_PAYLOAD = 1 << 20  # bytes; half a minute at 16 kHz, clients send tenths of a second
RATES = (8_000, 48_000)  # Hz


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """The next event; None at the end of the stream. `reader` refuses lines above its own limit.

    Raises:
        SecateurError: not an event, or a larger one than any client needs.
        IncompleteReadError: the stream ended inside an event.
    """
    try:
        line = await reader.readline()
    except ValueError:
        raise SecateurError(f"an event's first line has more than {MOST_HEADER} bytes") from None
    if not line:
        return None
    header = _table(line)
    data = header.get("data") or {}
    if not isinstance(data, dict) or not isinstance(header.get("type"), str):
        raise SecateurError("not an event: it needs a type, and data that is a table")
    length = _length(header, "data_length", MOST_HEADER)
    if length:
        data = data | _table(await reader.readexactly(length))
    length = _length(header, "payload_length", MOST_PAYLOAD)
    return Event(header["type"], data, await reader.readexactly(length) if length else None)


def checked_chunk(event: Event) -> AudioChunk:
    """The sound in an event.

    Raises:
        SecateurError: a rate, a width or a number of channels that no microphone has, or half a sample.
    """
    chunk = AudioChunk.from_event(event)
    for name, least, most in (("rate", *RATES), ("width", 1, 4), ("channels", 1, 2)):
        value = getattr(chunk, name)
        if type(value) is not int or not least <= value <= most:
            raise SecateurError(f"audio-chunk: {name} must be from {least} to {most}")
    if len(chunk.audio) % (chunk.width * chunk.channels):
        raise SecateurError("audio-chunk: its bytes are no whole number of samples")
    return chunk


def _table(data: bytes) -> Json:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise SecateurError("not an event: one line of JSON, a table, was expected")
    return values


def _length(header: Json, name: str, most: int) -> int:
    value = header.get(name) or 0
    if type(value) is not int or not 0 <= value <= most:
        raise SecateurError(f"{name} must be from 0 to {most}")
    return value
