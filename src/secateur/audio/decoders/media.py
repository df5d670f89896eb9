"""PyAV, whose wheels carry FFmpeg's libraries: AAC, MP4, WebM, WMA, AMR, video files and what else FFmpeg decodes.

A demuxer is named, never guessed, nothing but the given bytes is opened, and only decoders of audio may be started.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from ...base.errors import SecateurError
from ..files import kinds
from ..files.kinds import FileKind
from ..files.layout import AGAIN
from .sound import Block, Sound, check_rate

MOST_STREAMS = 64
_DEFAULT = 1  # FFmpeg's flag of a stream
_FAULTS = (OSError, ValueError, ArithmeticError, LookupError, MemoryError, RuntimeError)  # of PyAV, beside its own
_MOST_PROBED = 8 << 20  # bytes that are looked at before the first is decoded
_MOST_FRAME = 1 << 20  # samples of one frame, a channel
_FULL = {"i2": 32768.0, "i4": 2147483648.0, "i8": 9223372036854775808.0}
# Samples that encoders put before the sound, where the container does not say how many.
_PRIMING = {"aac": 1024, "aac_latm": 1024, "mp3": 1105, "mp3float": 1105}
_SUMMED = ("flac", "wavpack", "tta")  # codings with checksums
_COUNTED = (kinds.FLAC, kinds.OGG)  # where frames of FLAC say where they belong, to the sample
_FRAMED = (kinds.AAC, kinds.AC3, kinds.EAC3, kinds.DTS, kinds.LOAS, kinds.AMR)  # frame after frame, nothing between
_EVEN = (kinds.AC3, kinds.EAC3, kinds.DTS)  # of frames of one size, whose last is decoded also in part
_MOST_REST, _TAG = 1 << 14, 128  # bytes: the longest frame, and an ID3v1 tag
LEAST_GAP = 0.1  # seconds; timestamps are rounded, and encoders' delays differ
_MOST_GAP = 600.0  # seconds, where no header says how long the file is: a longer one is a clock that was set anew
_SHORT = 0.15  # seconds, and
_SHARE = 0.001  # of the length, that durations in headers may be wrong


@contextlib.contextmanager
def open_media(av: Any, file: BinaryIO, kind: FileKind, name: str, block: int) -> Iterator[Sound]:
    """A recording, or the sound of a video, through FFmpeg's libraries, about `block` samples at a time.

    Raises:
        SecateurError: not what it seems, without sound, too many streams, damaged, cut off.
    """
    options = {
        "format_whitelist": kind.demuxer, "protocol_whitelist": "", "codec_whitelist": _decoders(av),
        "max_streams": str(MOST_STREAMS), "probesize": str(_MOST_PROBED), "max_probe_packets": "500",
    }  # fmt: skip
    file.seek(0)
    try:
        container = av.open(
            file, format=kind.demuxer, container_options=options, metadata_errors="replace", buffer_size=1 << 17,
            io_open=functools.partial(_no_other, name),
        )  # fmt: skip
    except (av.FFmpegError, *_FAULTS) as problem:
        what = f"not audio in a known format, or damaged at its start ({kind.name}: {_reason(problem)})"
        raise SecateurError(f"{name}: {what}: convert the original to WAV or FLAC") from problem
    with container:
        stream, notes = _chosen(container, kind, name)
        context = stream.codec_context
        if context is None:
            raise SecateurError(f"{name}: sound in a coding that FFmpeg does not know: convert the original to FLAC")
        context.thread_count = 1
        limits = {"max_samples": str(_MOST_FRAME)}
        if context.name in _SUMMED:  # a frame whose checksum is wrong is an error
            limits["err_detect"] = "crccheck+explode"
        context.options = limits
        # Left out twice are the first frame of what FFmpeg's own encoder of WMA writes, and the end of ALAC in CAF.
        if context.name in ("wmav1", "wmav2") or (context.name == "alac" and kind is kinds.CAF):
            context.flags2 |= av.codec.context.Flags2.skip_manual
        for other in container.streams:
            if other is not stream:
                with contextlib.suppress(AttributeError, ValueError):
                    other.discard = "all"
        check_rate(name, int(context.sample_rate), int(context.channels))
        reader = _Reader(av, container, stream, kind, name, block, notes)
        rate, channels = int(context.sample_rate), int(context.channels)
        yield Sound(rate, channels, None, f"{kind.name} {_coding(context)}", reader.blocks, notes=notes)


class _Reader:
    """Decodes one stream to its end, and counts what it could not decode."""

    def __init__(
        self, av: Any, container: Any, stream: Any, kind: FileKind, name: str, block: int, notes: list[str]
    ) -> None:
        self.av, self.container, self.stream, self.kind, self.name = av, container, stream, kind, name
        self.block, self.notes = block, notes
        self.bad = self.packets = 0
        self.last_bad = False
        self.missing = 0.0  # seconds, by the timestamps of frames
        self.next: float | None = None  # second at which the next frame begins
        self.end = 0  # byte after the last packet
        self.last, self.least = 0, 1 << 30  # bytes of the last packet, and of the smallest before it
        self.skip: int | None = None  # samples still to be left out
        self.lead = self.silence = 0.0  # seconds that were filled in at the start, and between frames

    def blocks(self, first: int) -> Iterator[Block]:
        """All blocks; `first` must be 0."""
        assert first == 0
        seconds = 0.0
        for floats, rate in self._gathered():
            seconds += len(floats) / rate
            if self.skip:
                left_out = min(self.skip, len(floats))
                floats, self.skip = floats[left_out:], self.skip - left_out
            yield floats, rate
        self._judge(seconds - self.lead)

    def _gathered(self) -> Iterator[Block]:
        """The decoder's frames, joined to about `block` samples as long as they are of one shape, and their gaps."""
        fifo = self.av.AudioFifo()
        counted = self.kind in _COUNTED and self.stream.codec_context.name == "flac"
        most = 0
        for frame in self._frames():
            gap = self._gap_before(frame)
            if counted:
                self.missing += max(0.0, gap - 1e-6)
            elif gap >= LEAST_GAP and self.kind.timed:
                yield from self._samples(fifo.read())
                yield from self._silent(gap, frame)
                fifo, most = self.av.AudioFifo(), 0
            frame.pts = None  # timestamps would have to be without gaps
            try:
                fifo.write(frame)
            except ValueError:  # another rate, number of channels or sample format
                yield from self._samples(fifo.read())
                fifo, most = self.av.AudioFifo(), 0
                fifo.write(frame)
            most = most or max(1, self.block // int(frame.layout.nb_channels))
            if fifo.samples >= most:
                yield from self._samples(fifo.read())
        yield from self._samples(fifo.read())

    def _samples(self, frame: Any) -> Iterator[Block]:
        """What is in a frame; nothing of None."""
        if frame is not None:
            rate, channels = int(frame.sample_rate), int(frame.layout.nb_channels)
            check_rate(self.name, rate, channels)
            array = frame.to_ndarray()
            yield _floats(array.T if frame.format.is_planar else array.reshape(-1, channels)), rate

    def _silent(self, gap: float, frame: Any) -> Iterator[Block]:
        """Silence of `gap` seconds, as a player gives it: the sound of a video may begin after its picture."""
        rate, channels = int(frame.sample_rate), int(frame.layout.nb_channels)
        check_rate(self.name, rate, channels)
        left = round(gap * rate)
        while left > 0:
            size = min(left, max(1, self.block // channels))
            yield np.zeros((size, channels), np.float32), rate
            left -= size

    def _gap_before(self, frame: Any) -> float:
        """Seconds without sound before a frame that says where it belongs; 0 where that cannot be."""
        if frame.pts is None or frame.time_base is None:
            return 0.0
        start = self.container.start_time
        if self.kind is kinds.MATROSKA:  # its clock begins at 0
            start = 0
        begin = float(start) / 1e6 if start is not None else None
        time, before = float(frame.pts * frame.time_base), self.next
        self.next = time + frame.samples / frame.sample_rate
        reference = begin if before is None else before
        if reference is None or (before is None and not self.kind.timed):
            return 0.0
        gap = time - reference
        length = self.container.duration
        if length and begin is not None and self.kind.timed:
            possible = time - begin <= length / 1e6 + 1.0
        else:
            possible = gap <= _MOST_GAP
        if gap < LEAST_GAP or not possible:
            return gap if self.kind in _COUNTED else 0.0
        if before is None:
            self.lead += gap
        else:
            self.silence += gap
        return gap

    def _frames(self) -> Iterator[Any]:
        try:
            for packet in self.container.demux(self.stream):
                size = packet.size
                if size:
                    if self.skip is None:
                        self.skip = self._priming(packet)
                    self.packets += 1
                    self.end = max(self.end, (packet.pos or 0) + size)
                    self.last, self.least = size, min(self.least, self.last or size)
                try:
                    frames = packet.decode()
                except (self.av.FFmpegError, *_FAULTS) as problem:
                    self._failed(problem)
                    continue
                if size:
                    self.last_bad = False
                yield from frames
        except self.av.EOFError:
            return
        except (self.av.FFmpegError, *_FAULTS) as problem:
            raise self._damaged(_reason(problem)) from problem

    def _failed(self, problem: Exception) -> None:
        if isinstance(problem, self.av.EOFError):
            return
        self.last_bad = True
        if self.packets == 1 and self.kind.stream:  # where a stream is entered, a frame may lack the one before
            return
        self.bad += 1
        if self.bad > 100 and self.bad > self.packets / 10:
            raise self._damaged(_reason(problem)) from problem

    def _priming(self, packet: Any) -> int:
        """Samples to leave out at the start."""
        codec = self.stream.codec_context
        if codec.name in ("wmav1", "wmav2"):
            return _wma_frame(int(codec.sample_rate), codec.name)
        has_delay = (
            packet.has_sidedata("skip_samples") or (packet.pts is not None and packet.pts < 0) or packet.is_discard
        )
        return 0 if has_delay else _PRIMING.get(codec.name, 0)

    def _judge(self, seconds: float) -> None:
        """Compare what was decoded with what the file announced.

        Raises:
            SecateurError: cut off, damaged, or nothing was decoded.
        """
        if self.bad and (self.last_bad and not self.kind.stream):
            raise SecateurError(f"{self.name}: cut off, or damaged at its end: {AGAIN}")
        if self.bad > max(3, 0.01 * self.packets):
            raise self._damaged(f"{self.bad} of {self.packets} packets cannot be decoded")
        if self.missing > 0.5e-3:
            self.notes.append(f"damaged, something in it is missing: {AGAIN}")
        elif self.bad > self.last_bad:
            self.notes.append(f"{self.bad} of {self.packets} packets are damaged and left out")
        elif self.last_bad or self._rest():
            self.notes.append("it ends inside a frame, as what was cut off does")
        if self.silence and self.kind.timed:
            self.notes.append(f"{self.silence:.1f} s between its timestamps hold no sound: they are read as silence")
        promised = self._promised()
        if promised is not None and seconds < promised - max(_SHORT, _SHARE * promised):
            if self.kind is kinds.MP4:
                raise SecateurError(f"{self.name}: cut off, the last {promised - seconds:.1f} s are missing: {AGAIN}")
            self.notes.append(f"its header says {promised:.1f} s, {seconds:.1f} s are there: cut off, perhaps")

    def _rest(self) -> bool:
        """Whether bytes after the last packet of a stream are the beginning of another."""
        size = self.container.size
        if self.kind is kinds.TS:
            return bool(size % 188 and size % 192)
        if self.kind in _EVEN and self.last < 0.9 * self.least:
            return True
        return self.kind in _FRAMED and 0 < size - self.end < _MOST_REST and size - self.end != _TAG

    def _promised(self) -> float | None:
        """Seconds by the header, where it is more than a guess from the bit rate."""
        if self.kind.stream or self.kind in (kinds.ASF, kinds.OGG):
            return None
        if self.stream.duration is not None:
            return float(self.stream.duration * self.stream.time_base)
        if len(self.container.streams) == 1 and self.container.duration is not None:
            return float(self.container.duration) / 1e6
        return None

    def _damaged(self, reason: str) -> SecateurError:
        return SecateurError(f"{self.name}: damaged or cut off ({reason}): {AGAIN}")


def _chosen(container: Any, kind: FileKind, name: str) -> tuple[Any, list[str]]:
    """The stream that is marked as the default one, or the first; and what to say of the others.

    Raises:
        SecateurError: no sound.
    """
    streams = list(container.streams.audio)
    if not streams:
        others = sorted({stream.type for stream in container.streams})
        content = f"only {' and '.join(others)}" if others else "nothing"
        raise SecateurError(f"{name}: no sound in this {kind.name} file, {content}")
    default = [stream for stream in streams if stream.disposition.value & _DEFAULT]
    stream = (default or streams)[0]
    if len(streams) == 1:
        return stream, []
    return stream, [f"{len(streams)} audio streams, number {streams.index(stream) + 1} is read"]


def _floats(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Samples (samples, channels) of any format as floats in [-1, 1]."""
    kind, width = samples.dtype.kind, samples.dtype.itemsize
    if kind == "u":
        return (samples.astype(np.float32) - np.float32(128)) / np.float32(128)
    if kind == "i" and width == 2:
        return samples.astype(np.float32) / np.float32(_FULL["i2"])
    if kind == "i":
        return (samples / np.float64(_FULL[f"i{width}"])).astype(np.float32)
    return samples.astype(np.float32, copy=False)


def _wma_frame(rate: int, codec: str) -> int:
    """Samples of a frame of Windows Media Audio 1 and 2, which is what their encoders put before the sound."""
    if rate <= 16000:
        return 512
    return 1024 if rate <= 22050 or (rate <= 32000 and codec == "wmav1") else 2048


@functools.cache
def _decoders(av: Any) -> str:
    """FFmpeg's decoders of audio, by name."""
    names = []
    for name in sorted(av.codec.codecs_available):
        with contextlib.suppress(ValueError, av.FFmpegError):
            if av.codec.Codec(name, "r").type == "audio":
                names.append(name)
    return ",".join(names)


def _no_other(name: str, url: str, flags: int, options: Any) -> NoReturn:
    raise SecateurError(f"{name}: refers to another file or address, which is not opened")


def _coding(context: Any) -> str:
    known = {"mp3float": "MP3", "pcm_s16le": "PCM_16", "aac_latm": "AAC"}
    return known.get(context.name, str(context.name).upper())


def _reason(problem: Exception) -> str:
    message = str(getattr(problem, "strerror", None) or problem)
    return message[:1].lower() + message[1:].rstrip(".")[:120]
