"""The fields of a manifest's lines, and errors in them."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import SecateurError, nearest
from ..base.files import Json

REQUIRED = ("id", "audio", "duration")
TEXTS = ("id", "audio", "text", "speaker", "language")  # what must be in quotes
FIELDS = (*REQUIRED, "offset", "channel", "text", "speaker", "language")
_PREPARE = ", or let `secateur data prepare` make a manifest of it"
ALL, LEAST = frozenset(FIELDS), frozenset(REQUIRED)
# What other toolkits (NeMo, Common Voice, Hugging Face) call our fields; only used to say what to rename.
OTHER_NAMES = {
    "audio_filepath": "audio", "audio_path": "audio", "path": "audio", "wav": "audio", "file": "audio",
    "utt": "id", "utt_id": "id", "key": "id", "dur": "duration", "seconds": "duration", "length": "duration",
    "transcript": "text", "transcription": "text", "sentence": "text", "spk": "speaker", "spk_id": "speaker",
    "client_id": "speaker", "lang": "language", "locale": "language", "start": "offset", "begin": "offset",
    "start_time": "offset", "speaker_id": "speaker", "spkr": "speaker",
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """A line of a manifest that is no utterance, or one whose id a line before it has."""

    where: str  # "line 5"
    problem: str
    id: str = ""  # of the utterance, where it is one
    audio: Path | None = None


def rename(values: Json) -> None:
    """Give fields that other toolkits wrote our names, where ours are not there."""
    for key, name in OTHER_NAMES.items():
        if key in values and name not in values and (name != "offset" or _is_number(values[key])):
            values[name] = values.pop(key)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_names(values: Json, where: str) -> None:
    """Every required field is there, and no unknown one looks like a misspelt field that is absent."""
    absent = [name for name in FIELDS if name not in values]
    for key in values:
        if key in FIELDS:
            continue
        close = difflib.get_close_matches(key.lower(), absent, n=1, cutoff=0.8)
        meant = close[0] if close else OTHER_NAMES.get(key.lower())
        if meant in absent and (meant != "offset" or _is_number(values[key])):
            raise SecateurError(f"{where}: unknown field '{key}': rename it to '{meant}'{_PREPARE}")
    for name in REQUIRED:
        if name in absent:
            known = [key for key in values if key not in FIELDS]
            raise SecateurError(f"{where}: missing field '{name}'{nearest(name, known)}{_PREPARE}")


def described(value: object) -> str:
    """A value as a message shows it, cut to 40 characters."""
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 40 else shown[:37] + "..."
