"""Public speech sets: where they are, how they are checked; fetched, unpacked and turned into manifests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..base.errors import SecateurError, check_known, nearest
from ..base.files import cache_dir, read_json, write_json
from ..base.progress import say
from .archive import unpack, unpack_inner
from .layouts import LAYOUTS
from .manifest import write_manifest
from .prepare import PrepareSettings, prepare
from .recording import Recording
from .split import split_by_speaker
from .transfer import fetch

OPENSLR = (
    "https://www.openslr.org/resources/",
    "https://us.openslr.org/resources/",
    "https://openslr.elda.org/resources/",
)


def download(
    name: str, folder: Path | None = None, parts: Sequence[str] = (), base_url: str | None = None,
    timeout: float = 30.0, keep_archives: bool = False, quiet: bool = False,
) -> dict[str, Path]:  # fmt: skip
    """Fetch a set of `SOURCES` into `folder` (default: the cache) and return its manifest of each split.

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


@dataclass(frozen=True)
class Archive:
    """One file to fetch."""

    path: str  # below a base URL
    megabytes: int  # about
    checksum: str = ""  # "md5:..." or "sha256:..."; empty when its publisher gives none


@dataclass(frozen=True)
class PublicCorpus:
    """A public set of recordings with transcripts."""

    title: str
    licence: str
    language: str
    bases: tuple[str, ...]  # base URLs, tried in this order
    layout: str  # a reader in `layouts.LAYOUTS`
    parts: Mapping[str, Archive]  # what can be fetched alone
    default: tuple[str, ...] = ()  # the parts that are fetched unless others are named; empty for all
    rename: Mapping[str, str] = field(default_factory=dict)  # the layout's name of a split to ours
    dev_share: float = 0.0  # of the train split's speakers, for sets without dev split


SOURCES: Mapping[str, PublicCorpus] = {
    "mini-librispeech": PublicCorpus(
        "mini LibriSpeech: about 7 h of LibriSpeech (openslr 31)", "CC BY 4.0", "en", OPENSLR, "librispeech",
        {
            "train-clean-5": Archive("31/train-clean-5.tar.gz", 333, "md5:5df7d4e78065366204ca6845bb08f490"),
            "dev-clean-2": Archive("31/dev-clean-2.tar.gz", 126, "md5:6d7ab67ac6a1d2c993d050e16d61080d"),
        },
        rename={"train-clean-5": "train", "dev-clean-2": "test"}, dev_share=0.1,
    ),
    "librispeech": PublicCorpus(
        "LibriSpeech: read English audio books (openslr 12)", "CC BY 4.0", "en", OPENSLR, "librispeech",
        {
            "dev-clean": Archive("12/dev-clean.tar.gz", 338, "md5:42e2234ba48799c1f50f24a7926300a1"),
            "dev-other": Archive("12/dev-other.tar.gz", 314, "md5:c8d0bcc9cca99d4f8b62fcc847357931"),
            "test-clean": Archive("12/test-clean.tar.gz", 347, "md5:32fa31d27d2e1cad72775fee3f4849a9"),
            "test-other": Archive("12/test-other.tar.gz", 329, "md5:fb5a50374b501bb3bac4815ee91d3135"),
            "train-clean-100": Archive("12/train-clean-100.tar.gz", 6387, "md5:2a93770f6d5c6c964bc36631d331a522"),
            "train-clean-360": Archive("12/train-clean-360.tar.gz", 23049, "md5:c0e676e450a7ff2f54aeade5171606fa"),
            "train-other-500": Archive("12/train-other-500.tar.gz", 30593, "md5:d1a0fd59409feb2c614ce4d30c387708"),
        },
        default=("dev-clean", "test-clean", "train-clean-100"),
    ),
    "an4": PublicCorpus(
        "CMU AN4: an hour of spelt words, numbers and addresses", "BSD-like (CMU)", "en",
        ("http://www.speech.cs.cmu.edu/databases/an4/", "https://dldata-public.s3.us-east-2.amazonaws.com/"), "an4",
        {"all": Archive("an4_sphere.tar.gz", 64)}, dev_share=0.1,
    ),
    "speech-commands": PublicCorpus(
        "Speech Commands v2: 105,829 single words by 2,618 speakers", "CC BY 4.0", "en",
        ("https://storage.googleapis.com/download.tensorflow.org/data/", "http://download.tensorflow.org/data/"),
        "speech-commands",
        {
            "all": Archive(
                "speech_commands_v0.02.tar.gz", 2429,
                "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            )
        },
    ),
    "aishell": PublicCorpus(
        "AISHELL-1: 178 h of read Mandarin (openslr 33)", "Apache-2.0", "zh", OPENSLR, "aishell",
        {"all": Archive("33/data_aishell.tgz", 15582, "md5:2f494334227864a8a8fec932999db9d8")},
    ),
}  # fmt: skip
