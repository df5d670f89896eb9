"""Files that say in a header how many bytes of samples follow: WAV, RF64, W64, AIFF, AU, CAF.

What the header says is compared with what is there: programs that write to a pipe cannot know, recorders that lost
power never wrote it, and `cat` puts several files into one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from .source import Opened

UNKNOWN = 0x7FF0_0000  # bytes; programs that write to a pipe claim about 2 or 4 GiB, a length they cannot know
_MOST = 10_000  # chunks
_W64 = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"  # ends all of its names but two


@dataclass(frozen=True)
class Stretch:
    """Where the samples of one recording are, in bytes of the file."""

    start: int  # of the recording
    samples: int
    promised: int | None  # bytes of samples by the header; None: it does not know
    field: int  # where the header says so
    form: str  # how: of `struct`
    per_second: float  # bytes of samples, 0 if unknown
    follows: int | None  # where chunks after the samples begin to make no sense; None: they make sense
    end: int  # of the recording
    extra: int = 0  # bytes by which the header's number is larger
    coding: int = 0  # WAV's number for how samples are coded
    frames: int = 0  # samples a channel, where the header says so; 0: it does not


def riff(opened: Opened, start: int = 0) -> Stretch | None:
    """A WAV file, in 32-bit or 64-bit (RF64, EBU Tech 3306) sizes; None without a chunk of samples."""
    order = ">" if opened.at(start, 4) == b"RIFX" else "<"
    wide = opened.at(start, 4) in (b"RF64", b"BW64")
    total = _number(opened, start + 4, order + "I")
    last = min(opened.size, start + 8 + total) if total < UNKNOWN and total > 4 else opened.size
    offset, per_second, long_size, coding, frames = start + 12, 0.0, 0, 0, 0
    for _ in range(_MOST):
        head = opened.at(offset, 8)
        if len(head) < 8:
            return None
        size = struct.unpack(order + "I", head[4:])[0]
        body = opened.at(offset + 8, 24)
        if head[:4] == b"ds64" and len(body) == 24:
            long_size = struct.unpack("<Q", body[8:16])[0]
            last = min(opened.size, start + 8 + struct.unpack("<Q", body[:8])[0]) or opened.size
        if head[:4] == b"fmt " and len(body) >= 16:
            per_second = float(struct.unpack(order + "I", body[8:12])[0])
            coding = struct.unpack(order + "H", body[:2])[0]
        if head[:4] == b"fact" and len(body) >= 4:
            frames = struct.unpack(order + "I", body[:4])[0]
        if head[:4] == b"data":
            if wide and size == 0xFFFF_FFFF:
                promised, field, form = (long_size if long_size < 1 << 62 else None), start + 28, "<Q"
            else:
                promised, field, form = (None if size >= UNKNOWN else size), offset + 4, order + "I"
            stretch = _stretch(opened, start, offset + 8, promised, field, form, per_second, last, order)
            return replace(stretch, coding=coding, frames=frames)
        offset += 8 + size + size % 2
    return None


def w64(opened: Opened) -> Stretch | None:
    """Sony's Wave64: names of 16 bytes, sizes of 8 that count themselves, everything at a multiple of 8."""
    offset, per_second = 40, 0.0
    for _ in range(_MOST):
        head = opened.at(offset, 24)
        if len(head) < 24 or head[4:16] != _W64:
            return None
        size = struct.unpack("<Q", head[16:])[0]
        if head[:4] == b"fmt ":
            per_second = float(_number(opened, offset + 24 + 8, "<I"))
        if head[:4] == b"data":
            promised = size - 24 if 24 <= size < 1 << 62 else None
            return Stretch(0, offset + 24, promised, offset + 16, "<Q", per_second, None, opened.size, 24)
        offset += max(24, size + -size % 8)
    return None


