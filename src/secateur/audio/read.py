"""Any recording as mono samples: what libsndfile decodes (WAV, FLAC, Ogg, MP3, AIFF, ...), resampled with soxr."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.files import at_home
from .members import open_member

Source = str | Path | BinaryIO

MAX_SECONDS = 6 * 3600.0
RATES = (4_000, 384_000)  # Hz; telephones have 8 kHz, the finest studio formats 384 kHz
MOST_CHANNELS = 64
MOST_RATE = 768_000.0  # values a second, all channels together: the finest stereo
MOST_PIPED = 4 << 30  # bytes
_BLOCK = 1 << 18  # samples decoded at a time, all channels together
_STREAMED = 0x7FF0_0000  # bytes; programs that write to a pipe claim about 2 or 4 GiB, a length they cannot know
_LOUDEST = 100.0  # floats a hundred times full scale are not sound in [-1, 1]
_OGG_PAGE = 65_307  # bytes, the longest page
SLACK = 0.1  # seconds by which a segment may end after the recording: manifests round
_AGAIN = "copy or record it again"


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a recording says."""

    sample_rate: int  # Hz
    channels: int
    frames: int  # samples a channel
    seconds: float
    format: str  # container and coding, such as "WAV PCM_16"


def audio_info(source: Source, max_seconds: float = MAX_SECONDS) -> AudioInfo:
    """Rate, channels and length of a recording, without decoding it.

    Raises:
        SecateurError: see `read_audio`; what only decoding shows is not seen.
    """
    with _opened(source, max_seconds) as (sound, _):
        rate, frames = int(sound.samplerate), int(sound.frames)
        return AudioInfo(rate, int(sound.channels), frames, frames / rate, f"{sound.format} {sound.subtype}")


