"""libsndfile: WAV, FLAC, Ogg Opus and Vorbis, MP3, AIFF, AU, CAF and others, where it reads them wholly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import soundfile

from ...base.errors import SecateurError
from ..files.kinds import FLAC, MPEG, FileKind
from ..files.layout import AGAIN, SHORT, Part
from ..files.source import ByteWindow, Opened
from .sound import Block, Sound, check_rate

_MOST_FRAMES = 1 << 40  # a FLAC file from a pipe says 2**63 - 1
_UNREAD = 1 << 17  # bytes after the last sample that decoders read ahead, or that are tags
_EXACT = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC")  # where any frame can be begun with
_PREROLL = {"OGG": 1.0, "MP3": 1.0}  # seconds


class NotNativeError(Exception):
    """libsndfile does not read it, or not wholly; the message is its reason, `damaged` whether it finds it broken."""

    def __init__(self, reason: str, damaged: bool = False) -> None:
        super().__init__(reason)
        self.damaged = damaged


@contextlib.contextmanager
def open_native(opened: Opened, part: Part, kind: FileKind, block: int) -> Iterator[Sound]:
    """A part of a file through libsndfile, `block` samples at a time.

    Raises:
        NotNativeError: it cannot be read wholly so.
        SecateurError: a rate or a number of channels outside the limits.
    """
    whole = part.start == 0 and part.end == opened.size and not part.patches
    window: BinaryIO | None = None if whole else ByteWindow(opened.file, part.start, part.end, part.patches)  # type: ignore[assignment]
    # A FLAC file goes through Python: where its reader stands in the end shows whether there is more.
    file: str | BinaryIO = window or (opened.file if opened.path is None or kind is FLAC else str(opened.path))
    if whole:
        opened.file.seek(0)
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.SoundFileError, TypeError, OSError) as problem:  # TypeError: raw samples without a header
        raise NotNativeError(_reason(problem), "malformed" in str(problem)) from problem
    with sound:
        rate, frames = int(sound.samplerate), int(sound.frames)
        check_rate(opened.name, rate, int(sound.channels))
        if frames > _MOST_FRAMES or frames < part.least:
            raise NotNativeError("its length is not in its header")
        frames = frames if part.frames is None else part.frames
        reader = window or opened.file
        size = part.end - part.start if window else opened.size

        def blocks(first: int) -> Iterator[Block]:
            try:
                if first or part.skip:
                    sound.seek(first + part.skip)
            except soundfile.SoundFileError as problem:
                raise SecateurError(f"{opened.name}: damaged or cut off ({_reason(problem)}): {AGAIN}") from problem
            if kind is MPEG:
                # After every block `soundfile` seeks to where it is; in MP3 that forgets the frames before, which the
                # next one needs. A file that cannot seek is left where it is.
                with contextlib.suppress(AttributeError):
                    sound._info.seekable = 0
            decoded = first
            for one in _blocks(sound, opened.name, block):
                decoded += len(one[0])
                yield one
            # MP3 and FLAC announce their length; a tenth of a second short is the encoder's padding.
            if frames - decoded > SHORT * rate:
                lost = (frames - decoded) / rate
                raise SecateurError(f"{opened.name}: cut off, the last {lost:.1f} s are missing: {AGAIN}")
            if kind is FLAC and size - reader.tell() > _UNREAD:
                raise SecateurError(f"{opened.name}: longer than it says: {AGAIN}")

        form = str(sound.format)
        seeks = form in _EXACT or form in _PREROLL
        yield Sound(
            rate, int(sound.channels), frames, f"{form} {sound.subtype}", blocks, seeks, _PREROLL.get(form, 0.0)
        )


def _blocks(sound: Any, name: str, most: int) -> Iterator[Block]:
    frames = max(1, most // int(sound.channels))
    while True:
        try:
            block = sound.read(frames, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as problem:
            raise SecateurError(f"{name}: damaged or cut off ({_reason(problem)}): {AGAIN}") from problem
        if len(block) == 0:
            return
        yield block, int(sound.samplerate)


def _reason(problem: Exception) -> str:
    """libsndfile's own words, without the file name it starts with."""
    message = str(getattr(problem, "error_string", problem)).removeprefix("Error : ")
    return message.rstrip(".")[:1].lower() + message.rstrip(".")[1:]
