"""Public sets with a layout of their own: LibriSpeech, AN4, Speech Commands, AISHELL.

And their simplest form: one text file for all recordings, each line the name of a recording and its transcript.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...base.errors import SecateurError
from ...base.remote import is_file
from ..recording import AUDIO, ForeignSet, Recording, composed
from ..times import times_in
from .nearby import PLAIN

LOOKED_AT = 50  # lines
TRANSCRIPT_NAME = re.compile(
    r"trans|text|prompt|sentence|script|ort", re.IGNORECASE
)  # others list segments, speakers, ...
SPLIT = re.compile(r"\s*[\t|]\s*|\s*:\s+|,\s*|\s+")


def read_keyed(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """Lines such as `a1.wav hello there`, `a1<TAB>hello`, `a1|hello` or `(a1 "hello")`; endings may be left out.

    Raises:
        SecateurError: a file that cannot be read.
    """
    source = ForeignSet.of(place)
    whole = source.root == source.folder
    paths = [path for path in source.ending(*PLAIN) if is_keyed(source, path)] if whole else [source.root]
    named = [path for path in paths if TRANSCRIPT_NAME.search(path.stem)]
    for path in named or paths:
        for number, line in source.lines(path, comments="#"):
            key, text = _parts(line)
            audio = source.locate(key, path.parent)
            if not is_file(audio):
                source.leave_out(f"{path}, line {number}", "no such audio file", key[:80])
                continue
            if times := times_in(f"{text} "[:200]):
                source.leave_out(f"{path}, line {number}", "times inside the text", f"'{times[:40]}'")
                continue
            name = key[: -len(audio.suffix)] if key.endswith(audio.suffix) else key
            yield Recording(name, audio, text, no_speech=not text)


def is_keyed(source: ForeignSet, path: Path) -> bool:
    """Whether most lines of a file begin with the name of a recording."""
    lines = [line for _, line in source.lines(path, comments="#")][:LOOKED_AT]
    named = [audio for audio in (source.locate(_parts(line)[0], path.parent) for line in lines) if is_file(audio)]
    return len(named) >= max(1, 0.8 * len(lines)) and all(f.suffix.lower() in AUDIO for f in named)


def _parts(line: str) -> tuple[str, str]:
    """The name and the text of a line."""
    lisp = re.fullmatch(r'\(\s*(\S+)\s+"(.*)"\s*\)', line)  # festvox
    if lisp:
        return lisp[1], lisp[2]
    ended = re.match(r"(.+?\.(?:wav|flac|mp3|ogg|opus|m4a|sph))\s*[\t|:, ]\s*(.*)$", line, re.IGNORECASE)
    if ended:  # names with spaces
        return ended[1], ended[2].strip()
    key, *rest = SPLIT.split(line, maxsplit=1)
    return key, rest[0].strip() if rest else ""


def read_librispeech(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """`<split>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt`, each line an id and a text in capitals."""
    source = ForeignSet.of(place)
    for transcript in source.ending(".trans.txt"):
        split = transcript.parent.parent.parent.name
        beside = {f.stem: f for f in source.audio if f.parent == transcript.parent}
        for _, key, text in source.keyed(transcript):
            audio = beside.get(key, transcript.parent / f"{key}.flac")
            yield Recording(key, audio, text.lower(), key.split("-")[0], split)


def read_an4(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """CMU AN4: `etc/an4_<split>.transcription` with lines such as `<s> ONE TWO </s> (an251-fash-b)`."""
    source = ForeignSet.of(place)
    for split, where in (("train", "an4_clstk"), ("test", "an4test_clstk")):
        for transcript in source.ending(f"an4_{split}.transcription"):
            for number, line in source.lines(transcript):
                match = re.fullmatch(r"(.*?)\s*\(([^()]+)\)", line)
                if match is None or len(match[2].split("-")) < 3:
                    raise SecateurError(f"{transcript}, line {number}: expected TEXT (utterance-speaker-letter)")
                text = re.sub(r"</?s>", " ", match[1])
                speaker = match[2].split("-")[1]
                audio = transcript.parent.parent / "wav" / where / speaker / f"{match[2]}.sph"
                yield Recording(match[2], audio, " ".join(text.lower().split()), speaker, split)


def read_speech_commands(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """Speech Commands: `<word>/<speaker>_nohash_<take>.wav`; lists of files name the validation and testing splits."""
    source = ForeignSet.of(place)
    lists: dict[str, str] = {}
    for name, split in (("validation_list.txt", "dev"), ("testing_list.txt", "test")):
        for listed in source.ending(name):
            lists |= {line: split for _, line in source.lines(listed)}
    for audio in source.audio:
        if "_nohash_" in audio.stem:
            word = audio.parent.name
            split = lists.get(f"{word}/{audio.name}", "train")
            yield Recording(f"{word}-{audio.stem}", audio, word, audio.stem.split("_nohash_")[0], split)


def read_aishell(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """AISHELL-1: `transcript/aishell_transcript_*.txt`, words set apart by spaces; `<split>/<speaker>/<id>.wav`."""
    source = ForeignSet.of(place)
    texts: dict[str, str] = {}
    for transcript in source.files:
        if transcript.name.startswith("aishell_transcript") and transcript.suffix == ".txt":
            texts |= {key: "".join(text.split()) for _, key, text in source.keyed(transcript)}
    for audio in source.audio:
        if audio.stem in texts:
            yield Recording(audio.stem, audio, texts[audio.stem], audio.parent.name, audio.parent.parent.name, "zh")
    for key in texts:
        if composed(key) not in source.by_name:
            source.leave_out(key, "no recording of its name")
