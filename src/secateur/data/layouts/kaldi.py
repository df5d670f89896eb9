"""Kaldi data folders: `wav.scp`, `text`, and perhaps `segments`, `utt2spk`, `reco2file_and_channel`, `utt2lang`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

from ...base.remote import is_file
from ..recording import ForeignSet, Recording, one_at_least
from ..times import ChannelNames, seconds_of
from .commands import Piped, file_of


@one_at_least
def read_kaldi(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """A Kaldi data folder. Commands are never run: of common ones the file that they read is taken.

    A speaker that has the name of the utterance is none: that is what recipes write where nobody is known. `utt2id`
    and `spk2name`, which our own export writes, give names back that Kaldi cannot hold.

    Raises:
        SecateurError: a file that cannot be read, or not one recording that can be used.
    """
    source = ForeignSet.of(place)
    folder = _folder(source)
    texts = {key: text for _, key, text in _once(source, folder / "text")}
    unread = dict.fromkeys(texts)
    speakers, languages, ids = (_mapping(source, name) for name in ("utt2spk", "utt2lang", "utt2id"))
    full_names = _mapping(source, "spk2name")
    recordings = dict(_recordings(source))
    segmented = is_file(folder / "segments")
    uncut = dict.fromkeys(recordings) if segmented else {}
    parts = _segments(source) if segmented else ((key, key, None, None) for key in recordings)
    for key, recording, start, seconds in parts:
        unread.pop(key, None)
        uncut.pop(recording, None)
        if start is not None and math.isnan(start):  # left out already
            continue
        if recording not in recordings:
            source.leave_out(key, "its recording is not in wav.scp", recording)
            continue
        audio = recordings[recording]
        if audio is None:  # left out already, where it is listed
            if key != recording:
                source.leave_out(key, "its recording is left out", recording)
            continue
        speaker = speakers.get(key, "")
        yield Recording(
            ids.get(key, key), Path(audio.file), texts.get(key, ""),
            "" if speaker == key else full_names.get(speaker, speaker),
            language=languages.get(key, ""), offset=start, seconds=seconds, channel=audio.channel,
            no_speech=key in texts and not texts[key],
        )  # fmt: skip
    for key in unread:
        source.leave_out(key, "a text without segment" if segmented else "a text whose recording is not in wav.scp")
    for key in uncut:
        if recordings[key] is not None:
            source.leave_out(key, "a recording without segment")


def _folder(source: ForeignSet) -> Path:
    """Where `wav.scp` is: the set's folder, or the only one inside it."""
    inside = kaldi_folders(source) if not is_file(source.folder / "wav.scp") else []
    return inside[0] if len(inside) == 1 else source.folder


def _once(source: ForeignSet, path: Path) -> Iterator[tuple[int, str, str]]:
    """Number, key and rest of every line; of lines with the same key the first one."""
    seen = set[str]()
    for number, key, rest in source.keyed(path):
        if key in seen:
            source.leave_out(f"{path}, line {number}", "the same id as a line before", key)
        else:
            yield number, key, rest
        seen.add(key)


def _mapping(source: ForeignSet, name: str) -> dict[str, str]:
    """A file of keys and values, where there is one."""
    path = _folder(source) / name
    return {key: rest for _, key, rest in source.keyed(path)} if is_file(path) else {}


def _recordings(source: ForeignSet) -> Iterator[tuple[str, Piped | None]]:
    """Every recording with its file; None for one that is left out."""
    folder = _folder(source)
    scp = folder / "wav.scp"
    sides = {}
    if is_file(folder / "reco2file_and_channel"):
        sides = {key: rest.split()[-1] for _, key, rest in source.keyed(folder / "reco2file_and_channel") if rest}
    names = ChannelNames(sides.values(), first=0)
    for number, key, rest in _once(source, scp):
        where = f"{scp}, line {number}"
        piped: Piped | str = file_of(rest) if rest.endswith("|") else Piped(rest)
        if isinstance(piped, str):
            source.leave_out(where, "a command, not a file; commands are never run", f"{key}: {piped}")
            yield key, None
            continue
        stem, _, position = piped.file.rpartition(":")
        if stem.endswith(".ark") and position.isdecimal():
            source.leave_out(where, "inside of a Kaldi archive", f"{key}: write the recordings as files (wav-copy)")
            yield key, None
            continue
        if not piped.file:
            source.leave_out(where, "no name of an audio file", key)
            yield key, None
            continue
        channel = names.index(sides.get(key, "")) if piped.channel is None else piped.channel
        yield key, Piped(str(source.locate(piped.file, folder)), channel)


def _segments(source: ForeignSet) -> Iterator[tuple[str, str, float | None, float | None]]:
    """Utterance, recording, start and length (NaN: left out already); an end of -1 is the recording's."""
    path = _folder(source) / "segments"
    for number, key, rest in _once(source, path):
        values = rest.split()
        start, end = (seconds_of(v) for v in (values[1:3] if len(values) >= 3 else ("", "")))
        if start is None or end is None:
            source.leave_out(f"{path}, line {number}", "no segment", "expected UTTERANCE RECORDING START END")
            yield key, values[0] if values else "", math.nan, None
        elif end == -1:
            yield key, values[0], start or None, None
        elif not 0 <= start < end:
            source.leave_out(key, "times that make no sense", f"from {start:g} to {end:g} s")
            yield key, values[0], math.nan, None
        else:
            yield key, values[0], start, end - start


def kaldi_folders(source: ForeignSet) -> list[Path]:
    """The folders of a set that have a `wav.scp`."""
    return list(itertools.islice((f.parent for f in source.files if f.name == "wav.scp"), 100))
