"""Which recordings a file holds, one after the other, and what is wrong with how it ends."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from ...base.errors import SecateurError
from ..files import boxes, chunks, kinds, mpeg
from .chunks import Stretch
from .kinds import FileKind
from .source import Opened

AGAIN = "copy or record it again, or save what is there with `ffmpeg -i FILE NEW.wav`"
SHORT = 0.1  # seconds that may be missing or left: the padding of encoders
_MOST_PARTS = 10_000
# How kinds begin whose frames do not say how long they are: long enough that no sound looks like it.
_JOINTS = {
    kinds.FLAC: (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22"),
    kinds.AMR: (b"#!AMR\n", b"#!AMR-WB\n"),
    kinds.TTA: (b"TTA1\x01\x00",),
    kinds.AU: (b".snd\x00\x00\x00",),
    kinds.CAF: (b"caff\x00\x01\x00\x00",),
    kinds.FLV: tuple(b"FLV\x01" + flags + b"\x00\x00\x00\x09" for flags in (b"\x01", b"\x04", b"\x05")),
}
_NOT_NATIVE = (0x50, 0x55)  # MPEG audio in WAV, whose length libsndfile guesses
_IN_BLOCKS = (0x02, 0x11, 0x31)  # ADPCM of Microsoft and IMA, GSM: blocks of hundreds of samples
_BOXED: dict[FileKind, Callable[[Opened], list[int]]] = {
    kinds.MP4: boxes.mp4,
    kinds.ASF: boxes.asf,
    kinds.AVI: boxes.avi,
    kinds.MATROSKA: boxes.matroska,
    kinds.WAVPACK: boxes.wavpack,
}
BEGIN, END = 2, 4  # flags of an Ogg page
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # bits of a byte, for its checksum


@dataclass(frozen=True)
class Part:
    """A stretch of a file that is a recording by itself."""

    start: int  # bytes of the file
    end: int
    native: bool  # whether libsndfile may read it
    patches: tuple[tuple[int, bytes], ...] = ()  # sizes in the header, put right
    least: int = 0  # samples a channel that a decoder must find to read it wholly
    frames: int | None = None  # how many there are, where nothing but counting frames tells
    skip: int = 0  # samples before the sound, which libsndfile leaves in
    sound: int = 0  # samples after which the last block holds no sound; 0: unknown


@dataclass(frozen=True)
class Layout:
    """What a file holds."""

    kind: FileKind
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()  # what a person should know of it


def layout(opened: Opened) -> Layout:
    """The recordings that a file holds.

    Raises:
        SecateurError: it is cut off.
    """
    kind = kinds.kind_of(opened)
    try:
        if kind is kinds.MPEG:
            return _mpeg(opened, kind)
        if kind is kinds.OGG:
            return _ogg(opened, kind)
        if kind in (kinds.WAV, kinds.AIFF):
            return _forms(opened, kind)
        if kind in (kinds.W64, kinds.AU, kinds.CAF) and len(starts := _joints(opened, kind)) == 1:
            stretch = {kinds.W64: chunks.w64, kinds.AU: chunks.au, kinds.CAF: chunks.caf}[kind](opened)
            return _of_stretches(opened, kind, [] if stretch is None else [stretch])
        starts = _BOXED[kind](opened) if kind in _BOXED else _joints(opened, kind)
    except boxes.CutOffError as problem:
        raise SecateurError(f"{opened.name}: cut off ({problem}): {AGAIN}") from problem
    ends = [*starts[1:], opened.size]
    parts = tuple(Part(a, b, kind.native) for a, b in zip(starts, ends, strict=True))
    notes = _several(len(parts))
    if kind is kinds.MATROSKA and boxes.ends_inside(opened):
        notes += ("it ends inside a block, as what was cut off does",)
    return Layout(kind, parts, notes)


def _several(parts: int) -> tuple[str, ...]:
    return (f"{parts} recordings joined in one file, all of them read",) if parts > 1 else ()


def _mpeg(opened: Opened, kind: FileKind) -> Layout:
    runs = mpeg.runs(opened)
    notes = list(_several(len(runs)))
    parts = []
    for run in runs[:_MOST_PARTS]:
        if run.promised is not None and (run.promised - run.count) * run.samples > SHORT * run.rate:
            seconds = (run.promised - run.count) * run.samples / run.rate
            raise SecateurError(f"{opened.name}: cut off, the last {seconds:.1f} s are missing: {AGAIN}")
        if run.junk:
            notes.append(f"{run.junk} bytes between its frames are no sound: damaged, perhaps")
        if not run.whole:
            notes.append("it ends inside a frame, as what was cut off does")
        counted = run.length if run.promised is None else None
        parts.append(Part(run.start, run.end, True, (), run.length - 3 * run.samples, counted, run.skip))
    return Layout(kind, tuple(parts) or (Part(0, opened.size, True),), tuple(notes))


def _ogg(opened: Opened, kind: FileKind) -> Layout:
    joined, cut = links(opened)
    if cut:
        raise SecateurError(f"{opened.name}: cut off, it ends inside a page: {AGAIN}")
    notes = list(_several(len(joined)))
    missing = sum(link.missing for link in joined)
    if missing:
        notes.append(f"{missing} of its pages are missing: {AGAIN}")
    damaged = sum(link.damaged for link in joined)
    if damaged:
        notes.append(f"{damaged} of its pages are damaged, by their checksums: {AGAIN}")
    if joined and not joined[-1].ended:
        notes.append("it has no end, as a broadcast or what was cut off")
    parts = tuple(Part(link.start, link.end, link.native) for link in joined[:_MOST_PARTS])
    return Layout(kind, parts or (Part(0, opened.size, True),), tuple(notes))


def _forms(opened: Opened, kind: FileKind) -> Layout:
    """WAV and AIFF, whose joined files are found by their sizes."""
    walk = chunks.riff if kind is kinds.WAV else chunks.aiff
    stretches: list[Stretch] = []
    start = 0
    while start < opened.size and len(stretches) < _MOST_PARTS:
        stretch = walk(opened, start)
        if stretch is None:
            break
        stretches.append(stretch)
        start = stretch.end
    return _of_stretches(opened, kind, stretches)


def _of_stretches(opened: Opened, kind: FileKind, stretches: list[Stretch]) -> Layout:
    """The parts that headers announce, compared with what is there."""
    notes = list(_several(len(stretches)))
    parts = []
    for s in stretches:
        present = s.end - s.samples
        second = s.per_second or 16_000.0  # bytes; where the header says nothing, little
        patches: tuple[tuple[int, bytes], ...] = ()
        left = 0 if s.follows is None else s.end - s.follows
        if s.promised is not None and s.promised - present > SHORT * second:
            seconds = f", {(s.promised - present) / s.per_second:.1f} s are missing" if s.per_second else ""
            raise SecateurError(f"{opened.name}: cut off{seconds or ', it is shorter than it says'}: {AGAIN}")
        if s.promised is not None and left > SHORT * second:
            patches = ((s.field - s.start, struct.pack(s.form, present + s.extra)),)
            if s.promised:
                announced = f"{s.promised / second:.1f} s" if s.per_second else f"{s.promised} bytes"
                notes.append(f"its header says {announced}, all {present / second:.1f} s that are there are read")
        native = kind.native and s.coding not in _NOT_NATIVE
        padded = s.frames if s.coding in _IN_BLOCKS and not patches else 0
        parts.append(Part(s.start, s.end, native, patches, sound=padded))
    return Layout(kind, tuple(parts) or (Part(0, opened.size, kind.native),), tuple(notes))


def _joints(opened: Opened, kind: FileKind) -> list[int]:
    """Where recordings begin whose beginning cannot be taken for anything else."""
    starts = [0]
    for mark in _JOINTS.get(kind, ()):
        offset, width = 1, 1 << 22
        while offset < opened.size:
            block = opened.at(offset, width)
            at = -1
            while (at := block.find(mark, at + 1)) >= 0:
                starts.append(offset + at)
            if len(block) < width:
                break
            offset += len(block) - len(mark) + 1
    if len(starts) > _MOST_PARTS:
        raise SecateurError(f"{opened.name}: more than {_MOST_PARTS} recordings in one file: divide it")
    return sorted(starts)


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
