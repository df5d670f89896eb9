"""Any recording as samples: decoded to its end by what reads it wholly, mixed, and resampled with soxr."""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.progress import say
from .arrays import LOUDEST, OVER, Channel, Mixer, one_of
from .decoders.open import open_part
from .decoders.sound import Sound
from .files.layout import Layout, layout
from .files.source import LruCache, Opened, Source, opened, state_of

__all__ = ["MAX_SECONDS", "AudioInfo", "Channel", "Source", "audio_info", "read_audio", "read_channels"]

MAX_SECONDS = 6 * 3600.0
SLACK = 0.1  # seconds by which a segment may end after the recording: manifests round
MOST_RATE = 768_000.0  # values a second, all channels together: the finest stereo
MOST_PIPED = 4 << 30  # bytes
_BLOCK = 1 << 18  # samples decoded at a time, all channels together
_MAX_NOTES = 1000  # notes that are recorded, so that each is shown once
_shown_notes: OrderedDict[str, None] = OrderedDict()
_LAYOUTS: LruCache[Layout] = LruCache(256, lambda _: 1)  # of files
_RECORDINGS: LruCache[Array] = LruCache(256 << 20, lambda audio: audio.nbytes)  # bytes of decoded recordings

Array = NDArray[np.float32]
Pick = Callable[[Array, int], Array]  # samples (n, channels) at a rate to (n,) or (n, channels wanted)


@dataclass(frozen=True)
class AudioInfo:
    """Format and length of a recording."""

    sample_rate: int  # Hz
    channels: int
    frames: int  # samples a channel
    seconds: float
    format: str  # container and coding, such as "WAV PCM_16"


def audio_info(source: Source, max_seconds: float = MAX_SECONDS) -> AudioInfo:
    """Rate, channels and length of a recording; decoded only where nothing but decoding tells its length.

    Raises:
        SecateurError: see `read_audio`; what only decoding shows is not seen in what need not be decoded.
    """
    with opened(source, MOST_PIPED) as file:
        first: AudioInfo | None = None
        seconds = 0.0
        for sound in _sounds(file, max_seconds):
            count = sound.frames
            if count is None:
                count = sum(len(block) for block, _ in _checked(sound, file.name, max_seconds, seconds))
            seconds += count / sound.rate
            first = first or AudioInfo(sound.rate, sound.channels, 0, 0.0, sound.format)
        if first is None or seconds == 0:
            raise SecateurError(f"{file.name}: contains no sound (0 samples)")
        return AudioInfo(first.sample_rate, first.channels, round(seconds * first.sample_rate), seconds, first.format)


def read_audio(
    source: Source, sample_rate: int = 16000, max_seconds: float = MAX_SECONDS, *,
    start: float = 0.0, seconds: float | None = None, channel: Channel = "auto",
) -> Array:  # fmt: skip
    """Samples (samples,) in [-1, 1] at `sample_rate` Hz of a file or an open binary file.

    Decoded, mixed and resampled block by block, so that memory is bounded by the result. Recordings joined in one file
    are read one after the other.

    Args:
        source: path (also of a member of a tar archive, `set-000.tar/a.flac`), or an open binary file.
        sample_rate: Hz of the result.
        max_seconds: longest recording that is read.
        start: first second of a segment; the result is that of the whole file from sample
            `round(start * sample_rate)` up to, not including, `round((start + seconds) * sample_rate)`.
        seconds: length of the segment; None: up to the end.
        channel: "mix" averages all channels; "left", "right" or a number from 0 on takes one; "auto" averages unless
            channels would cancel each other, and then takes the louder one.

    Raises:
        SecateurError: no such file, a folder, an empty file, not audio, no samples, cut off or damaged, NaN samples,
            a sample rate outside 4 to 384 kHz, longer than `max_seconds`, a channel that is not there, a
            format that needs another decoder, or a segment that the recording does not hold (one that ends up to 0.1 s
            after it is shortened).
    """
    with opened(source, MOST_PIPED) as file:
        first, last = _samples(file.name, sample_rate, start, seconds)
        if file.path is None or (first == 0 and last is None):
            return _one_channel(file, sample_rate, max_seconds, first, last, channel)
        key = (state_of(file.path), sample_rate, max_seconds, channel)
        if _RECORDINGS.get(key) is None and _seeks(file, max_seconds):
            return _one_channel(file, sample_rate, max_seconds, first, last, channel)
        # Only decoding from the start gives the same samples: once for all segments, where memory allows it.
        recording = _RECORDINGS.get_or_make(key, lambda: _one_channel(file, sample_rate, max_seconds, 0, None, channel))
        _check_within(file.name, len(recording), first, last, sample_rate)
        return recording[first:last].copy()


