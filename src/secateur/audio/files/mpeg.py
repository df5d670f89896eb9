"""MPEG audio (MP3, MP2) frame by frame: how much there is, where one recording ends and the next begins.

Frame headers: ISO/IEC 11172-3, 2.4.1.3 and 13818-3; the first frame of a file may be no sound but a table (Xing, Info:
http://gabriel.mp3-tech.org/mp3infotag.html; VBRI) that says how many frames follow and what the encoder added.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from .kinds import tag_size
from .source import Opened

DECODER_DELAY = 529  # samples that every layer III decoder adds before the first
ENCODER_DELAY = 576  # samples that encoders add at least
_BLOCK = 1 << 20
_TRIES = 100_000  # places where a frame might begin that are looked at: what has more is no MPEG audio
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # Hz, by version
_KBITS = {
    (True, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass(frozen=True)
class _Stream:
    """What frames of one stream have in common."""

    version: int  # 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
    layer: int  # in the header's code: 3 is layer I, 1 is layer III
    rate: int  # Hz

    @property
    def samples(self) -> int:
        """Of a frame, a channel."""
        return 384 if self.layer == 3 else 576 if self.layer == 1 and self.version != 3 else 1152


@dataclass
class FrameRun:
    """Frames that belong together: one recording."""

    start: int  # byte
    end: int
    rate: int  # Hz
    samples: int  # of a frame, a channel
    count: int = 0  # frames of sound that are there, whole
    promised: int | None = None  # frames, by the table in the first one
    trim: int = 0  # samples that encoder and decoder add, by that table; 0: it does not say
    layer3: bool = True
    junk: int = 0  # bytes between frames that are no frames
    whole: bool = True  # whether the last frame is

    @property
    def skip(self) -> int:
        """Samples before the sound that no table speaks of, so that decoders leave them in."""
        return DECODER_DELAY + ENCODER_DELAY if self.layer3 and not self.trim and self.promised is None else 0

    @property
    def length(self) -> int:
        """Samples a channel, without what the encoder added."""
        return max(0, self.count * self.samples - self.trim - self.skip)


def _lengths() -> dict[int, tuple[int, _Stream]]:
    """The first 23 bits of every possible header, with the bytes of its frame."""
    table: dict[int, tuple[int, _Stream]] = {}
    for version, rates in _RATES.items():
        for layer in (1, 2, 3):
            for r, rate in enumerate(rates):
                stream = _Stream(version, layer, rate)
                for b, kbits in enumerate(_KBITS[version == 3, layer], 1):
                    for padding in (0, 1):
                        if layer == 3:
                            size = (12_000 * kbits // rate + padding) * 4
                        else:
                            size = stream.samples // 8 * 1000 * kbits // rate + padding
                        for protection in (0, 1):
                            word = 0x7FF << 21 | version << 19 | layer << 17 | protection << 16 | b << 12
                            table[(word | r << 10 | padding << 9) >> 9] = size, stream
    return table


_FRAMES = _lengths()


def runs(opened: Opened) -> list[FrameRun]:
    """The recordings in a file of MPEG audio, in its order; none if no two frames follow each other."""
    recordings: list[FrameRun] = []
    end = opened.size
    offset = junk = base = 0
    block = b""
    run: FrameRun | None = None
    stream: _Stream | None = None
    table_at = 0
    while offset + 4 <= end:
        if offset < base or offset + 64 > base + len(block):
            base, block = offset, opened.at(offset, _BLOCK)
        i = offset - base
        entry = _FRAMES.get(int.from_bytes(block[i : i + 4], "big") >> 9)
        if entry is None:
            tag = _tag(opened, offset, end)
            step = tag or _resync(opened, offset, end) - offset
            junk += 0 if tag else step
            offset += step
            continue
        size, this = entry
        if offset + size > end:
            if run is not None:
                run.whole, run.end = False, end
            break
        if run is None and not _followed(opened, offset + size, end, this):
            offset += 1
            junk += 1
            continue
        is_table = this == stream and block[i + table_at : i + table_at + 4] in (b"Xing", b"Info")
        if run is None or this != stream or is_table or run.count == run.promised:
            stream = this
            table_at = 4 + _side(this, block[i + 3] >> 6 == 3)
            run = FrameRun(offset, offset + size, this.rate, this.samples, layer3=this.layer == 1)
            recordings.append(run)
            junk = 0
            if not _read_table(run, opened.at(offset, size), table_at):
                run.count = 1
        else:
            run.count += 1
            run.junk += junk
            junk = 0
        offset += size
        run.end = offset
    if recordings and offset < end:
        recordings[-1].whole = False
    if recordings:
        recordings[0].start, recordings[-1].end = 0, end
        for one, following in pairwise(recordings):
            one.end = following.start
    return [one for one in recordings if one.count]


def _followed(opened: Opened, offset: int, end: int, stream: _Stream) -> bool:
    """Whether a frame of the same stream, a tag or nothing comes next: else the first one was chance."""
    entry = _FRAMES.get(int.from_bytes(opened.at(offset, 4), "big") >> 9)
    return offset >= end - 3 or (entry is not None and entry[1] == stream) or _tag(opened, offset, end) > 0


def _side(stream: _Stream, mono: bool) -> int:
    """Bytes of side information in a layer III frame."""
    if stream.version == 3:
        return 17 if mono else 32
    return 9 if mono else 17


def _read_table(run: FrameRun, frame: bytes, at: int) -> bool:
    """Whether the first frame is a table; what it says goes into `run`."""
    if frame[at : at + 4] in (b"Xing", b"Info"):
        flags = int.from_bytes(frame[at + 4 : at + 8], "big")
        if flags & 1:
            run.promised = int.from_bytes(frame[at + 8 : at + 12], "big") or None
        # LAME's extension begins after the optional fields: count, bytes, 100 places, quality.
        lame = at + 8 + 4 * (flags & 1) + 2 * (flags & 2) + (100 if flags & 4 else 0) + (4 if flags & 8 else 0)
        delays = int.from_bytes(frame[lame + 21 : lame + 24], "big")
        if frame[lame : lame + 4] in (b"LAME", b"Lavf", b"Lavc") and delays:
            run.trim = (delays >> 12) + (delays & 0xFFF)
        return True
    if frame[36:40] == b"VBRI":
        run.promised = int.from_bytes(frame[50:54], "big") or None
        return True
    return False


def _tag(opened: Opened, offset: int, end: int) -> int:
    """Bytes of a tag at `place`: ID3v2, ID3v1 at the end, APEv2; 0 for none."""
    head = opened.at(offset, 32)
    if head[:3] == b"TAG":
        return min(128, end - offset)
    if head[:8] == b"APETAGEX" and len(head) == 32:
        return min(end - offset, int.from_bytes(head[12:16], "little") + (32 if head[20 + 3] & 0x80 else 0))
    return min(end - offset, tag_size(head))


def _resync(opened: Opened, offset: int, end: int) -> int:
    """The next place after `place` where a frame follows a frame, or where a tag begins; the end if there is none."""
    base = offset + 1
    tries = 0
    while base < end - 3 and tries < _TRIES:
        block = opened.at(base, _BLOCK)
        at = -1
        while (at := block.find(b"\xff", at + 1)) >= 0:
            entry = _FRAMES.get(int.from_bytes(block[at : at + 4], "big") >> 9)
            tries += entry is not None
            if entry is not None and _followed(opened, base + at + entry[0], end, entry[1]):
                return base + at
        tail = block.rfind(b"TAG")
        if tail >= 0 and base + tail + 128 == end:
            return base + tail
        if len(block) < _BLOCK:
            break
        base += len(block) - 128
    return end
