"""Containers that begin every part with its size: MP4, ASF, AVI, Matroska. Are all parts there?"""

from __future__ import annotations

from .source import Opened

_MOST = 1_000_000  # boxes
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_TAGS = 1 << 20  # bytes between two recordings
_ASF_EMPTY = 50  # bytes of a data object without data
_SEGMENT, _EBML, _CLUSTER = b"\x18\x53\x80\x67", b"\x1a\x45\xdf\xa3", b"\x1f\x43\xb6\x75"


class CutOffError(Exception):
    """A part ends after the file does; the message says which."""


def mp4(opened: Opened) -> list[int]:
    """Where the recordings of an MP4 or QuickTime file begin (ISO/IEC 14496-12, 4.2).

    Raises:
        CutOffError: a box that ends after the file, or no table of contents.
    """
    starts, offset = [0], 0
    seen: set[bytes] = set()
    for _ in range(_MOST):
        head = opened.at(offset, 16)
        if len(head) < 8:
            break
        size, name = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size == 0:
            size = opened.size - offset
        if not name.isalnum() or size < 8:
            break  # what follows is none of it: padding, as a rule
        if name == b"ftyp" and {b"moov", b"mdat"} <= seen:
            starts.append(offset)
            seen = set()
        if offset + size > opened.size:
            raise CutOffError(f"'{name.decode('latin-1')}' is {size} bytes long, {opened.size - offset} are there")
        seen.add(name)
        offset += size
    if b"moov" not in seen:
        raise CutOffError("the table of contents, which is written last, is missing")
    return starts


def asf(opened: Opened) -> list[int]:
    """Where the recordings of a WMA file begin (ASF specification, 2.2).

    Raises:
        CutOffError: an object that ends after the file.
    """
    starts, offset = [0], 0
    for _ in range(_MOST):
        head = opened.at(offset, 24)
        if len(head) < 24:
            break
        name, size = head[:16], int.from_bytes(head[16:], "little")
        if name == _ASF_HEADER and offset:
            starts.append(offset)
        if size < 24 or (name == _ASF_DATA and size <= _ASF_EMPTY):  # a broadcast: as long as it is
            break
        if name in (_ASF_HEADER, _ASF_DATA) and offset + size > opened.size:
            raise CutOffError(f"an object is {size} bytes long, {opened.size - offset} are there")
        offset += size
    return starts


def avi(opened: Opened) -> list[int]:
    """Where the recordings of an AVI file begin: all RIFF forms belong to one.

    Raises:
        CutOffError: a form that ends after the file.
    """
    offset = 0
    for _ in range(_MOST):
        head = opened.at(offset, 8)
        if len(head) < 8 or head[:4] != b"RIFF":
            break
        size = int.from_bytes(head[4:], "little")
        if 0 < size < 0x7FF0_0000 and offset + 8 + size > opened.size:
            raise CutOffError(f"{size} bytes are announced, {opened.size - offset - 8} are there")
        offset += 8 + size + size % 2
    return [0]


def wavpack(opened: Opened) -> list[int]:
    """Where the recordings of a WavPack file begin: at blocks of sample 0, but for further channels of the first.

    Raises:
        CutOffError: a block that ends after the file.
    """
    starts, offset, before = [0], 0, 0
    while True:
        head = opened.at(offset, 20)
        if len(head) < 20:
            return starts
        if head[:4] != b"wvpk":  # a tag, as a rule
            step = opened.at(offset + 1, _TAGS).find(b"wvpk")
            if step < 0:
                return starts
            offset += 1 + step
            continue
        size, index = 8 + int.from_bytes(head[4:8], "little"), int.from_bytes(head[16:20], "little")
        if offset + size > opened.size:
            raise CutOffError(f"a block is {size} bytes long, {opened.size - offset} are there")
        if index == 0 and before:
            starts.append(offset)
        offset, before = offset + size, index


def matroska(opened: Opened) -> list[int]:
    """Where the recordings of a Matroska or WebM file begin: FFmpeg reads joined ones as one.

    Raises:
        CutOffError: a segment that ends after the file.
    """
    offset = 0
    while offset < opened.size:
        name, size, body = _element(opened, offset)
        if name not in (_EBML, _SEGMENT) or size is None:
            break
        offset = body + size
        if offset > opened.size:
            raise CutOffError(f"a segment is {size} bytes long, {offset - opened.size} of them are missing")
    return [0]


def ends_inside(opened: Opened) -> bool:
    """Whether a Matroska file whose segment does not say how long it is ends inside a block."""
    offset = 0
    while offset < opened.size:
        name, size, body = _element(opened, offset)
        if not name:
            return True
        if name == _SEGMENT and size is not None:
            return False
        offset = body if name in (_SEGMENT, _CLUSTER) else body + (size or 0)
    return offset > opened.size


def _element(opened: Opened, offset: int) -> tuple[bytes, int | None, int]:
    """Name (empty: none), size (None: unknown) and first byte of what an EBML element holds (RFC 8794, 4 to 6)."""
    head = opened.at(offset, 12)
    width = 9 - head[0].bit_length() if head else 9
    if width > 4 or len(head) <= width:
        return b"", None, offset
    name = head[:width]
    long = 9 - head[width].bit_length()
    if long > 8 or len(head) < width + long:
        return b"", None, offset
    size = int.from_bytes(head[width : width + long], "big") & ((1 << 7 * long) - 1)
    return name, None if size == (1 << 7 * long) - 1 else size, offset + width + long
