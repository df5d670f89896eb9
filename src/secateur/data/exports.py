"""A manifest in the forms of other toolkits: NeMo, lhotse, Hugging Face's audiofolder, Kaldi."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..audio.members import inside_archive, open_member
from ..audio.read import AudioInfo, audio_info
from ..base.errors import UTTERANCES, SecateurError, several
from ..base.files import Json, write_bytes, write_text
from ..base.progress import track
from ..base.remote import absolute, is_file, open_remote, url_of
from .clip import flac_of
from .manifest import Utterance, relative_to
from .prepare import file_name

SPLITS = {"dev": "validation", "valid": "validation", "validation": "validation", "test": "test"}
AUDIO = "audio"  # folder of files that have to be written


@dataclass(frozen=True)
class ExportedData:
    """The result of an export."""

    files: list[Path]
    clips: int
    audio: int  # files that were written, because the toolkit could not read them where they are


class _Files:
    """Audio as files that any toolkit reads: where they are, or written into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0
        self._headers: dict[Path, AudioInfo] = {}

    def locate(self, u: Utterance) -> Utterance:
        """The utterance with audio that is a plain file of this machine, all channels of it."""
        if u.channel is not None:
            return self.copy(u)
        if url_of(u.audio) is not None or inside_archive(u.audio) is not None:
            return self.copy(u)
        if not u.audio.is_file():
            raise SecateurError(f"{u.audio}: no such file")
        return u

    def copy(self, u: Utterance) -> Utterance:
        """The utterance as a file of its own in the folder; parts are cut out."""
        part = u.offset is not None or u.channel is not None
        path = self.folder / f"{file_name(u.id)}{'.flac' if part else u.audio.suffix.lower()}"
        if not is_file(path):
            write_bytes(path, flac_of(u) if part else _content(u.audio))
        self.written += 1
        return Utterance(
            u.id, absolute(path), u.duration, u.text, u.speaker, u.language, u.extras, None, None, u.no_speech
        )

    def header(self, path: Path) -> AudioInfo:
        """What a file's header says, read once."""
        if path not in self._headers:
            self._headers[path] = audio_info(path)
        return self._headers[path]


def _content(path: Path) -> bytes:
    if url_of(path) is not None:
        with open_remote(path) as file:
            return file.read()
    member = open_member(path)
    return path.read_bytes() if member is None else member.getvalue()


def _recordings(clips: Iterable[Utterance]) -> dict[Path, str]:
    """A name for every recording: its only clip's id, or its file's name and, where that is not enough, a number."""
    by_recording: dict[Path, list[Utterance]] = {}
    for u in clips:
        by_recording.setdefault(u.audio, []).append(u)
    names: dict[Path, str] = {}
    used = {u.id for u in clips}
    for path, some in by_recording.items():
        name = some[0].id
        if len(some) > 1 or some[0].offset is not None:
            stem = re.sub(r"\s", "_", path.stem)
            number, name = 1, stem
            while name in used:
                number += 1
                name = f"{stem}-{number}"
            used.add(name)
        names[path] = name
    return names


def to_nemo(clips: Sequence[Utterance], out: Path, files: _Files) -> list[Path]:
    """A manifest of NeMo: JSON lines with `audio_filepath`, `duration`, `offset` of parts, `text`, `lang`."""
    folder, lines = absolute(out.parent), []
    for u in map(files.locate, clips):
        values: Json = {"audio_filepath": relative_to(u.audio, folder), "duration": u.duration, "id": u.id}
        values |= {"offset": u.offset} if u.offset is not None else {}
        values |= {"text": u.text} if u.labelled else {}
        values |= {"speaker": u.speaker} if u.speaker else {}
        lines.append(values | {"lang": u.language} | u.extras)
    write_text(out, _jsonl(lines))
    return [out]


def to_audiofolder(clips: Sequence[Utterance], out: Path, files: _Files) -> list[Path]:
    """A folder that `datasets.load_dataset("audiofolder")` reads: the audio, and `metadata.jsonl` with the rest.

    `out` must be called `train`, `validation` or `test`: else `datasets` looks for splits in the files' names.
    """
    lines = []
    for u in map(files.copy, clips):
        values: Json = {"file_name": f"{AUDIO}/{u.audio.name}", "id": u.id, "duration": u.duration}
        values |= {"transcription": u.text} if u.labelled else {}
        values |= {"speaker": u.speaker} if u.speaker else {}
        lines.append(values | {"language": u.language} | u.extras)
    write_text(out / "metadata.jsonl", _jsonl(lines))
    return [out / "metadata.jsonl"]