def aiff(opened: Opened, start: int = 0) -> Stretch | None:
    """AIFF and AIFC: as RIFF, numbers the other way round."""
    total = _number(opened, start + 4, ">I")
    last = min(opened.size, start + 8 + total) if 4 < total < UNKNOWN else opened.size
    offset, per_second = start + 12, 0.0
    for _ in range(_MOST):
        head = opened.at(offset, 8)
        if len(head) < 8:
            return None
        size = struct.unpack(">I", head[4:])[0]
        if head[:4] == b"COMM":
            body = opened.at(offset + 8, 18)
            if len(body) == 18 and size == 18 and body[8] & 0x7F:  # without coding, so bytes can be counted
                power = struct.unpack(">H", body[8:10])[0] - 16383 - 63
                rate = struct.unpack(">Q", body[10:18])[0] * 2.0**power if -64 <= power <= 0 else 0.0
                channels, _, bits = struct.unpack(">HIH", body[:8])
                per_second = rate * channels * ((bits + 7) // 8)
        if head[:4] == b"SSND":
            promised = None if size >= UNKNOWN else max(0, size - 8)
            stretch = _stretch(opened, start, offset + 16, promised, offset + 4, ">I", per_second, last, ">")
            return replace(stretch, extra=8)
        offset += 8 + size + size % 2
    return None


def au(opened: Opened) -> Stretch | None:
    """Sun's .au: one header."""
    head = opened.at(0, 24)
    if len(head) < 24:
        return None
    start, size, coding, rate, channels = struct.unpack(">5I", head[4:])
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(coding, 0)
    promised = None if size >= UNKNOWN else size
    follows = start + size if promised and opened.at(start + size, 4) != b".snd" else None
    return Stretch(0, start, promised, 8, ">I", float(rate) * channels * width, follows, opened.size)


def caf(opened: Opened) -> Stretch | None:
    """Apple's Core Audio Format: chunks with sizes of 8 bytes, -1 for samples up to the end."""
    offset, per_second = 8, 0.0
    for _ in range(_MOST):
        head = opened.at(offset, 12)
        if len(head) < 12:
            return None
        size = struct.unpack(">q", head[4:])[0]
        if head[:4] == b"desc":
            body = opened.at(offset + 12, 32)
            if len(body) == 32:
                rate, each, frames = struct.unpack(">d", body[:8])[0], *struct.unpack(">II", body[16:24])
                per_second = rate * each / frames if frames and 0 < rate < 1e6 else 0.0
        if head[:4] == b"data":
            promised = size - 4 if size >= 4 else None
            return Stretch(0, offset + 16, promised, offset + 4, ">q", per_second, None, opened.size, 4)
        if size < 0:
            return None
        offset += 12 + size
    return None


def _number(opened: Opened, offset: int, form: str) -> int:
    data = opened.at(offset, struct.calcsize(form))
    return int(struct.unpack(form, data)[0]) if len(data) == struct.calcsize(form) else 0


def _stretch(
    opened: Opened, start: int, samples: int, promised: int | None, field: int, form: str, per_second: float,
    last: int, order: str,
) -> Stretch:  # fmt: skip
    """The samples with what comes after them: chunks, another file, or what makes no sense there."""
    follows: int | None = None
    end = opened.size
    if promised is not None and samples + promised < opened.size:
        offset = samples + promised + promised % 2
        if promised % 2 and not _is_chunk(opened, offset, order) and _is_chunk(opened, offset - 1, order):
            offset -= 1  # written without padding
        while offset < opened.size:
            head = opened.at(offset, 8)
            if head[:4] in (b"RIFF", b"RF64", b"FORM", b"RIFX") and offset >= last - 1:
                end = offset  # another file
                break
            if not _is_chunk(opened, offset, order):
                follows = offset if offset > samples + promised + 1 else samples + promised
                break
            size = int.from_bytes(head[4:], "little" if order == "<" else "big")
            offset += 8 + size + size % 2
    return Stretch(start, samples, promised, field, form, per_second, follows, end)


def _is_chunk(opened: Opened, offset: int, order: str) -> bool:
    """Whether a chunk may begin there: a name that can be printed, a size that fits."""
    head = opened.at(offset, 8)
    size = int.from_bytes(head[4:], "little" if order == "<" else "big")
    printable = len(head) == 8 and all(0x20 <= c < 0x7F for c in head[:4])
    return printable and offset + size <= opened.size
