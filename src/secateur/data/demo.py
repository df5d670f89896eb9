"""Which speech the demo uses: real recordings where there are any or where they can be fetched, else synthetic ones."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import cache_dir
from ..base.progress import say
from .download import download, existing
from .manifest import find_speech

SPLITS = ("train", "dev", "test")
BUNDLED = Path(__file__).resolve().parent / "bundled"
FIRST_CHOICE = "speechocean762"
FETCHED = "mini-librispeech"


@dataclass(frozen=True)
class DemoSpeech:
    """Three manifests whose speakers differ, and what to say about them."""

    name: str
    train: Path
    dev: Path
    test: Path
    synthetic: bool
    note: str


def demo_speech(fetch: bool = True, timeout: float = 4.0) -> DemoSpeech:
    """The first of: speechocean762 or another whole set under `find_speech()`, mini LibriSpeech, the bundled speech.

    Mini LibriSpeech (460 MB) is fetched into the cache unless it is there, `fetch` is false or `$SECATEUR_OFFLINE` is
    set; a server that does not answer within `timeout` s counts as absent. Synthetic speech is announced loudly.
    """
    folder = find_speech()
    if folder is not None:
        whole = sorted({path.parent for path in folder.glob("*/train.jsonl") if _is_whole(path.parent)})
        whole.sort(key=lambda place: place.name != FIRST_CHOICE)
        if whole:
            return _chosen(whole[0].name, whole[0], f"real recordings in {whole[0]}")
    cached = cache_dir() / "data" / FETCHED
    if not (existing(cached) and _is_whole(cached)) and fetch and not os.environ.get("SECATEUR_OFFLINE"):
        say("no speech at hand: fetching mini LibriSpeech, 460 MB (SECATEUR_OFFLINE=1 uses the bundled speech instead)")
        try:
            download(FETCHED, timeout=timeout)
        except SecateurError as problem:
            say(f"mini LibriSpeech: {problem}")
    if existing(cached) and _is_whole(cached):
        return _chosen(FETCHED, cached, "mini LibriSpeech, read audio books")
    note = "SYNTHETIC SPEECH: espeak-ng voices, not people. The numbers below say nothing about real recordings."
    line = "=" * len(note)
    say(f"{line}\n{note}\nSet SECATEUR_DATA to a folder of real sets, or run: secateur data download {FETCHED}\n{line}")
    return _chosen("bundled", BUNDLED, note, synthetic=True)


def _is_whole(folder: Path) -> bool:
    return all((folder / f"{split}.jsonl").is_file() for split in SPLITS)


def _chosen(name: str, folder: Path, note: str, synthetic: bool = False) -> DemoSpeech:
    train, dev, test = (folder / f"{split}.jsonl" for split in SPLITS)
    return DemoSpeech(name, train, dev, test, synthetic, note)
