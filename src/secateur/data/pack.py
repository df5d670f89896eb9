"""From a manifest to tar archives (see `data.shards`), with the audio as it is; interrupted packing goes on."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from ..audio.members import open_member
from ..base.errors import SecateurError
from ..base.files import Json, read_json, write_json
from ..base.progress import track
from ..base.remote import absolute, is_file, open_remote, state_of, url_of
from .clip import flac_of
from .manifest import Utterance, iter_manifest, to_line
from .shards import AUDIO, KNOWN, shard_paths, write_shard

DIGITS = 6
ROOT = Path("/")


@dataclass(frozen=True)
class Packed:
    """The result of packing."""

    pattern: str  # what the archives are read by
    shards: int
    clips: int
    kept: int  # archives that were there already


def pack(manifest: str | Path, out: Path, clips: int = 1000, quiet: bool = False) -> Packed:
    """Write `out`-000000.tar and so on with `clips` clips each, in the manifest's order; whole ones are kept.

    Every archive appears only when it is whole. Memory holds one clip at a time.

    Raises:
        SecateurError: clips below 1, audio that cannot be read or whose ending is not known, or archives that were made
            from another manifest or with other settings.
    """
    if clips < 1:
        raise SecateurError(f"an archive needs at least one clip, found {clips}")
    utterances = track(iter_manifest(manifest), f"packing {Path(manifest).name}", quiet=quiet)
    first = next(utterances)
    _claim(out, manifest, clips)
    rest = itertools.chain([first], utterances)
    shards = count = kept = 0
    while piece := list(itertools.islice(rest, clips)):
        path = out.with_name(f"{out.name}-{shards:0{DIGITS}}.tar")
        if is_file(path):
            kept += 1
        else:
            write_shard(path, map(_member, piece))
        shards, count = shards + 1, count + len(piece)
    last = f"{shards - 1:0{DIGITS}}"
    return Packed(str(out.with_name(f"{out.name}-{{{'0' * DIGITS}..{last}}}.tar")), shards, count, kept)


def _claim(out: Path, manifest: str | Path, clips: int) -> None:
    """Record what the archives are made from, or compare it with an earlier record."""
    record = out.with_name(f"{out.name}.json")
    sources = shard_paths(manifest)
    sizes = [state_of(path) for path in sources]
    ours: Json = {
        "manifest": str(absolute(manifest)),
        "clips": clips,
        "state": hashlib.sha256(repr(sizes).encode()).hexdigest()[:16],
    }
    if not is_file(record):
        write_json(record, ours)
    elif read_json(record) != ours:
        raise SecateurError(f"{record}: archives of another manifest, or of another state of it, are here: remove them")


def _member(u: Utterance) -> tuple[str, str, bytes, Json]:
    """A clip as an archive has it."""
    fields = to_line(u, ROOT)
    del fields["audio"]
    if u.offset is not None or u.channel is not None:  # an archive holds the part alone, not the recording each time
        for name in ("offset", "channel"):
            fields.pop(name, None)
        return stem(u.id), "flac", flac_of(u), fields
    ending = u.audio.suffix[1:].lower()
    if ending not in AUDIO:
        raise SecateurError(f"{u.audio}: archives hold {KNOWN}: convert it first (secateur data prepare --format flac)")
    return stem(u.id), ending, _content(u.audio), fields


def _content(path: Path) -> bytes:
    try:
        if url_of(path) is not None:
            with open_remote(path) as file:
                return file.read()
        return path.read_bytes()
    except NotADirectoryError:
        member = open_member(path)
        if member is None:
            raise SecateurError(f"{path}: no such file") from None
        return member.getvalue()
    except OSError as problem:
        raise SecateurError(f"{path}: cannot be read ({problem.strerror or problem})") from problem


def stem(name: str) -> str:
    """An id as the stem of members: no dots, slashes or other marks; different ids have different stems.

    >>> stem("a-1"), stem("a.1")
    ('a-1', 'a_1-7163c3d5')
    """
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:60]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
