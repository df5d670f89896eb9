"""Public speech sets, fetched, checked, unpacked and turned into manifests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ..base.errors import SecateurError, check_known, nearest
from ..base.files import cache_dir, read_json, write_json
from ..base.progress import say
from .archive import unpack, unpack_inner
from .layouts import LAYOUTS
from .manifest import write_manifest
from .prepare import PrepareSettings, prepare
from .recording import Recording
from .sources import SOURCES, Archive, PublicCorpus
from .split import split_by_speaker
from .transfer import fetch


def download(
    name: str, folder: Path | None = None, parts: Sequence[str] = (), base_url: str | None = None,
    timeout: float = 30.0, keep_archives: bool = False, quiet: bool = False,
) -> dict[str, Path]:  # fmt: skip
    """Fetch a set of `sources.SOURCES` into `folder` (default: the cache) and return its manifest of each split.

    `parts` are the pieces of a large set, `base_url` replaces its addresses. What is there already is not fetched or
    unpacked again. Archives are removed once unpacked unless `keep_archives`.

    Raises:
        SecateurError: an unknown set or part, a server that cannot be reached, a wrong checksum, an unsafe archive.
    """
    source = find_source(name)
    chosen = tuple(parts or source.default or source.parts)
    for part in chosen:
        if part not in source.parts:
            raise SecateurError(f"{name} has no part '{part}'{nearest(part, source.parts)}: {', '.join(source.parts)}")
    folder = (folder or cache_dir() / "data" / name).resolve()
    have = existing(folder)
    if have and set(chosen) <= set(read_json(folder / "parts.json")):
        return have
    for part in chosen:
        _fetch_archive(source.parts[part], part, source, folder, base_url, timeout, keep_archives, quiet)
    unpacked = sorted(part for part in source.parts if _unpacked(folder, part).is_dir())
    manifests = write_manifests(source, folder, unpacked, quiet)
    write_json(folder / "parts.json", unpacked)
    return manifests


def find_source(name: str) -> PublicCorpus:
    """The set of that name.

    Raises:
        SecateurError: none.
    """
    check_known("set", name, SOURCES)
    return SOURCES[name]


def existing(folder: Path) -> dict[str, Path]:
    """The manifests of a finished download in `folder`; none when it is not finished."""
    if not (folder / "parts.json").exists():
        return {}
    return {path.stem: path for path in sorted(folder.glob("*.jsonl"))}


def _unpacked(folder: Path, part: str) -> Path:
    return folder / "unpacked" / part


def _fetch_archive(
    archive: Archive, part: str, source: PublicCorpus, folder: Path, base_url: str | None, timeout: float, keep: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Fetch and unpack one archive unless that was done before."""
    target = _unpacked(folder, part)
    if not target.is_dir():
        say(f"{source.title}, {part}: about {archive.megabytes} MB, licence {source.licence}")
        bases = (base_url,) if base_url else source.bases
        path = folder / Path(archive.path).name
        fetch([f"{base.rstrip('/')}/{archive.path}" for base in bases], path, archive.checksum, timeout, quiet)
        unpack(path, target, max(10 * archive.megabytes, 1000) * 10**6, quiet)
        if not keep:
            path.unlink()
    unpack_inner(target, quiet)


def write_manifests(source: PublicCorpus, folder: Path, parts: Sequence[str], quiet: bool = False) -> dict[str, Path]:
    """One manifest a split from the unpacked `parts`; a dev split is taken from train where the set has none.

    Raises:
        SecateurError: the parts hold no recordings of the expected layout.
    """
    splits: dict[str, list[Recording]] = {}
    for part in parts:
        for recording in LAYOUTS[source.layout](_unpacked(folder, part)):
            splits.setdefault(source.rename.get(recording.split, recording.split), []).append(recording)
    if not splits:
        raise SecateurError(f"{folder}: the archives hold no recordings in the layout '{source.layout}'")
    settings = PrepareSettings(language=source.language, min_seconds=0, max_seconds=math.inf)
    written = {}
    for split, recordings in splits.items():
        path = folder / f"{split}.jsonl"
        prepared = prepare(recordings, path, settings, quiet=quiet)
        if prepared.skipped:
            say(f"{split}: {len(prepared.skipped)} left out, first {prepared.skipped[0][0]}: {prepared.skipped[0][1]}")
        written[split] = path
        if split == "train" and source.dev_share and "dev" not in splits:
            shares = {"train": 1 - source.dev_share, "dev": source.dev_share}
            for name, members in split_by_speaker(prepared.utterances, shares).items():
                written[name] = folder / f"{name}.jsonl"
                write_manifest(written[name], members)
    return written
