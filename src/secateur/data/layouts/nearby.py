"""Which recording a text or an annotation is about that is called like it: never another speaker's."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ..folders import FORMAT, differing, kinds, whose
from ..recording import AUDIO, ForeignSet, composed

# What has times; of several annotations of one recording the first kind counts.
TIMED = (".textgrid", ".eaf", ".stm", ".vtt", ".srt", ".sbv", ".ctm", ".json")
PLAIN = (".txt", ".lab", ".trn", ".text", ".trans", ".transcript", ".normalized.txt", ".original.txt")
FIELDS = ".json"  # one object with the text and perhaps other fields
MICROPHONE = re.compile(r"[_-](?:mic|ch|channel)\d{1,2}$")  # one text for several recordings of it (VCTK)


def bare_name(path: Path) -> str:
    """`a.txt`, `a.wav.txt` and `a.normalized.txt` as `a`."""
    name = path.name
    ending = max(len(ending) for ending in (*PLAIN, *TIMED) if name.lower().endswith(ending))
    name = name[:-ending]
    return name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in AUDIO else name


def stem_of(path: Path) -> str:
    """The name of the recording that a text is called after, in lower case and composed letters."""
    return composed(bare_name(path).lower())


class Nearby:
    """Texts and recordings of one name belong together in one folder, or in folders that differ by what is in them.

    `wav/anna/1.wav` has `txt/anna/1.txt`, `anna_txt/1.txt` or, where no other recording is called `1`, `txt/1.txt`;
    never a text from another speaker's folder, or from above where recordings of its own lie beside it.
    """

    def __init__(self, source: ForeignSet) -> None:
        self.source = source
        self.audio: dict[str, list[Path]] = defaultdict(list)  # by the text's name, in lower case
        for path in source.audio:
            stem = composed(path.stem.lower())
            for name in {stem, MICROPHONE.sub("", stem)}:
                self.audio[name].append(path)
        called = [p for p in source.ending(*PLAIN, *TIMED) if stem_of(p) in self.audio]
        self.texts: dict[str, list[Path]] = defaultdict(list)
        for path in called:
            if path.name.lower().endswith((*PLAIN, FIELDS)):
                self.texts[stem_of(path)].append(path)
        self._whose = lru_cache(maxsize=None)(lambda folder: whose(self._folders(folder)))
        self._names = source.names_of_folders
        self._text_names = {name for p in {p.parent for p in called} for name in self._whose(p)}
        exact = {(f.parent, composed(f.stem.lower())) for f in source.audio}
        self._some_beside = any((p.parent, stem_of(p)) in exact for p in called)
        self._apart = lru_cache(maxsize=1 << 18)(self._between)
        self._places = lru_cache(maxsize=1 << 12)(self._by_place)

    def _folders(self, folder: Path) -> tuple[str, ...]:
        return Path(self.source.inside(folder)).parts

    def _by_place(self, name: str, texts: bool) -> dict[tuple[str, ...], list[tuple[Path, Path]]]:
        """The texts, or the recordings, of a name with their folders, by whose they are."""
        places: dict[tuple[str, ...], list[tuple[Path, Path]]] = defaultdict(list)
        for path in (self.texts if texts else self.audio).get(name, ()):
            folder = path.parent
            places[self._whose(folder)].append((folder, path))
        return places

    def _nearest(self, name: str, folder: Path, texts: bool) -> list[Path]:
        """The texts of a name that are nearest to a folder of recordings, or the other way round."""
        places = self._places(name, texts)
        # What has the same names above it is nearest: most often there is no need to look at all others.
        for some in (places.get(self._whose(folder), []), [pair for place in places.values() for pair in place]):
            apart = [(self._apart(folder, at) if texts else self._apart(at, folder), path) for at, path in some]
            near = min((d for d, _ in apart if d is not None), default=None)
            if near is not None:
                return [path for d, path in apart if d == near]
        return []

    def _between(self, recordings: Path, texts: Path) -> int | None:
        """How far a folder of recordings is from one of texts; None: what they hold does not belong together."""
        if recordings == texts:
            return -1
        mine, theirs = differing(self._whose(recordings), self._whose(texts))
        if any(name in self._names for name in theirs) or ((mine or theirs) and texts in self.source.folders_of_audio):
            return None
        # Folders of unknown names go together only where all texts are in one and all recordings in the other.
        alike = mine and theirs and not self._some_beside and len(theirs) == 1 and not set(mine) & self._text_names
        if mine and theirs and (not alike or kinds(self._folders(recordings)) != kinds(self._folders(texts))):
            return None
        return len(mine) + len(theirs)

    def owners(self, path: Path, name: str = "") -> list[Path]:
        """The recordings nearest to a text that may be meant by it, which is called `name`, or as its file."""
        nearest = self._nearest(composed(name.lower()) or stem_of(path), path.parent, texts=False)
        exact = [
            f for f in nearest if composed(f.stem) == composed(name or bare_name(path))
        ]  # beside `a.wav` there may be `A.wav`
        others = {f.stem.lower() for f in nearest} - {f.stem.lower() for f in exact}
        return [f for f in nearest if f in exact or not exact or f.stem.lower() in others]

    def one_recording(self, audio: Sequence[Path]) -> bool:
        """Whether files are the same recording: in several formats, or by several microphones."""
        names = {MICROPHONE.sub("", f.stem.lower()) for f in audio}
        folders = {tuple(p for p in self._folders(f.parent) if not FORMAT.match(p)) for f in audio}
        return len(names) == len(folders) == 1

    def text_of(self, audio: Path) -> tuple[Path | None, str, str]:
        """The text of a recording; or None, why there is none, and which text it may be."""
        stem = composed(audio.stem.lower())
        stem = stem if stem in self.texts else MICROPHONE.sub("", stem)
        mine = [path for path in self._nearest(stem, audio.parent, texts=True) if audio in self.owners(path)]
        if not mine:
            others = self.texts.get(stem)
            detail = f"{self.source.inside(others[0])} is perhaps another recording's" if others else ""
            return None, "no transcript beside it", detail
        usual = (".txt", ".lab")
        best, *rest = sorted(mine, key=lambda f: (f.suffix.lower() not in usual, f.suffix.lower() == FIELDS, f))
        where = self.source.inside(best)
        same = [f for f in rest if f.suffix.lower() == best.suffix.lower() and f.parent != best.parent]
        if any(self.source.text(f).split() != self.source.text(best).split() for f in same):
            return None, "several texts may be its transcript", f"{where}, {self.source.inside(same[0])}"
        if not self.one_recording(self.owners(best)):
            return None, "its text may be another recording's", where
        return best, "", ""