def read_channels(
    source: Source, sample_rate: int = 16000, max_seconds: float = MAX_SECONDS, *,
    start: float = 0.0, seconds: float | None = None,
) -> Array:  # fmt: skip
    """Samples (channels, samples) of every channel by itself; see `read_audio`.

    Raises:
        SecateurError: see `read_audio`; or joined recordings with different numbers of channels.
    """
    with opened(source, MOST_PIPED) as file:
        first, last = _samples(file.name, sample_rate, start, seconds)
        return np.ascontiguousarray(_read(file, sample_rate, max_seconds, first, last, lambda b, _: b).T)


def _one_channel(
    file: Opened, sample_rate: int, max_seconds: float, first: int, last: int | None, channel: Channel
) -> Array:
    """Samples (samples,) from `first` to `last` at `sample_rate`."""

    def read(pick: Pick) -> Array:
        return _read(file, sample_rate, max_seconds, first, last, pick)[:, 0]

    if channel not in ("auto", "mix"):
        return read(lambda block, _: one_of(block, channel, file.name))
    mixer = Mixer()
    mixed = read(mixer.mix)
    if channel == "auto" and mixer.cancels:
        loudest = mixer.loudest
        _note(file.name, f"mixed, its channels cancel each other (opposite phase): only number {loudest + 1} is used")
        return read(lambda block, _: block[:, min(loudest, block.shape[1] - 1)])
    return mixed


def _samples(name: str, rate: int, start: float, seconds: float | None) -> tuple[int, int | None]:
    """The first sample of a segment, and the one after its last.

    Raises:
        SecateurError: numbers that are no segment.
    """
    if not (0 <= start < math.inf and (seconds is None or 0 < seconds < math.inf)):
        what = f"no segment is {seconds} s long from {start} s on"
        raise SecateurError(f"{name}: {what}: give start >= 0, seconds > 0")
    return round(start * rate), None if seconds is None else round((start + seconds) * rate)


def _check_within(name: str, count: int, first: int, last: int | None, rate: int) -> None:
    """Refuse a segment that ends after a recording of `count` samples, by more than manifests round."""
    if first >= count or (last is not None and last > count + round(SLACK * rate)):
        what = f"it does not hold the segment from {first / rate:g} to {(last or count) / rate:g} s"
        raise SecateurError(f"{name}: {count / rate:.2f} s long, {what}")


def _seeks(file: Opened, max_seconds: float) -> bool:
    """Whether a decoder may begin anywhere in it."""
    with contextlib.closing(_sounds(file, max_seconds)) as sounds:
        return len(_layout_of(file).parts) == 1 and next(sounds).seeks


def _layout_of(file: Opened) -> Layout:
    """The layout of a file; cached for files on disk."""
    if file.path is None:
        return layout(file)
    return _LAYOUTS.get_or_make(state_of(file.path), lambda: layout(file))


def _sounds(file: Opened, max_seconds: float) -> Generator[Sound, None, None]:
    """The recordings of a file, each open until the next is asked for."""
    layout_of_file = _layout_of(file)
    for text in layout_of_file.notes:
        _note(file.name, text)
    for part in layout_of_file.parts:
        with open_part(file, part, layout_of_file.kind, _BLOCK) as sound:
            frames = sound.frames
            if frames is not None:
                if frames * sound.channels > MOST_RATE * max_seconds and frames <= max_seconds * sound.rate:
                    much = f"{sound.channels} channels at {sound.rate} Hz are too much of it: mix them down"
                    raise SecateurError(f"{file.name}: {much}")
                if frames > max_seconds * sound.rate:
                    raise _too_long(file.name, frames / sound.rate, max_seconds)
            yield sound
            for text in sound.notes:
                _note(file.name, text)


def _checked(sound: Sound, name: str, max_seconds: float, before: float, first: int = 0) -> Iterator[tuple[Array, int]]:
    """The blocks of a sound, none with samples that are none; `before` seconds of the limit are used up."""
    left = max_seconds - before
    values = left * MOST_RATE
    for block, rate in sound.blocks(first):
        left -= len(block) / rate
        values -= block.size
        if left < -SLACK:
            raise _too_long(name, None, max_seconds)
        if values < 0:
            raise SecateurError(f"{name}: {block.shape[1]} channels at {rate} Hz are too much of it: mix them down")
        # NaN and infinity pass through the maximum.
        peak = float(np.maximum(block.max(), -block.min())) if block.size else 0.0
        if not np.isfinite(peak):
            raise SecateurError(f"{name}: contains samples that are NaN or infinite: convert the original again")
        if peak > LOUDEST:
            raise SecateurError(f"{name}: samples reach {peak:.0f}, floats must be from -1 to 1: divide by full scale")
        yield block, rate


