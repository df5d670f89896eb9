"""Ogg page by page (RFC 3533): chained recordings, missing pages, and whether the last page is whole."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from .source import Opened

BEGIN, END = 2, 4  # flags of a page
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass
class Link:
    """One recording of a chain."""

    start: int  # byte
    end: int
    codecs: list[bytes] = field(default_factory=list)  # how the first packet of every stream begins
    ended: bool = False  # whether every stream has a page that says it is the last
    missing: int = 0  # pages, by their numbers
    damaged: int = 0  # pages, by their checksums
    open: int = 0  # streams without an end

    @property
    def native(self) -> bool:
        """Whether libsndfile reads it: one stream of Opus or Vorbis."""
        return len(self.codecs) == 1 and self.codecs[0].startswith((b"OpusHead", b"\x01vorbis"))


def links(opened: Opened) -> tuple[list[Link], bool]:
    """The recordings of a file in its order, and whether it ends inside a page."""
    recordings: list[Link] = []
    numbers: dict[bytes, int] = {}
    offset, begun = 0, True  # `begun`: the link has pages of sound
    while offset < opened.size:
        page = opened.at(offset, 27 + 255)
        if page[:4] != b"OggS":
            offset = _next_page(opened, offset + 1)
            continue
        if len(page) < 27 or len(page) < 27 + page[26]:
            return recordings, True
        table = page[27 : 27 + page[26]]
        size = 27 + len(table) + sum(table)
        whole = opened.at(offset, size)
        serial, number = page[14:18], int.from_bytes(page[18:22], "little")
        if offset + size > opened.size:
            return recordings, True
        if page[5] & BEGIN:
            if begun:
                recordings.append(Link(offset, opened.size))
                if len(recordings) > 1:
                    recordings[-2].end = offset
                numbers, begun = {}, False
            recordings[-1].codecs.append(opened.at(offset + 27 + len(table), 16))
            recordings[-1].open += 1
        elif recordings:
            begun = True
            if serial in numbers:
                recordings[-1].missing += max(0, min(number - numbers[serial] - 1, 1 << 20))
        if recordings and checksum(whole) != int.from_bytes(page[22:26], "little"):
            recordings[-1].damaged += 1
        if recordings and page[5] & END:
            recordings[-1].open -= 1
        numbers[serial] = number
        offset += size
    for link in recordings:
        link.ended = link.open <= 0
    return recordings, False


def checksum(page: bytes) -> int:
    """CRC-32 of a page with its own field zeroed (RFC 3533, 6): polynomial 0x04c11db7, highest bit first, from 0.

    `zlib` has the same one lowest bit first, so that bits go in and come out the other way round.
    """
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    return int(f"{zlib.crc32(mirrored, 0xFFFF_FFFF) ^ 0xFFFF_FFFF:032b}"[::-1], 2)


def _next_page(opened: Opened, offset: int) -> int:
    """Where the next page begins, the end if none does."""
    while offset < opened.size:
        block = opened.at(offset, 1 << 20)
        at = block.find(b"OggS")
        if at >= 0:
            return offset + at
        if len(block) < 1 << 20:
            break
        offset += len(block) - 3
    return opened.size
