"""A recording before it is opened, and the foreign set that lists it."""

from __future__ import annotations

import gzip
import io
import os
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path

from ..audio.files.kinds import SUFFIXES
from ..base.errors import SecateurError
from ..base.files import MOST_TEXT, Json, at_home, read_limited
from ..base.remote import absolute, files_below, is_file, is_folder, url_of
from .encoding import decode_text, read_text
from .folders import contradict, whose

AUDIO = SUFFIXES  # a transcript beside one of them is no table of something else
CLIPS = ("", "clips", "wavs", "wav", "audio")  # folders beside a table that audio is looked for in
MOST_BESIDE = 100_000  # files beside a table, among which audio is looked for by its name alone
LONGEST_LINE = 500  # characters of an error
ABOVE = 4  # folders above, in which a path relative to a recipe's folder may begin


@dataclass(frozen=True)
class Recording:
    """An audio file, or a part of it, and what is known of it before it is opened."""

    id: str
    audio: Path
    text: str = ""
    speaker: str = ""
    split: str = ""
    language: str = ""
    extras: Json = field(default_factory=dict)
    offset: float | None = None  # s, where the part begins; None: at the beginning
    seconds: float | None = None  # of the part; None: up to the end
    channel: int | None = None  # from 0; None: all of them mixed
    no_speech: bool = False  # known to hold none: its empty text is the transcript


@dataclass(frozen=True)
class LeftOut:
    """What was listed and cannot be used."""

    id: str  # of the utterance, or where it is listed
    reason: str  # the kind, by which such cases are counted
    detail: str = ""  # what exactly, where there is more to say

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


@dataclass(frozen=True)
class ReadSettings:
    """What a set does not say of itself."""

    columns: dict[str, str] = field(default_factory=dict)  # our field to the column's name, or its number from 1
    encoding: str | None = None  # of its text files; None: as they look
    speaker_from: str = ""  # a pattern over paths, see `folders.speaker_pattern`
    language: str = "en"  # of texts without a language of their own: 8-bit encodings are guessed by it
    media: Path | None = None  # the folder that audio is written to which lies inside of other files


