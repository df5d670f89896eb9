"""Public sets with a layout of their own: LibriSpeech, AN4, Speech Commands, AISHELL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...base.errors import SecateurError
from ..recording import ForeignSet, Recording


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
        if key not in source.by_name:
            source.leave_out(key, "no recording of its name")
