"""Which decoder reads a recording: libsndfile where it reads it wholly, else PyAV, else an ffmpeg program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, BinaryIO

import soundfile

from ...base.errors import SecateurError
from ...base.extras import require
from ...base.other_files import TEXT, is_text, other_kind
from ..files.kinds import FLAC, MPEG, OTHER, FileKind, start_of
from ..files.layout import AGAIN, SHORT, Part
from ..files.source import ByteWindow, Opened
from .media import open_media
from .program import find_program, open_program
from .sound import Block, Sound, check_rate

_MOST_FRAMES = 1 << 40  # a FLAC file from a pipe says 2**63 - 1
_UNREAD = 1 << 17  # bytes after the last sample that decoders read ahead, or that are tags
_EXACT = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC")  # where any frame can be begun with
_PREROLL = {"OGG": 1.0, "MP3": 1.0}  # seconds


@contextlib.contextmanager
def open_part(opened: Opened, part: Part, kind: FileKind, block: int) -> Iterator[Sound]:
    """A part of a file, by the decoder that reads it, about `block` samples at a time.

    Raises:
        SecateurError: not audio, damaged, cut off, or a format whose decoder is not installed.
    """
    head = opened.at(0, 512)
    if start_of(head) is None:  # else its content says what it is, not its name
        other = other_kind(head, opened.suffix) or (TEXT if kind is not OTHER and is_text(head) else None)
        if other is not None:
            raise SecateurError(f"{opened.name}: not audio but {other.name}")
    with contextlib.ExitStack() as stack:
        reason, damaged = "", False
        if part.native:
            try:
                sound = stack.enter_context(open_native(opened, part, kind, block))
            except NotNativeError as problem:
                reason, damaged = str(problem), problem.damaged
            else:
                yield _within(sound, part)
                return
        if damaged and (not kind.demuxer or (find_spec("av") is None and find_program() is None)):
            raise SecateurError(f"{opened.name}: damaged or cut off ({reason}): {AGAIN}")
        if not kind.demuxer:
            # libsndfile's reasons mislead ("file does not exist" for a piece of an MP3).
            if is_text(head):
                raise SecateurError(f"{opened.name}: not audio but {TEXT.name}")
            what = "not audio in a known format, or damaged at its start"
            raise SecateurError(f"{opened.name}: {what}: convert the original to WAV or FLAC")
        try:
            av = require("av", "media")
        except SecateurError as missing:
            program = find_program()
            if program is None:
                needs = f"{kind.name} ({reason})" if reason else kind.name
                raise SecateurError(
                    f"{opened.name}: {needs} is decoded by PyAV: {missing}, or install the ffmpeg program"
                ) from missing
            yield stack.enter_context(open_program(program, opened, part, kind, block))
            return
        file = ByteWindow(opened.file, part.start, part.end, part.patches)
        sound = stack.enter_context(open_media(av, file, kind, opened.name, block))  # type: ignore[arg-type]
        yield _within(sound, part)


def _within(sound: Sound, part: Part) -> Sound:
    """The sound without what its last block holds beyond it, a second at the most."""
    if not part.sound or (sound.frames is not None and not 0 <= sound.frames - part.sound <= sound.rate):
        return sound
    every = sound.blocks

    def blocks(first: int) -> Iterator[Block]:
        left = part.sound - first
        beyond = 0
        for block, rate in every(first):
            beyond += max(0, len(block) - left)
            if beyond > rate:
                raise SecateurError(f"{sound.format}: {beyond / rate:.1f} s more than its header says: {AGAIN}")
            if left > 0:
                yield block[:left], rate
            left = max(0, left - len(block))

    return replace(sound, blocks=blocks, frames=None if sound.frames is None else part.sound)


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
