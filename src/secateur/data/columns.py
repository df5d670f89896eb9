"""Which column of a foreign table means what: by its name, by what is in it, and as the user says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..base.errors import SecateurError, nearest
from .fields import FIELDS, OTHER_NAMES
from .recording import AUDIO, ForeignSet

KNOWN = (*FIELDS, "end", "split")
NAMES: dict[str, tuple[str, ...]] = {
    "audio": (
        "audio", "audio_filepath", "audio_path", "audio_file", "audiofile", "audio_filename", "audiofilename", "path",
        "wav", "wav_path", "wav_filename", "wav_file", "wavfile", "wav_filepath", "file", "file_name", "filename",
        "filepath", "file_path", "fname", "clip", "clip_path", "recording", "recording_path", "sound", "flac", "mp3",
        "media", "uri", "url", "audio_url", "audio_uri", "audio_link", "datei", "dateiname", "audiodatei", "fichier",
        "archivo",
    ),
    "text": (
        "text", "transcript", "transcription", "transcriptions", "transcripts", "sentence", "normalized_text",
        "normalized_transcription", "normalised_text", "normalized", "utterance_text", "utt_text", "raw_text",
        "raw_transcription", "transcribed_text", "reference", "ref", "target_text", "trans", "content", "caption",
        "subtitle", "spoken_text", "script", "prompt", "ground_truth", "label_text", "transkript", "satz",
        "transcripcion", "transcripción", "trascrizione", "texte", "texto", "testo", "txt", "wrd",
    ),
    "id": ("id", "utt", "utt_id", "uttid", "utterance_id", "key", "audio_id", "clip_id", "sample_id", "segment_id"),
    "speaker": (
        "speaker", "speaker_id", "speakerid", "speaker_name", "spk", "spk_id", "spkid", "spkr", "client_id", "reader",
        "reader_id", "talker", "sprecher", "sprecherin", "locuteur", "user_id", "participant", "participant_id",
    ),
    "language": ("language", "lang", "locale", "lang_id", "language_code", "source_lang"),
    "duration": (
        "duration", "dur", "length", "seconds", "duration_s", "duration_sec", "duration_seconds", "wav_length",
    ),
    "offset": (
        "offset", "start", "begin", "start_time", "begin_time", "starttime", "start_s", "start_sec", "start_seconds",
        "segment_start", "onset", "from", "tmin", "beginn", "anfang", "startzeit", "début", "debut", "inicio",
        "início", "inizio",
    ),
    "end": (
        "end", "stop", "end_time", "endtime", "end_s", "end_sec", "end_seconds", "segment_end", "tmax", "ende",
        "endzeit", "fin", "fim", "fine",
    ),
    "channel": (
        "channel", "channel_id", "channel_index", "channel_number", "channel_no", "channel_nr", "channel_tag", "chan",
        "ch", "side", "kanal", "canal", "canale", "声道",
    ),
    "split": ("split", "subset", "partition"),
}  # fmt: skip
MEANT = {name: field for field, names in NAMES.items() for name in names} | {
    name: field for name, field in OTHER_NAMES.items() if name not in {n for names in NAMES.values() for n in names}
}
LOOKED_AT = 50  # rows
MOST_SHOWN = 12  # columns in a message


@dataclass(frozen=True)
class Columns:
    """Our fields' columns, and what else there is."""

    of: Mapping[str, str]  # field to the name of its column
    others: tuple[str, ...]
    milliseconds: frozenset[str] = frozenset()  # fields that are not in seconds


def plain_name(name: str) -> str:
    """A column's name as it is compared.

    >>> plain_name(" Speaker-ID"), plain_name("startTime (s)")
    ('speaker_id', 'start_time_s')
    """
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^\w]+", "_", snake.lower()).strip("_")