def to_lhotse(clips: Sequence[Utterance], out: Path, files: _Files) -> list[Path]:
    """Lhotse's `recordings.jsonl.gz` and `supervisions.jsonl.gz`, for `CutSet.from_manifests`."""
    placed = list(map(files.locate, clips))
    names = _recordings(placed)
    recordings = []
    for path, name in names.items():
        info = files.header(path)
        recordings.append({
            "id": name, "sources": [{"type": "file", "channels": list(range(info.channels)), "source": str(path)}],
            "sampling_rate": info.sample_rate, "num_samples": info.frames, "duration": info.frames / info.sample_rate,
            "channel_ids": list(range(info.channels)),
        })  # fmt: skip
    supervisions = []
    for u in placed:
        info = files.header(u.audio)
        seconds = info.frames / info.sample_rate - (u.offset or 0.0)
        values: Json = {
            "id": u.id,
            "recording_id": names[u.audio],
            "start": u.offset or 0.0,
            "duration": seconds if u.offset is None else min(u.duration, seconds),
            "channel": 0 if info.channels == 1 else list(range(info.channels)),
        }
        values |= {"text": u.text} if u.labelled else {}
        values |= {"language": u.language} | ({"speaker": u.speaker} if u.speaker else {})
        supervisions.append(values | ({"custom": u.extras} if u.extras else {}))
    written = []
    for kind, lines in (("recordings", recordings), ("supervisions", supervisions)):
        path = out / f"{kind}.jsonl.gz"
        write_bytes(path, gzip.compress(_jsonl(lines).encode(), mtime=0))
        written.append(path)
    return written


def to_kaldi(clips: Sequence[Utterance], out: Path, files: _Files) -> list[Path]:
    """A Kaldi data folder, sorted as its tools want; ids and speakers with spaces are noted in `utt2id`, `spk2name`.

    What is no WAV is decoded by `flac` or `ffmpeg` in `wav.scp`. Extras have no place in it.
    """
    placed = list(map(files.locate, clips))
    names = {path: _kaldi_name(name) for path, name in _recordings(placed).items()}
    ids = _unique({u.id: _kaldi_name(u.id) for u in placed})
    speakers = _unique({u.speaker: _kaldi_name(u.speaker) for u in placed if u.speaker})
    parts = any(u.offset is not None for u in placed)
    if not parts:
        names = {u.audio: ids[u.id] for u in placed}
        if len(names) < len(placed):  # one file, several clips: each its own line
            parts, names = True, {path: _kaldi_name(n) for path, n in _recordings(placed).items()}
    tables: dict[str, dict[str, str]] = {
        "wav.scp": {names[path]: _wav_command(path) for path in names},
        "text": {ids[u.id]: " ".join(u.text.split()) for u in placed if u.labelled},
        "utt2spk": {ids[u.id]: speakers.get(u.speaker, ids[u.id]) for u in placed},
        "utt2dur": {ids[u.id]: f"{u.duration:g}" for u in placed},
        "utt2lang": {ids[u.id]: u.language for u in placed},
        "utt2id": {new: old for old, new in ids.items() if new != old},
        "spk2name": {new: old for old, new in speakers.items() if new != old},
    }
    if parts:
        tables["segments"] = {
            ids[u.id]: f"{names[u.audio]} 0 -1"
            if u.offset is None
            else f"{names[u.audio]} {round(u.offset, 6)} {round(u.offset + u.duration, 6)}"
            for u in placed
        }
    by_speaker: dict[str, list[str]] = {}
    for utterance, speaker in sorted(tables["utt2spk"].items(), key=_bytes):
        by_speaker.setdefault(speaker, []).append(utterance)
    tables["spk2utt"] = {speaker: " ".join(some) for speaker, some in by_speaker.items()}
    written = []
    for name, table in tables.items():
        path = out / name
        if table:
            rows = (f"{key} {value}".rstrip() for key, value in sorted(table.items(), key=_bytes))
            write_text(path, "\n".join(rows) + "\n")
            written.append(path)
        elif url_of(path) is None:
            path.unlink(missing_ok=True)
    return written


def _bytes(item: tuple[str, str]) -> bytes:
    return item[0].encode()


def _kaldi_name(name: str) -> str:
    return re.sub(r"\s+", "_", name.strip())


def _unique(names: Mapping[str, str]) -> dict[str, str]:
    """The same, names that have become equal set apart by a number; those that did not change keep theirs."""
    used = {new for old, new in names.items() if new == old}
    unique = {}
    for old, new in names.items():
        number, name = 1, new
        while new != old and name in used:
            number += 1
            name = f"{new}-{number}"
        used.add(name)
        unique[old] = name
    return unique


def _wav_command(path: Path) -> str:
    ending = path.suffix.lower()
    if ending == ".wav":
        return str(path)
    quoted = shlex.quote(str(path))
    if ending == ".flac":
        return f"flac -c -d -s {quoted} |"
    return f"ffmpeg -loglevel error -i {quoted} -f wav - |"


def _jsonl(lines: Iterable[Mapping[str, object]]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


FORMS: Mapping[str, Callable[[Sequence[Utterance], Path, _Files], list[Path]]] = {
    "nemo": to_nemo,
    "lhotse": to_lhotse,
    "audiofolder": to_audiofolder,
    "kaldi": to_kaldi,
}


def export(clips: Iterable[Utterance], form: str, out: Path, split: str = "train") -> ExportedData:
    """Write `clips` in the form of another toolkit: for NeMo `out` is a file, else a folder.

    An audiofolder is `out` with a folder for the `split`, so that others can be put beside it.
    Audio stays where it is, unless it is in an archive, behind a URL, one channel of several, or for an audiofolder.

    Raises:
        SecateurError: audio that is not there, or a folder that cannot be written.
    """
    some = list(track(several("export", clips, UTTERANCES), f"exporting to {form}"))
    out = out / SPLITS.get(split, "train") if form == "audiofolder" else out
    files = _Files((out.parent / f"{out.stem}-{AUDIO}") if form == "nemo" else out / AUDIO)
    return ExportedData(FORMS[form](some, out, files), len(some), files.written)
