"""A data set is a manifest: one JSON object a line, audio paths relative to the manifest's folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ..base.errors import UTTERANCES, SecateurError, several
from ..base.files import Json, at_home, atomic_path
from ..base.remote import absolute, open_remote, url_of
from ..text.languages import language_tag
from .encoding import PREPARE, not_a_manifest
from .fields import ALL, FIELDS, LEAST, TEXTS, Fault, check_names, described
from .hashes import Hashes
from .shards import is_shards, read_samples

T = TypeVar("T")
MOST_CHANNELS = 64
MOST_LINE = 16 << 20  # bytes; a file may have no end of line, or no end
CHECKOUT = Path(__file__).resolve().parents[3]  # when it is one; an installed package has no pyproject.toml there
_decode = json.JSONDecoder().decode


@dataclass(frozen=True)
class Utterance:
    """One recording, or a part of a longer one, with its transcript. `data.clip.read_clip` reads its samples."""

    id: str
    audio: Path  # in a file relative to it; here absolute, or below a URL's scheme: see `base.remote`
    duration: float  # s
    text: str = ""
    speaker: str = ""
    language: str = "en"
    extras: Json = field(default_factory=dict)  # every other field: age, gender, accent, ...
    offset: float | None = None  # s, where the part begins that lasts `duration`; None: the whole recording
    channel: int | None = None  # counted from 0; None: all channels mixed
    no_speech: bool = False  # the manifest has `"text": ""`: known to hold no speech, not merely without transcript

    @property
    def labelled(self) -> bool:
        """Whether it is known what is spoken: a transcript, or that there is none."""
        return bool(self.text) or self.no_speech


def read_manifest(path: str | Path) -> list[Utterance]:
    """All utterances of a JSONL manifest.

    Raises:
        SecateurError: see `iter_manifest`.
    """
    return list(iter_manifest(path))


class ManifestFile:
    """A manifest that is read anew, line by line, by every loop over it: for what passes over it more than once."""

    def __init__(self, path: str | Path, tolerant: bool = False) -> None:
        """`tolerant`: `faults` lists lines that cannot be used and ids that come again, which are errors otherwise."""
        self.path, self.tolerant = Path(path), tolerant
        self.count = 0  # of utterances, once a loop is through
        self.faults: list[Fault] = []  # of the last loop

    def __iter__(self) -> Iterator[Utterance]:
        number, self.faults = 0, []
        offsets = iter_offsets(self.path, self.faults if self.tolerant else None)
        for number, (_, u) in enumerate(offsets, 1):  # noqa: B007
            yield u
        self.count = number


def iter_manifest(path: str | Path) -> Iterator[Utterance]:
    """The utterances of a JSONL manifest, or of tar archives (`set-{000..123}.tar`, see `data.shards`), one at a time.

    Blank lines are skipped. Audio files are not opened. Memory grows by about 20 bytes a line, for repeated ids.

    Raises:
        SecateurError: no such file, no utterances, or a line that is not a JSON object, lacks a field, misspells one,
            has a value of the wrong type, or repeats an id. The message names file, line and field.
    """
    for _, utterance in iter_offsets(path):
        yield utterance


def iter_offsets(path: str | Path, faults: list[Fault] | None = None) -> Iterator[tuple[int, Utterance]]:
    """The same, with the byte at which each line begins (in archives, 0); with a list for `faults`, they go there."""
    path = Path(path)
    seen = Hashes()
    for where, offset, utterance in _located(path, faults):
        if not seen.add(utterance.id):
            others = _located(path, None if faults is None else [])
            first = next(at for at, _, other in others if other.id == utterance.id)
            if first != where:  # else two ids with one hash
                message = f"{where}: id '{utterance.id}' is already on {first.removeprefix(f'{path}, ')}"
                if faults is None:
                    raise SecateurError(message)
                faults.append(Fault(where.removeprefix(f"{path}, "), message, utterance.id, utterance.audio))
        yield offset, utterance
    if not seen:
        raise SecateurError(
            f"{path}, {faults[0].where}: {faults[0].problem}" if faults else f"{path}: no utterances in it"
        )


def _located(path: Path, faults: list[Fault] | None = None) -> Iterator[tuple[str, int, Utterance]]:
    """Every utterance and where it is, as messages say it and in bytes."""
    if is_shards(path):
        for where, values in read_samples(path):
            yield where, 0, from_values(values, Path(), where)
    else:
        yield from _lines(path, faults)


def _lines(path: Path, faults: list[Fault] | None = None) -> Iterator[tuple[str, int, Utterance]]:
    try:
        folder = absolute(path.parent)
        with open_remote(path) if url_of(path) else path.open("rb") as lines:
            offset, first = 0, True
            for number, raw in enumerate(iter(lambda: lines.readline(MOST_LINE), b""), 1):
                if len(raw) == MOST_LINE:
                    raise SecateurError(f"{path}, line {number}: more than {MOST_LINE >> 20} MB: not a manifest")
                line = raw.removeprefix(b"\xef\xbb\xbf").strip()
                if line:
                    where = f"{path}, line {number}"
                    if first and line[:1] != b"{":
                        raise not_a_manifest(path)
                    first = False
                    try:
                        yield where, offset, parse_line(line, folder, where)
                    except SecateurError as problem:
                        if faults is None:
                            raise
                        faults.append(Fault(f"line {number}", str(problem).removeprefix(f"{where}: ")))
                offset += len(raw)
    except FileNotFoundError:
        raise SecateurError(f"{path}: no such file{_manifests_beside(path)}") from None
    except IsADirectoryError:
        raise SecateurError(f"{path}: a folder, not a manifest{_manifests_beside(path / 'x') or PREPARE}") from None
    except OSError as problem:
        raise SecateurError(f"{path}: cannot be read ({problem.strerror or problem})") from problem


def parse_line(line: bytes | str, folder: Path, where: str) -> Utterance:
    """One line of a manifest whose (absolute) folder is `folder`; messages start with `where`.

    Raises:
        SecateurError: see `iter_manifest`.
    """
    try:
        values = _decode(line if isinstance(line, str) else line.decode("utf-8"))
    except RecursionError:
        raise SecateurError(f"{where}: not valid JSON (nested too deep)") from None
    except json.JSONDecodeError as problem:
        raise SecateurError(f"{where}: not valid JSON (column {problem.colno}: {problem.msg})") from problem
    except UnicodeDecodeError as problem:
        raise SecateurError(f"{where}: not UTF-8 (byte {problem.start})") from problem
    except ValueError:  # Python refuses integers of more than 4300 digits
        raise SecateurError(f"{where}: not valid JSON here (a number with too many digits)") from None
    if not isinstance(values, dict):
        raise SecateurError(f'{where}: expected a JSON object such as {{"id": ...}}, found {described(values)}')
    return from_values(values, folder, where)


def from_values(values: Json, folder: Path, where: str) -> Utterance:
    """The fields of one line as an utterance; see `parse_line`."""
    if not (values.keys() >= LEAST and values.keys() <= ALL):
        check_names(values, where)
    duration = values["duration"]
    if isinstance(duration, bool) or not isinstance(duration, int | float):
        raise SecateurError(f"{where}: duration: expected a number of seconds, found {described(duration)}")
    if not 0 <= duration < 1e12:  # NaN is not, either
        raise SecateurError(f"{where}: duration: {duration} is not a length in seconds")
    for name in TEXTS:
        if name in values and not isinstance(values[name], str):
            raise SecateurError(f"{where}: {name}: expected text in quotes, found {described(values[name])}")
    for name in ("id", "audio"):
        if not values[name].strip():
            raise SecateurError(f"{where}: {name}: empty")
    name = values["audio"]
    joined = os.path.join(folder, str(at_home(name)) if name[0] == "~" else name)  # noqa: PTH118
    if url_of(name) is not None:
        joined = name
    extras = {} if values.keys() <= ALL else {name: value for name, value in values.items() if name not in ALL}
    offset = _offset(values["offset"], duration, where) if "offset" in values else None
    channel = _channel(values["channel"], where) if "channel" in values else None
    text = values.get("text")
    return Utterance(
        values["id"], Path(os.path.normpath(joined)), float(duration), text or "",
        values.get("speaker", ""), _language(values.get("language") or "en", where), extras, offset, channel,
        text == "",
    )  # fmt: skip


def _language(name: str, where: str) -> str:
    """The language's tag: manifests of other programs write `german`, `zh_TW` or `iw`."""
    try:
        return language_tag(name)
    except SecateurError as problem:
        raise SecateurError(f"{where}: language: {problem}") from None