def choose_columns(
    names: Sequence[str],
    rows: Sequence[Mapping[str, object]],
    source: ForeignSet,
    where: str,
    audio_known: bool = False,
) -> Columns:
    """What the columns `names` mean, judging by up to fifty `rows`.

    With `audio_known` the audio is not in a column (a table beside its recording).

    Raises:
        SecateurError: no column with audio or with text is certain; the message names the columns and the option.
    """
    of: dict[str, str] = {}
    milliseconds = set()
    for field, column in source.settings.columns.items():
        of[field] = _named(field, column, names, where)
    named = set(of.values())
    rank = {name: priority for field in NAMES.values() for priority, name in enumerate(field)}
    candidates_of: dict[str, list[str]] = {}
    for name in names:
        plain = plain_name(name)
        in_ms = re.sub(r"_(ms|msec|millis|milliseconds)$", "", plain)
        meant = MEANT.get(plain) or (MEANT.get(in_ms) if in_ms != plain else None)
        if meant is not None and name not in named:
            candidates_of.setdefault(meant, []).append(name)
            if in_ms != plain:
                milliseconds.add(name)
    for field, candidates in candidates_of.items():
        if field not in of:
            filled = [c for c in candidates if any(str(row.get(c) or "").strip() for row in rows)] or candidates
            of[field] = min(filled, key=lambda c: rank.get(plain_name(c), 99))
    free = [name for name in names if name not in of.values()]
    if "audio" not in of and not audio_known:
        of["audio"] = _with_audio(free, rows, source, names, where)
        free.remove(of["audio"])
    if "text" not in of:
        of["text"] = _with_text(free, rows, names, where, source)
    used = set(of.values())
    others = tuple(name for name in names if name not in used)
    return Columns(of, others, frozenset(field for field, name in of.items() if name in milliseconds))


def _named(field: str, column: str, names: Sequence[str], where: str) -> str:
    """The column that the user means."""
    if field not in KNOWN:
        raise SecateurError(f"--columns: '{field}' is no field{nearest(field, KNOWN)}; there are: {', '.join(KNOWN)}")
    same = [name for name in names if name.strip().lower() == column.strip().lower()]
    if same:
        return same[0]
    if column.isdecimal() and 1 <= int(column) <= len(names):
        return names[int(column) - 1]
    raise SecateurError(f"{where}: no column '{column}'{nearest(column, names)}; there are: {shown(names)}")


def _with_audio(
    free: Sequence[str], rows: Sequence[Mapping[str, object]], source: ForeignSet, names: Sequence[str], where: str
) -> str:
    """The only column whose values are files that are there."""
    some = rows[:LOOKED_AT]

    def share(name: str) -> float:
        values = [str(row.get(name) or "").strip() for row in some]
        values_there = [v for v in values if v and len(v) < 1000 and " " * 2 not in v]
        return sum(source.locate(v).suffix.lower() in AUDIO and _exists(source, v) for v in values_there) / max(
            1, len(values)
        )

    good = [name for name in free if share(name) > 0.5]
    if len(good) != 1:
        what = "no column 'audio'" if not good else f"several columns name audio files ({', '.join(good)})"
        raise SecateurError(f"{where}: {what} in the header ({shown(names)}): say which with --columns audio=NAME")
    source.note(f"{where}: the audio is in the column '{good[0]}'")
    return good[0]


def _exists(source: ForeignSet, value: str) -> bool:
    from ..base.remote import is_file

    return is_file(source.locate(value))


def _with_text(
    free: Sequence[str], rows: Sequence[Mapping[str, object]], names: Sequence[str], where: str, source: ForeignSet
) -> str:
    """The only column whose values look like sentences."""
    good = [name for name in free if is_prose([str(row.get(name) or "") for row in rows[:LOOKED_AT]])]
    if len(good) != 1:
        what = "no column 'text'" if not good else f"several columns may be the text ({', '.join(good)})"
        raise SecateurError(f"{where}: {what} in the header ({shown(names)}): say which with --columns text=NAME")
    source.note(f"{where}: the text is in the column '{good[0]}'")
    return good[0]


def is_prose(values: Sequence[str]) -> bool:
    """Whether most values are several words (or letters of a script without spaces), and hardly one like another."""
    filled = [v for v in values if v.strip()]
    if not filled:
        return False
    words = sum(len(v.split()) > 1 or sum(ord(c) > 0x2E7F for c in v) > 2 for v in filled)
    letters = sum(sum(c.isalpha() or ord(c) > 0x2E7F for c in v) > len(v) / 2 for v in filled)
    return min(words, letters) > 0.6 * len(filled) and len(set(filled)) > len(filled) / 2


def shown(names: Sequence[str]) -> str:
    """Column names as a message has them."""
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN])[:200] + more
