"""How sets of recordings and transcripts lie on disk, each read into `Recording`s; audio files are not opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import at_home
from .recording import AUDIO, Recording, keyed_lines, text_lines
from .tables import read_table


def read_librispeech(folder: Path) -> Iterator[Recording]:
    """`<split>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt`, each line an id and a text in capitals."""
    for transcript in sorted(folder.rglob("*.trans.txt")):
        split = transcript.parent.parent.parent.name
        beside = {f.stem: f for f in sorted(transcript.parent.iterdir(), reverse=True) if f.suffix in AUDIO}
        for _, key, text in keyed_lines(transcript):
            audio = beside.get(key, transcript.parent / f"{key}.flac")
            yield Recording(key, audio, text.lower(), key.split("-")[0], split)


def read_kaldi(folder: Path) -> Iterator[Recording]:
    """A Kaldi data folder: `wav.scp`, `text`, and perhaps `utt2spk`, of which each line begins with the id."""
    if (folder / "segments").exists():
        raise SecateurError(f"{folder}/segments: cut the recordings first (extract-segments), then use the new wav.scp")
    texts = {key: text for _, key, text in keyed_lines(folder / "text")}
    speakers = {}
    if (folder / "utt2spk").exists():
        speakers = {key: speaker for _, key, speaker in keyed_lines(folder / "utt2spk")}
    for number, key, place in keyed_lines(folder / "wav.scp"):
        if place.endswith("|"):
            raise SecateurError(f"{folder}/wav.scp, line {number}: a command, not a file; commands are never run")
        yield Recording(key, folder / at_home(place), texts.get(key, ""), speakers.get(key, ""))


def read_paired(folder: Path) -> Iterator[Recording]:
    """Audio files with a text of the same name beside them (`.txt` or `.lab`); the speaker is the folder, if any."""
    for audio in sorted(f for f in folder.rglob("*") if f.suffix.lower() in AUDIO):
        text = next((t for t in (audio.with_suffix(".txt"), audio.with_suffix(".lab")) if t.exists()), None)
        if text is not None:
            words = " ".join(line for _, line in text_lines(text))
            inside = audio.relative_to(folder)
            yield Recording("-".join(inside.with_suffix("").parts), audio, words, "-".join(inside.parent.parts))


def read_an4(folder: Path) -> Iterator[Recording]:
    """CMU AN4: `etc/an4_<split>.transcription` with lines such as `<s> ONE TWO </s> (an251-fash-b)`."""
    for split, where in (("train", "an4_clstk"), ("test", "an4test_clstk")):
        for transcript in sorted(folder.rglob(f"an4_{split}.transcription")):
            for number, line in text_lines(transcript):
                match = re.fullmatch(r"(.*?)\s*\(([^()]+)\)", line)
                if match is None or len(match[2].split("-")) < 3:
                    raise SecateurError(f"{transcript}, line {number}: expected TEXT (utterance-speaker-letter)")
                text = re.sub(r"</?s>", " ", match[1])
                speaker = match[2].split("-")[1]
                audio = transcript.parent.parent / "wav" / where / speaker / f"{match[2]}.sph"
                yield Recording(match[2], audio, " ".join(text.lower().split()), speaker, split)


def read_speech_commands(folder: Path) -> Iterator[Recording]:
    """Speech Commands: `<word>/<speaker>_nohash_<take>.wav`; lists of files name the validation and testing splits."""
    lists: dict[str, str] = {}
    for name, split in (("validation_list.txt", "dev"), ("testing_list.txt", "test")):
        for listed in sorted(folder.rglob(name)):
            lists |= {line: split for _, line in text_lines(listed)}
    for audio in sorted(folder.rglob("*_nohash_*.wav")):
        word = audio.parent.name
        split = lists.get(f"{word}/{audio.name}", "train")
        yield Recording(f"{word}-{audio.stem}", audio, word, audio.stem.split("_nohash_")[0], split)


def read_aishell(folder: Path) -> Iterator[Recording]:
    """AISHELL-1: `transcript/aishell_transcript_*.txt`, words set apart by spaces; `<split>/<speaker>/<id>.wav`."""
    texts: dict[str, str] = {}
    for transcript in sorted(folder.rglob("aishell_transcript*.txt")):
        texts |= {key: "".join(text.split()) for _, key, text in keyed_lines(transcript)}
    for audio in sorted(folder.rglob("*.wav")):
        if audio.stem in texts:  # some recordings have no transcript
            yield Recording(audio.stem, audio, texts[audio.stem], audio.parent.name, audio.parent.parent.name, "zh")


LAYOUTS: Mapping[str, Callable[[Path], Iterator[Recording]]] = {
    "librispeech": read_librispeech,
    "kaldi": read_kaldi,
    "table": read_table,
    "paired": read_paired,
    "an4": read_an4,
    "speech-commands": read_speech_commands,
    "aishell": read_aishell,
}


def recognise(path: Path) -> str:
    """Which layout a folder (or table) has.

    Raises:
        SecateurError: none that is known.
    """
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv"):
        return "table"
    if not path.is_dir():
        raise SecateurError(f"{path}: expected a folder, or a table ending in .csv or .tsv")
    if (path / "wav.scp").exists():
        return "kaldi"
    for pattern, name in (
        ("*.trans.txt", "librispeech"), ("an4_*.transcription", "an4"), ("aishell_transcript*.txt", "aishell"),
        ("*_nohash_*.wav", "speech-commands"),
    ):  # fmt: skip
        if next(path.rglob(pattern), None) is not None:
            return name
    if next(read_paired(path), None) is not None:
        return "paired"
    tables = sorted(p.name for pattern in ("*.csv", "*.tsv") for p in path.glob(pattern))
    hint = f"; name the table: {path / tables[0]}" if tables else ""
    raise SecateurError(f"{path}: neither *.trans.txt, wav.scp, nor audio with .txt or .lab beside it{hint}")
