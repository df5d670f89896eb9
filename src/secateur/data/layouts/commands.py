"""The file that a command in `wav.scp` reads, without running it: what common programs do with it is understood."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass

# What takes a value, and what may stand there because it changes neither words nor times.
SOX_VALUED = {"-r", "-c", "-b", "-e", "-t", "--rate", "--channels", "--bits", "--encoding", "--type", "-v", "--volume"}
SOX_PLAIN = {"-q", "-G", "-D", "-R", "-S", "-V", "-V0", "-V1", "-V2", "-s", "-L", "-B", "-2", "-w"}
SOX_EFFECTS = {"rate", "remix", "channels", "gain", "norm", "vol", "dither", "dcshift"}
FFMPEG_VALUED = {
    "-i", "-f", "-ac", "-ar", "-acodec", "-c:a", "-codec:a", "-sample_fmt", "-loglevel", "-v", "-threads", "-b:a",
    "-ab", "-map",
}  # fmt: skip
FFMPEG_PLAIN = {"-y", "-n", "-nostdin", "-vn", "-nostats", "-hide_banner", "-sn", "-dn", "-bitexact"}
FLAC_PLAIN = {"--decode", "--stdout", "--silent", "--totally-silent"}  # and -c, -d, -s in any order
SPH_VALUED = {"-f", "-c", "-t", "-s"}


@dataclass(frozen=True)
class Piped:
    """What a command reads."""

    file: str
    channel: int | None = None  # from 0


def file_of(command: str) -> Piped | str:
    """The file that `command` (with or without its last `|`) reads as it is, or why that is not known.

    >>> file_of("sph2pipe -f wav -p -c 2 /d/a.sph | sox -t wav - -r 16000 -t wav - |")
    Piped(file='/d/a.sph', channel=1)
    >>> file_of("sox a.wav -t wav - speed 0.9 |")
    "'sox' changes the sound (speed)"
    """
    text = command.strip().removesuffix("|").strip()
    if any(mark in text for mark in "<>;&`$\n") or "||" in text:
        return "more than programs in a row"
    source: Piped | None = None
    for stage in text.split("|"):
        try:
            words = shlex.split(stage)
        except ValueError:
            return "quotation marks that do not close"
        if not words:
            return "an empty command"
        program = os.path.basename(words[0])  # noqa: PTH119
        reader = READERS.get(program)
        if reader is None:
            return f"what '{program}' does is not known"
        read = reader(words[1:])
        if isinstance(read, str):
            return f"'{program}' {read}"
        if source is None:
            if read.file == "-":
                return f"'{program}' reads nothing that is known"
            source = read
        elif read.file != "-":
            return f"'{program}' reads a file of its own"
        else:
            source = Piped(source.file, source.channel if read.channel is None else read.channel)
    return source or "an empty command"


def _sox(words: list[str]) -> Piped | str:
    files: list[str] = []
    rest = list(words)
    channel = None
    while rest and len(files) < 2:
        word = rest.pop(0)
        if word in SOX_VALUED and rest:
            rest.pop(0)
        elif word == "-" or not word.startswith("-"):
            files.append(word)
        elif word not in SOX_PLAIN:
            return f"has the option {word}"
    if len(files) < 2:
        return "writes nowhere"
    if files[0] == "-m" or files[1] not in ("-", "/dev/stdout", "-p"):
        return "writes to a file"
    while rest:
        effect = rest.pop(0)
        if effect not in SOX_EFFECTS:
            return f"changes the sound ({effect})"
        values = []
        while rest and rest[0] not in SOX_EFFECTS and (rest[0][:1] in "-0123456789." or effect == "rate"):
            values.append(rest.pop(0))
        if effect == "remix":
            if len(values) != 1 or not (values[0] == "-" or values[0].isdecimal()):
                return "mixes channels"
            channel = None if values[0] == "-" else int(values[0]) - 1
    return Piped(files[0], channel)


def _sph2pipe(words: list[str]) -> Piped | str:
    files, channel, rest = [], None, list(words)
    while rest:
        word = rest.pop(0)
        if word in SPH_VALUED and rest:
            value = rest.pop(0)
            if word in ("-t", "-s"):
                return "cuts"
            if word == "-c":
                channel = int(value) - 1 if value in ("1", "2") else None
        elif not word.startswith("-") or word == "-":
            files.append(word)
    return Piped(files[0], channel) if len(files) == 1 else "reads several files"


def _ffmpeg(words: list[str]) -> Piped | str:
    files, last, rest = [], "", list(words)
    while rest:
        word = rest.pop(0)
        if word in FFMPEG_PLAIN:
            continue
        if word in FFMPEG_VALUED and rest:
            value = rest.pop(0)
            if word == "-i":
                files.append(value.removeprefix("file:"))
        elif word.startswith("-") and word != "-":
            return f"has the option {word}"
        else:
            last = word
    if last not in ("-", "pipe:1", "pipe:", "/dev/stdout"):
        return "writes to a file"
    file = files[0] if len(files) == 1 else ""
    return Piped("-" if file in ("pipe:0", "pipe:", "/dev/stdin") else file) if file else "reads several files"


def _flac(words: list[str]) -> Piped | str:
    files = [w for w in words if not w.startswith("-") or w == "-"]
    odd = next((w for w in words if w[:1] == "-" and w not in FLAC_PLAIN and set(w) - set("-cds")), "")
    if odd:
        return f"has the option {odd}"
    return Piped(files[0]) if len(files) == 1 else "reads several files"


def _cat(words: list[str]) -> Piped | str:
    return Piped(words[0]) if len(words) == 1 and not words[0].startswith("-") else "reads several files"


READERS: dict[str, Callable[[list[str]], Piped | str]] = {
    "sox": _sox, "sph2pipe": _sph2pipe, "ffmpeg": _ffmpeg, "avconv": _ffmpeg, "flac": _flac, "cat": _cat,
    "opusdec": lambda words: _flac([w for w in words if w not in ("--force-wav", "--quiet")][:1]),
    "mpg123": lambda words: _flac([w for w in words if w not in ("-q", "-w", "-", "--quiet")]),
}  # fmt: skip