def _offset(value: object, duration: float, where: str) -> float:
    """Seconds into the recording."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SecateurError(f"{where}: offset: expected a number of seconds, found {described(value)}")
    if not 0 <= value < 1e12:
        raise SecateurError(f"{where}: offset: {value} is no time in a recording, in seconds")
    if duration == 0:
        raise SecateurError(f"{where}: duration: 0 seconds from offset {value:g} on are no part of a recording")
    return float(value)


def _channel(value: object, where: str) -> int:
    """A channel's number, from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST_CHANNELS:
        raise SecateurError(
            f"{where}: channel: expected a number from 0 (left) to {MOST_CHANNELS - 1}, found {described(value)}"
        )
    return value


def _manifests_beside(path: Path) -> str:
    """` (there are a.jsonl, b.jsonl)` for the manifests that the folder does have."""
    names = sorted(p.name for p in path.parent.glob("*.jsonl")) if path.parent.is_dir() else []
    return f" (there are {', '.join(names[:8])})" if names else ""


def write_manifest(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write a manifest atomically; audio paths become relative to its folder where they share more than the root.

    Raises:
        SecateurError: the folder cannot be written, an id occurs twice, or an extra has the name of a field.
    """
    with manifest_writer(path) as write:
        for u in several("write_manifest", utterances, UTTERANCES):
            write(u)


@contextlib.contextmanager
def manifest_writer(path: str | Path) -> Iterator[Callable[[Utterance], None]]:
    """What writes one utterance more into a manifest, which appears when the block ends without an error.

    Raises:
        SecateurError: see `write_manifest`.
    """
    path = Path(path)
    folder, seen = absolute(path.parent), Hashes()
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as out:

        def write(u: Utterance) -> None:
            if not seen.add(u.id):
                raise SecateurError(f"{path}: id '{u.id}' occurs twice")
            out.write(json.dumps(to_line(u, folder), ensure_ascii=False) + "\n")

        yield write


def to_line(utterance: Utterance, folder: Path) -> Json:
    """The JSON object of an utterance in a manifest whose (absolute) folder is `folder`.

    Raises:
        SecateurError: an extra has the name of a field.
    """
    for name in utterance.extras:
        if name in FIELDS:
            raise SecateurError(f"utterance '{utterance.id}': the extra '{name}' has the name of a field")
    values: Json = {
        "id": utterance.id,
        "audio": relative_to(utterance.audio, folder),
        "duration": round(utterance.duration, 4),
    }
    if utterance.offset is not None:
        values["offset"] = round(utterance.offset, 6)  # a sample, at any rate
    if utterance.channel is not None:
        values["channel"] = utterance.channel
    if utterance.labelled:
        values["text"] = utterance.text
    if utterance.speaker:
        values["speaker"] = utterance.speaker
    return values | {"language": utterance.language} | utterance.extras


def relative_to(audio: Path, folder: Path) -> str:
    """A path as a manifest in the (absolute) folder writes it: relative where they share more than the root."""
    url = url_of(audio)
    if url is not None and not audio.is_relative_to(folder):
        return url
    inside, name = f"{folder}{os.sep}", str(audio)
    if name.startswith(inside) and len(inside) > 2 and os.sep == "/":
        return name[len(inside) :]
    try:
        shared = Path(os.path.commonpath([audio, folder]))
    except ValueError:  # another drive, or a relative path
        return audio.as_posix()
    return audio.as_posix() if shared == Path(shared.anchor) else Path(os.path.relpath(audio, folder)).as_posix()


def find_speech() -> Path | None:
    """The folder of sets: `$SECATEUR_DATA`, or `../shared/data` from the current folder or the checkout, or None.

    Raises:
        SecateurError: `$SECATEUR_DATA` is not a folder.
    """
    named = os.environ.get("SECATEUR_DATA")
    if named:
        if not Path(named).is_dir():
            raise SecateurError(f"SECATEUR_DATA={named}: no such folder")
        return Path(named).resolve()
    roots = [Path.cwd(), CHECKOUT] if (CHECKOUT / "pyproject.toml").is_file() else [Path.cwd()]
    beside = (root.resolve().parent / "shared" / "data" for root in roots)
    return next((folder for folder in beside if folder.is_dir()), None)


def evenly(clips: Sequence[T], most: int) -> list[T]:
    """Every n-th of `clips`, so that there are at most `most`."""
    return list(clips[:: max(1, len(clips) // most)][:most])


def limit(
    utterances: Sequence[Utterance], hours: float | None = None, count: int | None = None, seed: int = 0
) -> list[Utterance]:
    """At most `hours` and `count` of the utterances, spread evenly over speakers, in their old order.

    The choice depends only on ids, speakers and seed, and a smaller limit chooses a part of what a larger one does.
    """

    def rank(name: str) -> bytes:
        return hashlib.sha256(f"{seed}\0{name}".encode()).digest()

    turns: dict[str, int] = {}
    order = []
    for u in sorted(utterances, key=lambda u: rank(u.id)):
        turns[u.speaker] = turns.get(u.speaker, 0) + 1
        order.append((turns[u.speaker], rank(u.speaker), u))
    order.sort(key=lambda item: item[:2])
    chosen: set[str] = set()
    left = math.inf if hours is None else hours * 3600
    for _, _, u in order[:count]:
        left -= u.duration
        if left < 0:
            break
        chosen.add(u.id)
    return [u for u in utterances if u.id in chosen]
