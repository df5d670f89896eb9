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
    found: list[Link] = []
    numbers: dict[bytes, int] = {}
    place, begun = 0, True  # `begun`: the link has pages of sound
    while place < opened.size:
        page = opened.at(place, 27 + 255)
        if page[:4] != b"OggS":
            place = _next_page(opened, place + 1)
            continue
        if len(page) < 27 or len(page) < 27 + page[26]:
            return found, True
        table = page[27 : 27 + page[26]]
        size = 27 + len(table) + sum(table)
        whole = opened.at(place, size)
        serial, number = page[14:18], int.from_bytes(page[18:22], "little")
        if place + size > opened.size:
            return found, True
        if page[5] & BEGIN:
            if begun:
                found.append(Link(place, opened.size))
                if len(found) > 1:
                    found[-2].end = place
                numbers, begun = {}, False
            found[-1].codecs.append(opened.at(place + 27 + len(table), 16))
            found[-1].open += 1
        elif found:
            begun = True
            if serial in numbers:
                found[-1].missing += max(0, min(number - numbers[serial] - 1, 1 << 20))
        if found and checksum(whole) != int.from_bytes(page[22:26], "little"):
            found[-1].damaged += 1
        if found and page[5] & END:
            found[-1].open -= 1
        numbers[serial] = number
        place += size
    for link in found:
        link.ended = link.open <= 0
    return found, False


def checksum(page: bytes) -> int:
    """CRC-32 of a page with its own field zeroed (RFC 3533, 6): polynomial 0x04c11db7, highest bit first, from 0.

    `zlib` has the same one lowest bit first, so that bits go in and come out the other way round.
    """
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    return int(f"{zlib.crc32(mirrored, 0xFFFF_FFFF) ^ 0xFFFF_FFFF:032b}"[::-1], 2)


def _next_page(opened: Opened, place: int) -> int:
    """Where the next page begins, the end if none does."""
    while place < opened.size:
        block = opened.at(place, 1 << 20)
        at = block.find(b"OggS")
        if at >= 0:
            return place + at
        if len(block) < 1 << 20:
            break
        place += len(block) - 3
    return opened.size
