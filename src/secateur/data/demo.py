"""Which speech the demo uses: real recordings where there are any or where they can be fetched, else synthetic ones."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import cache_dir
from ..base.progress import say
from .download import SOURCES, download, existing
from .manifest import find_speech
from .transfer import first_to_answer

SPLITS = ("train", "dev", "test")
BUNDLED = Path(__file__).resolve().parent / "bundled"
FIRST_CHOICE = "speechocean762"
FETCHED = "mini-librispeech"
STALLED = 2.0  # s without a byte after which a request is repeated, four times at most


@dataclass(frozen=True)
class DemoSpeech:
    """Three manifests whose speakers differ, and what to say about them."""

    name: str
    train: Path
    dev: Path
    test: Path
    synthetic: bool
    note: str


def demo_speech(fetch: bool = True, patience: float = 8.0) -> DemoSpeech:
    """The first of: speechocean762 or another whole set in or under `find_speech()`, mini LibriSpeech, the bundled set.

    A set is whole when it has train.jsonl, dev.jsonl and test.jsonl. Mini LibriSpeech (460 MB) is fetched into the
    cache unless it is there, `fetch` is false, `$SECATEUR_OFFLINE` is set, or no server answers within `patience` s.
    Synthetic speech is announced loudly.

    Raises:
        SecateurError: `$SECATEUR_DATA` is not a folder.
    """
    folder = find_speech()
    if folder is not None:
        complete = sorted({path.parent for path in folder.glob("*/train.jsonl") if _is_complete(path.parent)})
        complete += [folder] if _is_complete(folder) else []
        complete.sort(key=lambda folder_of_set: folder_of_set.name != FIRST_CHOICE)
        if complete:
            return _chosen(complete[0].name, complete[0], f"real recordings in {complete[0]}")
    cached = cache_dir() / "data" / FETCHED
    if not (existing(cached) and _is_complete(cached)) and fetch and not os.environ.get("SECATEUR_OFFLINE"):
        _fetch(patience)
    if existing(cached) and _is_complete(cached):
        return _chosen(FETCHED, cached, "mini LibriSpeech, read audio books")
    note = "SYNTHETIC SPEECH: espeak-ng voices, not people. The numbers below say nothing about real recordings."
    line = "=" * len(note)
    say(f"{line}\n{note}\nSet SECATEUR_DATA to a folder of real sets, or run: secateur data download {FETCHED}\n{line}")
    return _chosen("bundled", BUNDLED, note, synthetic=True)


def _fetch(patience: float) -> None:
    """Fetch mini LibriSpeech from the first of its servers that answers; say why when that fails."""
    source = SOURCES[FETCHED]
    first, *_ = source.parts.values()
    bases = {f"{base.rstrip('/')}/{first.path}": base for base in source.bases}
    say("no speech at hand: fetching mini LibriSpeech, 460 MB (SECATEUR_OFFLINE=1 uses the bundled speech instead)")
    answering = first_to_answer(list(bases), patience)
    if answering is None:
        say(f"mini LibriSpeech: none of its {len(bases)} servers answers")
        return
    try:
        download(FETCHED, base_url=bases[answering], timeout=STALLED)
    except SecateurError as problem:
        say(f"mini LibriSpeech: {problem}")


def _is_complete(folder: Path) -> bool:
    return all((folder / f"{split}.jsonl").is_file() for split in SPLITS)


def _chosen(name: str, folder: Path, note: str, synthetic: bool = False) -> DemoSpeech:
    train, dev, test = (folder / f"{split}.jsonl" for split in SPLITS)
    return DemoSpeech(name, train, dev, test, synthetic, note)
