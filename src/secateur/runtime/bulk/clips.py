"""The clips to transcribe, in pieces of a few minutes: from manifests, tar archives, folders and single files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...audio.files.kinds import SUFFIXES, audio_files
from ...base.errors import SecateurError
from ...base.remote import absolute
from ...data.hashes import Hashes
from ...data.manifest import Utterance, iter_manifest
from ...data.shards import is_shards

UNKNOWN = 0.0  # duration of a file that nobody has opened yet
GUESS = 10.0  # seconds such a file counts for


@dataclass(frozen=True)
class Piece:
    """Clips that are transcribed in one task; the same input gives the same pieces."""

    number: int
    clips: tuple[Utterance, ...]


def is_manifest(path: str | Path) -> bool:
    """Whether `path` names a manifest or archives rather than audio."""
    return is_shards(path) or str(path).endswith(".jsonl")


def read_clips(inputs: Iterable[str]) -> Iterator[Utterance]:
    """The clips of all inputs, one at a time; a file's id is its name, a folder's are paths inside it.

    Raises:
        SecateurError: a manifest that cannot be read, or a folder without audio.
    """
    for word in inputs:
        root = Path(word)
        if is_manifest(word):
            yield from iter_manifest(word)
        elif root.is_dir():
            for path in audio_files(root):
                yield Utterance(path.relative_to(root).as_posix(), path.resolve(), UNKNOWN, language="")
        else:
            yield Utterance(root.name, absolute(root), UNKNOWN, language="")


def name_of_file(clip: Utterance) -> str:
    """What a clip's file is called below --out, without its ending: its id, of a folder's files the path in it."""
    name = Path(clip.id)
    return str(name.with_suffix("")) if name.suffix.lower() in SUFFIXES else clip.id


def each_once(clips: Iterable[Utterance], name: Callable[[Utterance], str]) -> Iterator[Utterance]:
    """The same clips.

    Raises:
        SecateurError: two of them have one name.
    """
    seen = Hashes()
    for clip in clips:
        if not seen.add(name(clip)):
            raise SecateurError(f"{clip.audio}: '{name(clip)}' occurs twice among what is to be transcribed")
        yield clip


def cut(clips: Iterable[Utterance], seconds: float, most: int) -> Iterator[Piece]:
    """Pieces of up to `seconds` of audio and `most` clips, at least one."""
    piece: list[Utterance] = []
    left, number = seconds, 0
    for clip in clips:
        length = clip.duration or GUESS
        if piece and (length > left or len(piece) >= most):
            yield Piece(number, tuple(piece))
            piece, left, number = [], seconds, number + 1
        piece.append(clip)
        left -= length
    if piece:
        yield Piece(number, tuple(piece))
