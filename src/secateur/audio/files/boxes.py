"""Containers that begin every part with its size: MP4, ASF, AVI, Matroska. Are all parts there?"""

from __future__ import annotations

from .source import Opened

_MOST = 1_000_000  # boxes
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ASF_EMPTY = 50  # bytes of a data object without data
_SEGMENT, _EBML = b"\x18\x53\x80\x67", b"\x1a\x45\xdf\xa3"


class CutOffError(Exception):
    """A part ends after the file does; the message says which."""


def mp4(opened: Opened) -> list[int]:
    """Where the recordings of an MP4 or QuickTime file begin (ISO/IEC 14496-12, 4.2).

    Raises:
        CutOffError: a box that ends after the file, or no table of contents.
    """
    starts, place = [0], 0
    seen: set[bytes] = set()
    for _ in range(_MOST):
        head = opened.at(place, 16)
        if len(head) < 8:
            break
        size, name = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size == 0:
            size = opened.size - place
        if not name.isalnum() or size < 8:
            break  # what follows is none of it: padding, as a rule
        if name == b"ftyp" and {b"moov", b"mdat"} <= seen:
            starts.append(place)
            seen = set()
        if place + size > opened.size:
            raise CutOffError(f"'{name.decode('latin-1')}' is {size} bytes long, {opened.size - place} are there")
        seen.add(name)
        place += size
    if b"moov" not in seen:
        raise CutOffError("the table of contents, which is written last, is missing")
    return starts


def asf(opened: Opened) -> list[int]:
    """Where the recordings of a WMA file begin (ASF specification, 2.2).

    Raises:
        CutOffError: an object that ends after the file.
    """
    starts, place = [0], 0
    for _ in range(_MOST):
        head = opened.at(place, 24)
        if len(head) < 24:
            break
        name, size = head[:16], int.from_bytes(head[16:], "little")
        if name == _ASF_HEADER and place:
            starts.append(place)
        if size < 24 or (name == _ASF_DATA and size <= _ASF_EMPTY):  # a broadcast: as long as it is
            break
        if name in (_ASF_HEADER, _ASF_DATA) and place + size > opened.size:
            raise CutOffError(f"an object is {size} bytes long, {opened.size - place} are there")
        place += size
    return starts


def avi(opened: Opened) -> list[int]:
    """Where the recordings of an AVI file begin: all RIFF forms belong to one.

    Raises:
        CutOffError: a form that ends after the file.
    """
    place = 0
    for _ in range(_MOST):
        head = opened.at(place, 8)
        if len(head) < 8 or head[:4] != b"RIFF":
            break
        size = int.from_bytes(head[4:], "little")
        if 0 < size < 0x7FF0_0000 and place + 8 + size > opened.size:
            raise CutOffError(f"{size} bytes are announced, {opened.size - place - 8} are there")
        place += 8 + size + size % 2
    return [0]


def matroska(opened: Opened) -> list[int]:
    """Where the recordings of a Matroska or WebM file begin (RFC 8794): FFmpeg reads joined ones as one.

    Raises:
        CutOffError: a segment that ends after the file.
    """
    place = 0
    for _ in range(_MOST):
        head = opened.at(place, 12)
        if len(head) < 5 or head[:4] not in (_EBML, _SEGMENT):
            break
        width = 9 - head[4].bit_length()
        if width > 8 or len(head) < 4 + width:
            break
        size = int.from_bytes(head[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        if size == (1 << 7 * width) - 1:  # unknown: as long as it is
            break
        place += 4 + width + size
        if place > opened.size:
            raise CutOffError(f"a segment is {size} bytes long, {place - opened.size} of them are missing")
    return [0]
