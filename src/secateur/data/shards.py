"""Data sets in tar archives, in WebDataset's convention: members of one clip follow each other and share a stem.

`a1.flac` (or .wav, .opus, .mp3, .m4a and so on) with `a1.json` (the manifest's fields, "text" and others) or `a1.txt`
(the transcript). A set is named by a pattern: `train-{000..123}.tar` or `train-*.tar`.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..audio.files.kinds import SUFFIXES
from ..audio.members import members, read_range
from ..audio.read import SLACK, audio_info
from ..base.errors import SecateurError
from ..base.files import Json, atomic_path
from ..base.remote import url_of
from .fields import rename

AUDIO = frozenset(suffix[1:] for suffix in SUFFIXES)
KNOWN = ".flac, .mp3, .ogg, .opus, .wav, .m4a and others"  # for messages
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
MOST_SHARDS = 1_000_000
MOST_TEXT = 1 << 20  # bytes of a .json or .txt


def is_shards(path: str | Path) -> bool:
    """Whether `path` names archives rather than a manifest."""
    return str(path).endswith(".tar")


def shard_paths(pattern: str | Path) -> list[Path]:
    """The archives that a pattern names: `{000..123}` counts (with as many digits), `*` and `?` match what is there.

    >>> [p.name for p in shard_paths("set/train-{08..10}.tar")]
    ['train-08.tar', 'train-09.tar', 'train-10.tar']

    Raises:
        SecateurError: nothing matches, or a range that runs backwards or is longer than a million.
    """
    if is_shards(pattern) and url_of(pattern) is not None:
        raise SecateurError(f"{url_of(pattern)}: archives are read from this machine: copy them here first")
    paths = [str(pattern)]
    while (match := RANGE.search(paths[0])) is not None:
        first, last = int(match[1]), int(match[2])
        if not first <= last < first + MOST_SHARDS // len(paths):
            raise SecateurError(f"{pattern}: the range {match[0]} must run upwards, over a million archives at most")
        digits = len(match[1])
        numbers = [f"{n:0{digits}}" for n in range(first, last + 1)]
        paths = [RANGE.sub(number, path, count=1) for path in paths for number in numbers]
    archives = [Path(path) for path in paths]
    if any(c in archives[0].name for c in "*?["):
        archives = [
            match for archive_pattern in archives for match in sorted(archive_pattern.parent.glob(archive_pattern.name))
        ]
        if not archives:
            raise SecateurError(f"{pattern}: no archive matches")
    return archives


def read_samples(pattern: str | Path) -> Iterator[tuple[str, Json]]:
    """Every clip of the archives: where it is (for messages), and its fields as a line of a manifest has them.

    The id is the stem where the JSON has none, and the duration is read from the audio's header. `audio` is a path such
    as `train-000.tar/a1.flac`.

    Raises:
        SecateurError: an archive that cannot be read, a clip without audio, or JSON that is none.
    """
    for archive in shard_paths(pattern):
        resolved = archive.resolve()
        sample: list[tarfile.TarInfo] = []
        for member in members(archive):
            if sample and _stem(member.name)[0] != _stem(sample[0].name)[0]:
                yield _values(resolved, archive, sample)
                sample = []
            sample.append(member)
        if sample:
            yield _values(resolved, archive, sample)


def _stem(name: str) -> tuple[str, str]:
    """`a/b.seg.flac` as `("a/b", "flac")`: WebDataset's stem ends at the first dot of the last part."""
    folder, slash, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return folder + slash + stem, ending.rpartition(".")[2].lower()


def _values(resolved: Path, archive: Path, sample: Iterable[tarfile.TarInfo]) -> tuple[str, Json]:
    """One clip from its members."""
    values: Json = {}
    sound: tarfile.TarInfo | None = None
    key = ""
    for member in sample:
        key, ending = _stem(member.name)
        if ending in AUDIO:
            sound = sound or member
        elif ending in ("json", "txt"):
            if member.size > MOST_TEXT:
                raise SecateurError(f"{archive}, {member.name}: {member.size} bytes are too many for a transcript")
            values |= _read(read_range(resolved, member.offset_data, member.size), ending, f"{archive}, {member.name}")
    where = f"{archive}, {key}"
    if sound is None:
        raise SecateurError(f"{where}: no audio (known: {KNOWN})")
    if "id" not in values:
        values["id"] = key
    values["audio"] = f"{resolved}/{sound.name}"
    rename(values)  # archives come from others, and cannot be edited
    if "duration" not in values or "offset" in values:
        content = io.BytesIO(read_range(resolved, sound.offset_data, sound.size))
        content.name = f"{archive}/{sound.name}"
        seconds = audio_info(content).seconds
        # Toolkits that cut clips out of long recordings note where; the member is that part already.
        if values.setdefault("duration", seconds) == seconds or _alike(values["duration"], seconds):
            values.pop("offset", None)
    return where, values


def _alike(stated: object, seconds: float) -> bool:
    return isinstance(stated, int | float) and abs(stated - seconds) <= SLACK + 0.01 * seconds


def _read(content: bytes, ending: str, where: str) -> Json:
    """The fields that a member gives."""
    try:
        text = content.decode("utf-8-sig")
        values = json.loads(text) if ending == "json" else {"text": text.strip()}
    except UnicodeDecodeError as problem:
        raise SecateurError(f"{where}: not UTF-8 (byte {problem.start})") from problem
    except (ValueError, RecursionError) as problem:
        raise SecateurError(f"{where}: not valid JSON ({problem})") from problem
    if not isinstance(values, dict):
        raise SecateurError(f"{where}: expected a JSON object, found a {type(values).__name__}")
    return values


def write_shard(path: Path, clips: Iterable[tuple[str, str, bytes, Json]]) -> int:
    """Write one archive atomically, from stem, ending, audio and fields of every clip; the same clips, the same bytes.

    Returns how many clips there were.

    Raises:
        SecateurError: it cannot be written.
    """
    count = 0
    with atomic_path(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as out:
        for stem, ending, audio, fields in clips:
            count += 1
            line = (json.dumps(fields, ensure_ascii=False) + "\n").encode()
            for name, content in ((f"{stem}.{ending}", audio), (f"{stem}.json", line)):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                out.addfile(member, io.BytesIO(content))
            out.members = []  # type: ignore[attr-defined]
    return count
