"""Recordings with a text or an annotation of the same name beside them, or in a sister folder."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ...base.errors import SecateurError
from ..annotations.elan import read_elan
from ..annotations.span import SILENCES, TimedText, utterances_of
from ..annotations.subtitles import read_subtitles
from ..annotations.textgrid import read_textgrid
from ..annotations.timed_lines import read_ctm, read_labels, read_segments, read_stm
from ..recording import AUDIO, ForeignSet, Recording
from ..rows import RowsOf, read_rows
from ..times import times_in
from .jsonl import objects

# What has times; of several annotations of one recording the first kind counts.
TIMED = (".textgrid", ".eaf", ".stm", ".vtt", ".srt", ".sbv", ".ctm", ".json")
PLAIN = (".txt", ".lab", ".trn", ".text", ".trans", ".transcript", ".normalized.txt", ".original.txt")
FIELDS = ".json"  # one object with the text and perhaps other fields
LOSSLESS = (".wav", ".flac", ".aiff", ".aif", ".w64", ".caf", ".au", ".sph")
# Folders that say what is in them, not who.
GENERAL = re.compile(
    r"^(?:wavs?|flac|mp3s?|ogg|opus|audio(?:s|files?)?|clips?|sounds?|recordings?|files?|media|speech|data|corpus|"
    r"train(?:ing)?|dev|test(?:ing)?|valid(?:ation)?|eval|txt|te?xts?|transcripts?|wav\d+k?(?:hz)?(?:_silence_trimmed)?|\d+k(?:hz)?)$",
    re.IGNORECASE,
)
MICROPHONE = re.compile(r"[_-](?:mic|ch|channel)\d{1,2}$")  # one text for several recordings of it (VCTK)
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
    timed = _timed(source)
    texts = _texts(source)
    for audio in _each_once(source):
        spans = timed.get(audio)
        if spans is None:
            yield from _with_text(source, audio, texts)
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
    return bool(_timed(ForeignSet(source.root, source.settings)))


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


def _with_text(source: ForeignSet, audio: Path, texts: dict[str, list[Path]]) -> Iterator[Recording]:
    """An audio file with the plain text beside it."""
    name = source.inside(audio)
    stem = audio.stem.lower()
    path = _sister(source, audio, texts.get(stem) or texts.get(MICROPHONE.sub("", stem), []))
    if path is None:
        source.leave_out(name, "no transcript beside it")
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


def _texts(source: ForeignSet) -> dict[str, list[Path]]:
    """Text files by the name of the recording that they are called after, in lower case."""
    texts: dict[str, list[Path]] = defaultdict(list)
    stems = {f.stem.lower() for f in source.audio}
    for path in source.ending(*PLAIN, FIELDS):
        if path.suffix.lower() != FIELDS or _stem(path) in stems:
            texts[_stem(path)].append(path)
    return texts


def _stem(path: Path) -> str:
    """`a.txt`, `a.wav.txt` and `a.normalized.txt` as `a`."""
    name = path.name.lower()
    name = name[: -max(len(ending) for ending in (*PLAIN, *TIMED) if name.endswith(ending))]
    return name[: -len(Path(name).suffix)] if Path(name).suffix in AUDIO else name


def _sister(source: ForeignSet, audio: Path, candidates: Sequence[Path]) -> Path | None:
    """The text of a recording: in its folder, in one beside it, or the only one of its name."""
    near_files = [f for f in candidates if f.parent == audio.parent]
    if not near_files:
        own = audio.parent.parts

        def apart(path: Path) -> int:
            other = path.parent.parts
            return len(set(enumerate(own)) ^ set(enumerate(other))) if len(own) == len(other) else 99

        near = min(map(apart, candidates), default=99)
        near_files = [f for f in candidates if apart(f) == near and near <= 2]
        if not near_files and len(candidates) == 1 and len(source.by_name.get(audio.stem, ())) == 1:
            near_files = list(candidates)
    usual = (".txt", ".lab")
    return min(near_files, key=lambda f: (f.suffix.lower() not in usual, f.suffix.lower() == FIELDS, f), default=None)


def _timed(source: ForeignSet) -> dict[Path, list[TimedText]]:
    """What annotations say of each recording."""
    by_audio: dict[Path, tuple[int, list[TimedText]]] = {}
    stems = {f.stem.lower() for f in source.audio}
    for path in source.ending(*TIMED, ".txt", ".lab"):
        kind = next((i for i, ending in enumerate(TIMED) if path.name.lower().endswith(ending)), len(TIMED))
        named_after = _stem(path) in stems
        if path.suffix.lower() in (".txt", ".lab", ".json") and not named_after and not _alone(source, path):
            continue  # a text beside nothing is perhaps about something else
        for audio, spans in _about(source, path):
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


def _about(source: ForeignSet, path: Path) -> Iterator[tuple[Path, list[TimedText]]]:
    """The recordings of an annotation, with their utterances."""
    ending, where = path.suffix.lower(), source.inside(path)
    spans, odd, names = _read(source, path, ending)
    if spans is None:
        return
    for line in odd:
        source.leave_out(f"{where}, {line}", f"no line of {ending[1:].upper()}")
    by_name: dict[str, list[TimedText]] = defaultdict(list)
    for span in spans:
        if span.text.strip().lower() not in SILENCES:
            by_name[span.recording].append(span)
    for name, some in by_name.items():
        audio = _audio_of(source, path, [name, *names] if name else names, alone=len(by_name) == 1)
        if audio is None:
            source.leave_out(where, "no recording of its name", name or path.stem)
            continue
        both = len({span.channel for span in some}) > 1
        yield audio, [span if both else replace(span, channel=None) for span in some]


def _read(source: ForeignSet, path: Path, ending: str) -> tuple[list[TimedText] | None, list[str], list[str]]:
    """Utterances, lines that are none, and names of recordings."""
    text = source.text(path)
    if ending in (".srt", ".vtt", ".sbv"):
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
    return read_labels(text), [], []


def _audio_of(source: ForeignSet, path: Path, names: Sequence[str], alone: bool) -> Path | None:
    """The recording that an annotation is about: beside it, or anywhere in the set, by the name it says or has."""
    own = _stem(path)
    possible = [*names, *([path.stem, own, own.rpartition(".")[0]] if alone or not names else [])]  # a.en.srt: a
    for name in possible:
        candidates = source.by_name.get(name) or source.by_name.get(Path(name).stem) or []
        candidates = candidates or [f for f in source.audio if f.stem.lower() == name.lower()] if name else []
        near = [f for f in candidates if f.parent == path.parent] or candidates
        best = sorted(near, key=lambda f: (f.suffix.lower() not in LOSSLESS, f))
        if best and len({f.with_suffix("") for f in best}) == 1:
            return best[0]
    return _alone(source, path) if alone or not names else None


def read_one(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """One recording, or one annotation, with what lies beside it.

    Raises:
        SecateurError: nothing of its name lies beside it.
    """
    source = ForeignSet.of(place)
    stem = source.root.name.split(".")[0].lower()
    for recording in read_paired(source):
        if recording.audio == source.root or recording.audio.name.split(".")[0].lower() == stem:
            yield recording
    kept = [one for one in source.left_out if Path(one.id.split(",")[0]).name.split(".")[0].lower() == stem]
    source.left_out[:] = kept
    if not kept and not any(True for _ in source.audio):
        raise SecateurError(f"{source.root}: no recording beside it")