class ForeignSet:
    """A folder (or table, or recording) in somebody else's layout, with notes of what was seen while it was read."""

    def __init__(self, root: str | Path, settings: ReadSettings | None = None) -> None:
        self.root = Path(root)
        self.settings = settings or ReadSettings()
        self.left_out: list[LeftOut] = []
        self.notes: list[str] = []  # guesses that the user should know of
        self._clips: dict[Path, Path] = {}  # folders of tables, with those of their clips

    @staticmethod
    def of(place: ForeignSet | str | Path) -> ForeignSet:
        """`place` itself, or the set that lies there."""
        return place if isinstance(place, ForeignSet) else ForeignSet(place)

    @cached_property
    def folder(self) -> Path:
        """Where the set lies: its root, or the folder of the file that is its root."""
        return self.root if is_folder(self.root) else self.root.parent

    @cached_property
    def files(self) -> list[Path]:
        """Every file in it, sorted; none where the root is a file in a folder of very many others.

        What an earlier run wrote is no part of the set, so that it can be prepared again.
        """
        if self.folder == self.root:
            files_there = files_below(self.folder)
        else:
            try:
                files_there = files_below(self.folder, MOST_BESIDE)
            except SecateurError:
                return []
        media = self.settings.media
        own = None if media is None else media.with_name(f"{media.name}.jsonl")
        files_there = [f for f in files_there if not f.name.endswith(".left-out.tsv")]
        return files_there if own is None else [f for f in files_there if f.name != own.name or absolute(f) != own]

    @cached_property
    def audio(self) -> list[Path]:
        """Every audio file in it."""
        return [f for f in self.files if f.suffix.lower() in AUDIO]

    @cached_property
    def by_name(self) -> dict[str, list[Path]]:
        """Audio files by their name, and by their name without ending."""
        names: dict[str, list[Path]] = {}
        for path in self.audio:
            for name in {composed(path.name), composed(path.stem)}:
                names.setdefault(name, []).append(path)
        return names

    @cached_property
    def by_composed_path(self) -> dict[str, Path]:
        """Audio files by their path with composed letters: a Mac may spell `é` as two characters, a table as one."""
        return {composed(path): path for path in self.audio}

    @cached_property
    def folders_of_audio(self) -> frozenset[Path]:
        """The folders that hold audio files."""
        return frozenset(f.parent for f in self.audio)

    @cached_property
    def names_of_folders(self) -> frozenset[str]:
        """The names of these folders and those above them, in lower case, without what only says what is in them."""
        return frozenset(name for folder in self.folders_of_audio for name in whose(Path(self.inside(folder)).parts))

    @cached_property
    def _above_audio(self) -> frozenset[Path]:
        """The folders with audio in them or below them."""
        return frozenset(above for folder in self.folders_of_audio for above in (folder, *folder.parents))

    def ending(self, *endings: str) -> list[Path]:
        """The files whose names end in one of `endings` (lower case)."""
        return [f for f in self.files if f.name.lower().endswith(endings)]

    def inside(self, path: Path) -> str:
        """A path as it is called inside the set."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.as_posix()

    def leave_out(self, name: str, reason: str, detail: str = "") -> None:
        """Note what cannot be used."""
        self.left_out.append(LeftOut(name, reason, detail))

    def note(self, line: str) -> None:
        """Note a guess, once."""
        if line not in self.notes:
            self.notes.append(line)

    def text(self, path: Path) -> str:
        """The text of a file, of any encoding; also of one compressed with gzip.

        Raises:
            SecateurError: it cannot be read, or its encoding is not clear.
        """
        if path.suffix.lower() == ".gz":
            text, used = decode_text(_unzipped(path), str(path), self.settings.encoding, self.settings.language)
        else:
            text, used = read_text(path, self.settings.encoding, self.settings.language)
        if self.settings.encoding is None and not used.startswith(("utf-8", "utf-16", "utf-32")):
            self.note(f"{self.inside(path)}: read as {used}; if letters are wrong, name another --encoding")
        return text

    def lines(self, path: Path, comments: str = "") -> Iterator[tuple[int, str]]:
        """Numbers and contents of the lines of a file that are not blank, nor begin with `comments`."""
        for number, line in enumerate(self.text(path).split("\n"), 1):
            if line.strip() and not (comments and line.lstrip().startswith(comments)):
                yield number, line.strip()

    def keyed(self, path: Path) -> Iterator[tuple[int, str, str]]:
        """Number, first word and rest of every line."""
        for number, line in self.lines(path):
            key, *rest = line.split(maxsplit=1)
            yield number, key, rest[0] if rest else ""

    def locate(self, name: str, base: Path | None = None) -> Path:
        """The audio file that `name` means, written in a file of the folder `base`; where it should be when it is not.

        Looked for in `base` and in `clips`, `wavs`, `wav`, `audio` beside it, with the endings of audio where it has
        none, in folders above, from the current folder, and at last anywhere in the set under its own name.
        """
        base = base or self.folder
        if url_of(name):
            return Path(name)
        relative = at_home(name.strip().replace("\\", "/") if "\\" in name and os.sep == "/" else name.strip())
        first = base / relative
        if len(name) > 4096 or "\x00" in name:
            return first
        candidates = (
            [first, *(base / inside / relative for inside in CLIPS[1:])] if not relative.is_absolute() else [relative]
        )
        located = self._existing(candidates, relative)
        if located is None:
            located = next(
                (self.by_composed_path[c] for c in map(composed, candidates) if c in self.by_composed_path), None
            )
        if located is not None:
            return located
        named = self.by_name.get(composed(relative.name))
        if not named and relative.suffix.lower() in AUDIO:  # converted since
            named = self.by_name.get(composed(relative.stem))
        if named and len(named) > 1:  # the one that shares most folders with what is written
            named = [f for f in named if composed(f).endswith(composed("/" + "/".join(relative.parts[-2:])))] or named
        if named and len(named) == 1 and not self._of_another(named[0], relative, base):
            return named[0]
        if not relative.is_absolute() and url_of(base) is None:
            above = absolute(base).parents
            located = self._existing(
                [*(folder / relative for folder in above[:ABOVE]), Path.cwd() / relative], relative
            )
        return located or self._expected(base, relative)

    def _of_another(self, path: Path, written: Path, base: Path) -> bool:
        """Whether a file of the name that is `written` in the folder `base` is not what is meant: another speaker's."""
        if base in self._above_audio and not path.is_relative_to(base):
            return True
        return contradict(written, Path(self.inside(path)), self.names_of_folders)

    def _expected(self, base: Path, relative: Path) -> Path:
        """Where a file that is missing should be: in the folder of clips that is there, or as written."""
        if len(relative.parts) > 1:
            return base / relative
        if base not in self._clips:
            self._clips[base] = next((base / name for name in CLIPS[1:] if is_folder(base / name)), base)
        return self._clips[base] / relative

    def _existing(self, candidates: list[Path], relative: Path) -> Path | None:
        for candidate in candidates:
            if is_file(candidate):
                return candidate
            if relative.suffix.lower() not in AUDIO and candidate.name:
                beside = (candidate.with_name(candidate.name + ending) for ending in (".wav", ".flac", ".mp3", ".opus"))
                match = next((f for f in beside if is_file(f)), None)
                if match is not None:
                    return match
        return None


def composed(path: Path | str) -> str:
    """A path with every accent in the character of its letter (NFC), whichever way its file system spells it."""
    return unicodedata.normalize("NFC", path if isinstance(path, str) else path.as_posix())


Reader = Callable[["ForeignSet | str | Path"], Iterator[Recording]]


def one_at_least(read: Reader) -> Reader:
    """A reader that raises the first thing it left out when nothing else was there."""

    @wraps(read)
    def reader(place: ForeignSet | str | Path) -> Iterator[Recording]:
        source = ForeignSet.of(place)
        count = 0
        for count, recording in enumerate(read(source), 1):  # noqa: B007
            yield recording
        if not count and source.left_out:
            first = source.left_out[0]
            line = f"{first.id}: {first}"  # endless where a corrupted file has no separators
            raise SecateurError(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…")

    return reader


def _unzipped(path: Path) -> bytes:
    """What a gzip file holds, which may be far more than it takes."""
    try:
        with gzip.open(io.BytesIO(read_limited(path))) as file:
            data = file.read(MOST_TEXT + 1)
    except (OSError, EOFError, zlib.error) as problem:
        raise SecateurError(f"{path}: cannot be unpacked ({problem}): copy it again") from problem
    if len(data) > MOST_TEXT:
        raise SecateurError(f"{path}: more than {MOST_TEXT >> 20} MB of text: cut it into several")
    return data