def _too_long(name: str, seconds: float | None, limit: float) -> SecateurError:
    length = "its length in hours is" if seconds is None else f"{seconds / 3600:.1f} hours long,"
    return SecateurError(f"{name}: {length} more than the limit of {limit / 3600:g}: split it")


def _read(file: Opened, sample_rate: int, max_seconds: float, first: int, last: int | None, pick: Pick) -> Array:
    """Samples (samples, channels) from `first` to `last` at `sample_rate`."""
    line = _Line(sample_rate, first, last)
    for number, sound in enumerate(_sounds(file, max_seconds)):
        begin = 0
        before = first / sample_rate - sound.preroll - MARGIN
        if number == 0 and sound.seeks and before > MARGIN:
            begin = line.begin_at(before, sound.rate)
        for block, rate in _checked(sound, file.name, max_seconds, line.read, begin):
            line.add(pick(block, rate), rate)
            if line.full:
                return line.result(file.name)
    line.end()
    if line.position == 0:
        raise SecateurError(f"{file.name}: contains no sound (too few samples)")
    _check_within(file.name, line.position, first, last, sample_rate)
    return line.result(file.name)


MARGIN = 0.5  # seconds around a segment that resampling needs, generously


class _Line:
    """Blocks at any rate, one after the other, as samples `first` to `last` at one rate."""

    def __init__(self, rate: int, first: int, last: int | None) -> None:
        self.rate, self.first, self.last = rate, first, last
        self.position = 0  # of the next sample that comes out
        self.read = 0.0  # seconds that went in
        self._parts: list[Array] = []
        self._from = 0
        self._stream: soxr.ResampleStream | None = None

    def begin_at(self, seconds: float, rate: int) -> int:
        """Begin near a second; the sample at `rate` to begin with, at which one comes out as well."""
        step = rate // math.gcd(rate, self.rate)
        begin = int(seconds * rate) // step * step
        self.position = begin * self.rate // rate
        self.read = begin / rate
        return begin

    @property
    def full(self) -> bool:
        """Whether the requested samples are complete."""
        return self.last is not None and self.position >= self.last

    def add(self, block: Array, rate: int) -> None:
        """Samples (n,) or (n, channels) at `rate`."""
        block = block if block.ndim == 2 else block[:, None]
        self.read += len(block) / rate
        if self._from and (self._from != rate or (self._parts and self._parts[0].shape[1] != block.shape[1])):
            self.end()
        if self._parts and self._parts[0].shape[1] != block.shape[1]:
            raise SecateurError("joined recordings have different numbers of channels: split the file first")
        self._from = rate
        if rate != self.rate:
            if self._stream is None:
                self._stream = soxr.ResampleStream(rate, self.rate, block.shape[1], dtype="float32", quality="HQ")
            block = self._stream.resample_chunk(np.ascontiguousarray(block))
        self._put(block)

    def end(self) -> None:
        """Put what the resampler still holds."""
        if self._stream is not None:
            channels = self._parts[0].shape[1] if self._parts else self._stream._channels
            self._put(self._stream.resample_chunk(np.zeros((0, channels), np.float32), last=True))
            self._stream = None

    def _put(self, block: Array) -> None:
        a = max(0, self.first - self.position)
        b = len(block) if self.last is None else max(0, self.last - self.position)
        self.position += len(block)
        if a < min(b, len(block)) or not self._parts:
            self._parts.append(block[a:b])

    def result(self, name: str) -> Array:
        """All of it in [-1, 1]: what overshoots full scale a little (lossy codecs, resampling) is clipped, floats that
        go far beyond it are scaled."""
        audio = np.concatenate(self._parts)
        if len(audio) == 0:
            raise SecateurError(f"{name}: contains no sound (too few samples)")
        return _within_full_scale(audio, name)


def _within_full_scale(audio: Array, name: str) -> Array:
    """`audio` in [-1, 1], changed in place."""
    peak = float(max(audio.max(), -audio.min()))
    if peak > OVER:
        _note(name, f"samples reach {peak:.3g} times full scale: made quieter")
        audio /= np.float32(peak)
    clipped: Array = np.clip(audio, -1.0, 1.0, out=audio)
    return clipped


def _note(name: str, text: str) -> None:
    """Print a note on standard error, once for every file."""
    line = f"{name}: {text}"
    if line not in _shown_notes:
        _shown_notes[line] = None
        with contextlib.suppress(KeyError):
            if len(_shown_notes) > _MAX_NOTES:
                _shown_notes.popitem(last=False)
        say(line)
