"""Recordings with a text or an annotation of the same name beside them, or in a sister folder."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ...base.errors import SecateurError
from ..annotations.elan import read_elan
from ..annotations.span import SILENCES, TimedText, utterances_of, with_named_speakers
from ..annotations.subtitles import notes_on, read_subtitles
from ..annotations.textgrid import read_textgrid
from ..annotations.timed_lines import labels_and_others, read_ctm, read_segments, read_stm
from ..folders import GENERAL
from ..recording import ForeignSet, Recording, composed
from ..rows import RowsOf, read_rows
from ..times import times_in
from .jsonl import objects
from .nearby import PLAIN, TIMED, Nearby, stem_of

ABOUT = re.compile(r"(?:read.?me|licen[cs]e|copying|change.?log|notes?|info|about|speakers?)\b", re.IGNORECASE)
LOSSLESS = (".wav", ".flac", ".aiff", ".aif", ".w64", ".caf", ".au", ".sph")
PINYIN = re.compile(r"(?:[a-zü:]+[1-5]\s*)+")  # below the characters (THCHS-30), phones below it
TIMIT = re.compile(r"^0 (\d{4,}) (\D.*)$")  # samples before the sentence


def read_paired(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """Audio files with a text (`.txt`, `.lab`, ...) or an annotation with times of the same name.

    Annotations cut their recording into utterances: Praat's TextGrid, ELAN, STM, WebVTT, SubRip, CTM, labels of
    Audacity. Texts may lie in a sister folder (`wav/a.wav`, `txt/a.txt`). The speaker is the folder, where it is not
    called after what is in it, unless the annotation names one.

    Raises:
        SecateurError: a file that cannot be read, or nothing that can be used.
    """
    source = ForeignSet.of(place)
    nearby, used = Nearby(source), set[Path]()
    yield from _paired(source, nearby, used)
    unused = [path for path in source.ending(*PLAIN) if path not in used and not nearby.owners(path)]
    for path in unused:
        if not ABOUT.match(path.stem):
            source.leave_out(source.inside(path), "no recording of its name")
    if unused:
        source.note(f"{len(unused)} texts belong to no recording, first {source.inside(unused[0])}")


def _paired(source: ForeignSet, nearby: Nearby, used: set[Path]) -> Iterator[Recording]:
    """The recordings of a set; `used` gets its annotations with times."""
    timed = _timed(source, nearby, used)
    for audio in _each_once(source):
        spans = timed.get(audio)
        if spans is None:
            yield from _with_text(source, audio, nearby)
            continue
        name, speaker = _name(source, audio), _speaker(source, audio)
        digits = max(4, len(str(len(spans))))
        for number, span in enumerate(spans, 1):
            utterance_id = f"{name}-{number:0{digits}}"
            if span.end <= span.start:
                source.leave_out(utterance_id, "times that make no sense", f"from {span.start:g} to {span.end:g} s")
                continue
            yield Recording(
                utterance_id, audio, span.text, span.speaker or speaker, language=span.language, offset=span.start,
                seconds=span.end - span.start, channel=span.channel,
            )  # fmt: skip


def has_annotations(source: ForeignSet) -> bool:
    """Whether a set has files with times beside recordings."""
    trial = ForeignSet(source.root, source.settings)
    return bool(_timed(trial, Nearby(trial), set()))


def _each_once(source: ForeignSet) -> Iterator[Path]:
    """Audio files; of one recording in two formats, the better one."""
    by_stem: dict[Path, list[Path]] = defaultdict(list)
    for audio in source.audio:
        by_stem[audio.with_suffix("")].append(audio)
    for same in by_stem.values():
        best, *others = sorted(same, key=lambda f: (f.suffix.lower() not in LOSSLESS, f))
        yield best
        for other in others:
            source.leave_out(source.inside(other), "another format of the same recording", source.inside(best))


def _with_text(source: ForeignSet, audio: Path, nearby: Nearby) -> Iterator[Recording]:
    """An audio file with the plain text beside it."""
    name = source.inside(audio)
    path, reason, detail = nearby.text_of(audio)
    if path is None:
        source.leave_out(name, reason, detail)
        return
    content = source.text(path).strip()
    if path.suffix.lower() == ".json":
        for one in read_rows(source, objects(source, path), None, RowsOf(str(path), path.parent, "", audio)):
            yield replace(one, id=_name(source, audio), speaker=one.speaker or _speaker(source, audio))
        return
    lines = [line.strip() for line in content.split("\n") if line.strip()]
    spoken = TIMIT.match(lines[0]) if len(lines) == 1 else None
    if len(lines) in (2, 3) and PINYIN.fullmatch(lines[1]) and not PINYIN.fullmatch(lines[0]):
        source.note("texts have their pinyin in the second line: only the first line is the transcript")
        lines = lines[:1]
    words = spoken[2] if spoken else " ".join(lines)
    times = times_in(content)
    if times:
        source.leave_out(
            name, "times inside the text", f"{source.inside(path)}: '{times[:40]}'; without them `data align` cuts it"
        )
        return
    yield Recording(_name(source, audio), audio, words, _speaker(source, audio), no_speech=not words)


def _name(source: ForeignSet, audio: Path) -> str:
    """An id: the path inside the set, a first folder that is called after its content left out."""
    parts = Path(source.inside(audio)).with_suffix("").parts
    general = len(parts) > 1 and re.fullmatch(r"(?i)wavs?|flac|mp3s?|audio|clips?|recordings?", parts[0])
    return "-".join(part for part in parts[1 if general else 0 :] if part not in ("/", ".."))


def _speaker(source: ForeignSet, audio: Path) -> str:
    folders = Path(source.inside(audio)).parent.parts if audio.is_relative_to(source.folder) else ()
    own = [part for part in folders if not GENERAL.match(part)]
    if len(own) > 1:
        source.note(
            "speakers are taken from the names of several folders; if one of them is the speaker, say which: "
            "--speaker-from '{speaker}/*/*'"
        )
    return "-".join(own)


def _timed(source: ForeignSet, nearby: Nearby, used: set[Path]) -> dict[Path, list[TimedText]]:
    """What annotations say of each recording."""
    by_audio: dict[Path, tuple[int, list[TimedText]]] = {}
    for path in source.ending(*TIMED, ".txt", ".lab"):
        kind = next((i for i, ending in enumerate(TIMED) if path.name.lower().endswith(ending)), len(TIMED))
        named_after = stem_of(path) in nearby.audio
        if path.suffix.lower() in (".txt", ".lab", ".json") and not named_after and not _alone(source, path):
            continue  # a text beside nothing is perhaps about something else
        for audio, spans in _about(source, path, nearby, used):
            if audio in by_audio:
                older = by_audio[audio][0] <= kind
                source.leave_out(source.inside(path), "another annotation of the same recording", source.inside(audio))
                if older:
                    continue
            by_audio[audio] = kind, spans
    return {audio: spans for audio, (_, spans) in by_audio.items()}


def _alone(source: ForeignSet, path: Path) -> Path | None:
    """The only recording in an annotation's folder: editors save as "Label Track.txt"."""
    beside = [f for f in source.audio if f.parent == path.parent]
    return beside[0] if len(beside) == 1 else None