def read_audio(
    source: Source, sample_rate: int = 16000, max_seconds: float = MAX_SECONDS, *,
    start: float = 0.0, seconds: float | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """Samples (samples,) in [-1, 1] at `sample_rate` Hz of a file or an open binary file; channels are averaged.

    Decoded, mixed and resampled block by block, so that memory is bounded by the result.

    Args:
        source: path (also of a member of a tar archive, `set-000.tar/a.flac`), or an open binary file.
        sample_rate: Hz of the result.
        max_seconds: longest recording that is read.
        start: first second of a segment; the result is that of the whole file from sample
            `round(start * sample_rate)` up to, not including, `round((start + seconds) * sample_rate)`.
        seconds: length of the segment; None: up to the end.

    Raises:
        SecateurError: no such file, a folder, an empty file, not audio, no samples, cut off or damaged, NaN samples,
            a sample rate outside 4 to 384 kHz, longer than `max_seconds`, or a segment that the recording does not
            hold (one that ends up to 0.1 s after it is shortened).
    """
    whole = _read_whole(source, sample_rate, max_seconds)
    if start == 0 and seconds is None:
        return whole
    name = str(source) if isinstance(source, str | Path) else str(getattr(source, "name", "audio"))
    first, last = segment(name, len(whole) / sample_rate, start, seconds)
    return whole[round(first * sample_rate) : round(last * sample_rate)].copy()


def segment(name: str, length: float, start: float, seconds: float | None) -> tuple[float, float]:
    """First and last second of a segment of a recording of `length` seconds.

    Raises:
        SecateurError: numbers that are no segment, or one that ends more than 0.1 s after the recording.
    """
    end = length if seconds is None else start + seconds
    if not (0 <= start < end < float("inf")) and not (seconds is None and start >= length):
        raise SecateurError(f"{name}: a segment of {seconds} s from {start} s on is none: give start >= 0, seconds > 0")
    if start >= length or end > length + SLACK:
        raise SecateurError(f"{name}: {length:.2f} s long, it does not hold the segment from {start:g} to {end:g} s")
    return start, min(end, length)


def _read_whole(source: Source, sample_rate: int, max_seconds: float) -> NDArray[np.float32]:
    with _opened(source, max_seconds) as (sound, name):
        rate, missing = int(sound.samplerate), int(sound.frames)
        blocks = _decoded(sound, name)
        stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
        parts: list[NDArray[np.float32]] = []
        for block in blocks:
            missing -= len(block)
            if missing < -rate:
                raise SecateurError(f"{name}: longer than it says: {_AGAIN}")
            parts.append(block if rate == sample_rate else stream.resample_chunk(block))
        # MP3 and FLAC announce their length; a tenth of a second short is the encoder's padding.
        if missing > rate / 10:
            raise SecateurError(f"{name}: cut off, the last {missing / rate:.1f} s are missing: {_AGAIN}")
        if rate != sample_rate:
            parts.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
        audio = np.concatenate(parts)
        if len(audio) == 0:
            raise SecateurError(f"{name}: contains no sound (too few samples)")
        # Lossy codecs and resampling overshoot full scale a little.
        clipped: NDArray[np.float32] = np.clip(audio, -1.0, 1.0, out=audio)
        return clipped


def _decoded(sound: Any, name: str) -> Iterator[NDArray[np.float32]]:
    """Mono blocks of an open sound."""
    frames = max(1, _BLOCK // int(sound.channels))
    while True:
        try:
            block = sound.read(frames, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as problem:
            raise SecateurError(f"{name}: damaged or cut off ({_reason(problem)}): {_AGAIN}") from problem
        if len(block) == 0:
            return
        peak = float(np.abs(block).max())  # NaN and infinity pass through the maximum
        if not np.isfinite(peak):
            raise SecateurError(f"{name}: contains samples that are NaN or infinite: convert the original again")
        if peak > _LOUDEST:
            raise SecateurError(f"{name}: samples reach {peak:.0f}, floats must be from -1 to 1: divide by full scale")
        yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)


@contextlib.contextmanager
def _opened(source: Source, max_seconds: float) -> Iterator[tuple[Any, str]]:
    """The open sound and the name that messages use, its header checked before anything is allocated."""
    if isinstance(source, str | Path):
        path = at_home(source)
        name = str(source)
        file: str | BinaryIO = _readable(path, name)
    else:
        name = str(getattr(source, "name", "audio"))
        file = source if source.seekable() else _all_of(source, name)
        file.seek(0, io.SEEK_END)
        if file.tell() == 0:
            raise SecateurError(f"{name}: empty, there are no bytes in it")
        file.seek(0)
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.SoundFileError, TypeError, OSError) as problem:  # TypeError: raw samples without a header
        if "malformed" in str(problem):
            raise SecateurError(f"{name}: damaged or cut off ({_reason(problem)}): {_AGAIN}") from problem
        # libsndfile's other reasons mislead ("file does not exist" for a piece of an MP3).
        what = "not audio in a known format, or damaged at its start"
        raise SecateurError(f"{name}: {what}: convert the original to WAV or FLAC") from problem
    with sound:
        rate, frames = int(sound.samplerate), int(sound.frames)
        if not RATES[0] <= rate <= RATES[1]:
            raise SecateurError(f"{name}: a sample rate of {rate} Hz is not from {RATES[0]} to {RATES[1]} Hz")
        if frames == 0:
            raise SecateurError(f"{name}: contains no sound (0 samples)")
        if not 1 <= sound.channels <= MOST_CHANNELS:
            raise SecateurError(f"{name}: {sound.channels} channels, more than the limit of {MOST_CHANNELS}")
        if frames * sound.channels > MOST_RATE * max_seconds and frames <= max_seconds * rate:
            raise SecateurError(f"{name}: {sound.channels} channels at {rate} Hz are too much of it: mix them down")
        if frames > max_seconds * rate:
            limit = f"more than the limit of {max_seconds / 3600:g}"
            raise SecateurError(f"{name}: {frames / rate / 3600:.1f} hours long, {limit}: split it")
        if _cut_off(sound, file):
            raise SecateurError(f"{name}: cut off, it is shorter than it says: {_AGAIN}")
        yield sound, name


def _all_of(pipe: BinaryIO, name: str) -> io.BytesIO:
    """What a pipe brings, which may have no end."""
    data = pipe.read(MOST_PIPED + 1)
    if len(data) > MOST_PIPED:
        raise SecateurError(f"{name}: more than {MOST_PIPED >> 30} GB through a pipe: save it to a file, and split it")
    return io.BytesIO(data)


def _readable(path: Path, name: str) -> str | BinaryIO:
    """The path of a file that can be opened; the content of a pipe, or of a member of a tar archive."""
    try:
        if path.is_fifo():
            with path.open("rb") as pipe:
                return _all_of(pipe, name)
        if path.is_char_device() or path.is_block_device():
            raise SecateurError(f"{name}: a device, not an audio file")
        with path.open("rb") as file:
            if not file.read(1):
                raise SecateurError(f"{name}: empty, there are no bytes in it")
    except NotADirectoryError as problem:
        member = open_member(path)
        if member is None:
            raise SecateurError(f"{name}: cannot be read ({problem.strerror})") from problem
        if not member.getbuffer().nbytes:
            raise SecateurError(f"{name}: empty, there are no bytes in it") from None
        return member
    except FileNotFoundError:
        raise SecateurError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise SecateurError(f"{name}: a folder, not an audio file") from None
    except (OSError, ValueError) as problem:  # ValueError: a zero byte in the name
        raise SecateurError(f"{name}: cannot be read ({getattr(problem, 'strerror', None) or problem})") from problem
    return str(path)


def _cut_off(sound: Any, file: str | BinaryIO) -> bool:
    """Whether an uncompressed file promises more samples than it has, or an Ogg file ends inside a page."""
    if sound.format == "OGG":
        if isinstance(file, str):
            with Path(file).open("rb") as again:
                return _inside_page(again)
        place = file.tell()
        cut = _inside_page(file)
        file.seek(place)
        return cut
    # libsndfile reads what there is and notes what the header said.
    noted = re.search(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE)
    if noted is None:
        return False
    promised, found = int(noted[1]), max(int(noted[2]), 1)
    return promised < _STREAMED and (promised / found - 1) * sound.frames > sound.samplerate / 10


def _inside_page(file: BinaryIO) -> bool:
    """Whether an Ogg file ends before its last page does (RFC 3533): header, table of segment lengths, segments."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 2 * _OGG_PAGE))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    table = page[27 : 27 + page[26]] if len(page) > 26 else b""
    return len(page) < 27 or len(table) < page[26] or len(page) < 27 + len(table) + sum(table)


def _reason(problem: Exception) -> str:
    """libsndfile's own words, without the file name it starts with."""
    words = str(getattr(problem, "error_string", problem)).removeprefix("Error : ")
    return words.rstrip(".")[:1].lower() + words.rstrip(".")[1:]
