"""An installed `ffmpeg` program, where PyAV is not installed."""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ...base.errors import SecateurError
from ..files.kinds import FileKind
from ..files.layout import AGAIN, Part
from ..files.source import ByteWindow, Opened
from .media import LEAST_GAP
from .sound import Block, Sound, check_rate

PROGRAM = "ffmpeg"


def find_program() -> str | None:
    """Where the program is, or None."""
    return shutil.which(PROGRAM)


@contextlib.contextmanager
def open_program(program: str, opened: Opened, part: Part, kind: FileKind, block: int) -> Iterator[Sound]:
    """A part of a file, decoded by the program to 32-bit floats, which come through a pipe.

    Raises:
        SecateurError: it says that the file is damaged, or gives nothing.
    """
    with contextlib.ExitStack() as stack:
        if opened.path is not None and part.start == 0 and part.end == opened.size:
            path = opened.path.resolve()
        else:  # a program has no part in what this process has open, and must go back and forth in it
            copy = stack.enter_context(tempfile.NamedTemporaryFile(suffix=".audio"))
            shutil.copyfileobj(ByteWindow(opened.file, part.start, part.end, part.patches), copy)
            copy.flush()
            path = Path(copy.name)
        complaints = stack.enter_context(tempfile.TemporaryFile())
        command = [
            program, "-nostdin", "-v", "error", "-xerror", "-protocol_whitelist", "file,pipe", "-format_whitelist",
            kind.demuxer, "-f", kind.demuxer, "-i", f"file:{path}", "-map", "0:a:0", "-vn", "-sn", "-dn",
            *_filled(kind), "-c:a", "pcm_f32le", "-f", "wav", "-bitexact", "pipe:1",
        ]  # fmt: skip
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints))
        stack.callback(process.kill)
        assert process.stdout is not None
        header = _header(process.stdout)
        if header is None:
            process.wait()
            raise SecateurError(f"{opened.name}: no sound, or damaged or cut off ({_last_line(complaints)}): {AGAIN}")
        rate, channels = header
        check_rate(opened.name, rate, channels)
        pipe = process.stdout

        def blocks(first: int) -> Iterator[Block]:
            assert first == 0
            size = max(1, block // channels) * channels * 4
            while data := pipe.read(size):
                count = len(data) // (4 * channels)
                yield np.frombuffer(data, "<f4", count * channels).reshape(count, channels), rate
            if process.wait() or complaints.tell():
                raise SecateurError(f"{opened.name}: damaged or cut off ({_last_line(complaints)}): {AGAIN}")

        yield Sound(rate, channels, None, f"{kind.name} by {PROGRAM}", blocks)


def _filled(kind: FileKind) -> list[str]:
    """Options that put silence where timestamps leave a gap, as `media` does, and stretch nothing."""
    if not kind.timed:
        return []
    return ["-af", f"aresample=async=1:min_comp={LEAST_GAP}:min_hard_comp={LEAST_GAP}:first_pts=0"]


def _header(pipe: IO[bytes]) -> tuple[int, int] | None:
    """Rate and channels of the WAV file that comes; what follows is samples."""
    if len(pipe.read(12)) < 12:
        return None
    header: tuple[int, int] | None = None
    while len(head := pipe.read(8)) == 8:
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            return header
        body = pipe.read(min(size, 1 << 16))
        if name == b"fmt " and len(body) >= 16:
            header = struct.unpack("<I", body[4:8])[0], struct.unpack("<H", body[2:4])[0]
    return None


def _last_line(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = complaints.read(1 << 16).decode(errors="replace").strip().splitlines()
    return lines[-1].split("] ")[-1][:120] if lines else "no reason given"
