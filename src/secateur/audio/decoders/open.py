"""Which decoder reads a recording: libsndfile where it reads it wholly, else PyAV, else an ffmpeg program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

from ...base.errors import SecateurError
from ...base.extras import require
from ...base.other_files import TEXT, is_text, other_kind
from ..files.kinds import OTHER, FileKind, start_of
from ..files.layout import AGAIN, Part
from ..files.source import ByteWindow, Opened
from .media import open_media
from .native import NotNativeError, open_native
from .program import find_program, open_program
from .sound import Block, Sound


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