def _about(source: ForeignSet, path: Path, nearby: Nearby, used: set[Path]) -> Iterator[tuple[Path, list[TimedText]]]:
    """The recordings of an annotation, with their utterances."""
    ending, where = path.suffix.lower(), source.inside(path)
    spans, odd, names = _read(source, path, ending)
    if spans is None:
        return
    used.add(path)
    for line in odd:
        source.leave_out(
            f"{where}, {line}", f"no line of {ending[1:].upper() if ending in ('.ctm', '.stm') else 'labels'}"
        )
    by_name: dict[str, list[TimedText]] = defaultdict(list)
    for span in spans:
        if span.text.strip().lower() not in SILENCES:
            by_name[span.recording].append(span)
    for name, some in by_name.items():
        audio = _audio_of(source, path, nearby, [name, *names] if name else names, alone=len(by_name) == 1)
        if audio is None:
            source.leave_out(where, "no recording of its name", name or path.stem)
            continue
        both = len({span.channel for span in some}) > 1
        yield audio, [span if both else replace(span, channel=None) for span in some]


def _read(source: ForeignSet, path: Path, ending: str) -> tuple[list[TimedText] | None, list[str], list[str]]:
    """Utterances, lines that are none, and names of recordings."""
    text = source.text(path)
    if ending in (".srt", ".vtt", ".sbv"):
        for note in notes_on(text):
            source.note(f"{source.inside(path)}: {note}")
        return read_subtitles(text), [], []
    if ending == ".textgrid":
        return read_textgrid(text, str(path)), [], []
    if ending == ".eaf":
        spans, media = read_elan(text, str(path))
        return spans, [], media
    if ending == ".ctm":
        words, odd = read_ctm(text)
        return utterances_of(words), odd, []
    if ending == ".stm":
        spans, odd = read_stm(text)
        return spans, odd, []
    if ending == ".json":
        return read_segments(text), [], []
    labels = labels_and_others(text)
    return (None, [], []) if labels is None else (with_named_speakers(labels[0]), labels[1], [])


def _audio_of(source: ForeignSet, path: Path, nearby: Nearby, names: Sequence[str], alone: bool) -> Path | None:
    """The recording that an annotation is about: beside it, or near it, by the name it says or has."""
    own = stem_of(path)
    possible = [*names, *([path.stem, own, own.rpartition(".")[0]] if alone or not names else [])]  # a.en.srt: a
    elsewhere = False
    for name in filter(None, possible):
        stem = composed(name)
        stem = stem if stem.lower() in nearby.audio else Path(stem).stem
        some = [f for f in nearby.owners(path, stem) if composed(f.stem.lower()) == stem.lower()]
        if not some and name in names:  # a list for all folders below it
            below = nearby.audio.get(stem.lower(), ())
            some = [f for f in below if composed(f.stem.lower()) == stem.lower() and f.is_relative_to(path.parent)]
        if some and nearby.one_recording(some):
            return min(some, key=lambda f: (f.suffix.lower() not in LOSSLESS, f))
        elsewhere |= stem.lower() in nearby.audio  # one of several, or in another speaker's folder
        if elsewhere and name not in names:
            break
    return _alone(source, path) if not elsewhere and (alone or not names) else None


def read_one(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """One recording, or one annotation, with what lies beside it.

    Raises:
        SecateurError: nothing of its name lies beside it.
    """
    source = ForeignSet.of(place)
    stem = source.root.name.split(".")[0].lower()
    for recording in _paired(source, Nearby(source), set()):
        if recording.audio == source.root or recording.audio.name.split(".")[0].lower() == stem:
            yield recording
    kept = [one for one in source.left_out if Path(one.id.split(",")[0]).name.split(".")[0].lower() == stem]
    source.left_out[:] = kept
    others = tuple(f"{source.inside(f)}: " for f in source.ending(*TIMED) if f.name.split(".")[0].lower() != stem)
    source.notes[:] = [note for note in source.notes if not note.startswith(others)]
    if not kept and not any(True for _ in source.audio):
        raise SecateurError(f"{source.root}: no recording beside it")
