"""How sets of recordings and transcripts lie on disk, each read into `Recording`s; audio files are not opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ...base.errors import SecateurError, check_known
from ...base.other_files import UNREAD
from ...base.remote import absolute, is_file, is_folder, url_of
from ..annotations.timed_lines import read_labels
from ..encoding import described
from ..folders import speaker_pattern
from ..recording import AUDIO, ForeignSet, LeftOut, ReadSettings, Recording, composed
from ..tables import LISTS, SPLITS, TABLES, is_table, read_table, table_rows
from .beside import has_annotations, read_one, read_paired
from .corpora import is_keyed, read_aishell, read_an4, read_keyed, read_librispeech, read_speech_commands
from .huggingface import COLUMNAR, METADATA, read_audiofolder, read_columnar
from .jsonl import MANIFESTS, manifest_rows, names_audio, peek, read_json_manifest
from .kaldi import kaldi_folders, read_kaldi
from .lhotse import kind_of, lhotse_files, read_lhotse
from .nearby import PLAIN, TIMED

# What lists recordings one by one, beside which there may be others.
LISTED = ("tables", "keyed", "audiofolder", "librispeech", "an4", "aishell", "speech-commands", "lhotse")
LOOKED_AT = 20  # recordings without a line of their own, beside which annotations are looked for
MOST_INSIDE = 40  # folders of a folder that are looked into for sets
CV_SPLITS = ("train.tsv", "dev.tsv", "test.tsv")


def read_common_voice(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """A language's folder of Common Voice: `clips` and the tables of its three splits, else `validated.tsv`.

    Raises:
        SecateurError: no such table, or nothing that can be used.
    """
    source = ForeignSet.of(place)
    present = [source.folder / name for name in CV_SPLITS if is_file(source.folder / name)]
    tables = present or [source.folder / "validated.tsv"]
    source.note(f"read: {', '.join(t.name for t in tables)} (name another table to have that one)")
    for table in tables:
        yield from table_rows(source, table, table.stem if present else "")


def read_tables(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """All tables and JSON manifests in the set's folder, their names as splits when there are several.

    Raises:
        SecateurError: columns that are not clear, or nothing that can be used.
    """
    source = ForeignSet.of(place)
    tables = _tables(source)
    for table in tables:
        split = SPLITS.get(table.stem.lower(), table.stem) if len({t.stem for t in tables}) > 1 else ""
        rows = manifest_rows if table.name.lower().endswith(MANIFESTS) else table_rows
        yield from rows(source, table, split)


LAYOUTS: Mapping[str, Callable[[ForeignSet | str | Path], Iterator[Recording]]] = {
    "librispeech": read_librispeech,
    "kaldi": read_kaldi,
    "table": read_table,
    "paired": read_paired,
    "annotated": read_paired,
    "recording": read_one,
    "an4": read_an4,
    "speech-commands": read_speech_commands,
    "aishell": read_aishell,
    "manifest": read_json_manifest,
    "lhotse": read_lhotse,
    "audiofolder": read_audiofolder,
    "parquet": read_columnar,
    "common-voice": read_common_voice,
    "tables": read_tables,
    "keyed": read_keyed,
}


@dataclass(frozen=True)
class Listed:
    """A set as it was read: what can perhaps be used, what cannot, and what was guessed."""

    layout: str
    recordings: list[Recording]
    left_out: list[LeftOut]
    notes: list[str]


def read_set(path: Path, layout: str | None = None, settings: ReadSettings | None = None) -> Listed:
    """Read a set in its layout (None: the one it is recognised as); ids are made unique, speakers taken from paths.

    Raises:
        SecateurError: no layout that is known, or nothing that can be used.
    """
    settings = settings or ReadSettings()
    speaker = speaker_pattern(settings.speaker_from) if settings.speaker_from else None
    source = ForeignSet(path, settings)
    layout = layout or recognise(path, settings)
    check_known("layout", layout, LAYOUTS)
    recordings = list(_unique(source, LAYOUTS[layout](source)))
    if not recordings:
        why = f"; {source.left_out[0].id}: {source.left_out[0]}" if source.left_out else ""
        raise SecateurError(f"{path}: no recordings in the layout '{layout}'{why}")
    _note_several_texts(source, recordings)
    if source.root == source.folder and layout in LISTED:
        _note_unused(source, recordings)
    if speaker is not None:
        named = [speaker(source.inside(r.audio)) for r in recordings]
        missed = [r for r, name in zip(recordings, named, strict=True) if not name]
        if len(missed) == len(recordings):
            example = source.inside(missed[0].audio)
            raise SecateurError(f"--speaker-from: '{settings.speaker_from}' fits no path, for instance not '{example}'")
        if missed:
            example = source.inside(missed[0].audio)
            source.note(f"--speaker-from fits {len(missed)} of {len(named)} paths not, first '{example}'")
        recordings = [replace(r, speaker=name or r.speaker) for r, name in zip(recordings, named, strict=True)]
    return Listed(layout, recordings, source.left_out, source.notes)


def _note_unused(source: ForeignSet, recordings: list[Recording]) -> None:
    """Note how many audio files of a folder have no transcript: perhaps it holds a second set."""
    used = {absolute(r.audio) for r in recordings}
    unused = [f for f in source.audio if absolute(f) not in used]
    if unused:
        source.note(f"{len(unused)} audio files in it have no transcript there, first {source.inside(unused[0])}")
    beside = (audio.with_suffix(ending) for audio in unused[:LOOKED_AT] for ending in TIMED)
    if annotation := next(filter(is_file, beside), None):
        source.note(
            f"{source.inside(annotation)} lies beside one of them: to read such pairs too, run again with --layout "
            "annotated and another --out (training takes several manifests)"
        )


def _note_several_texts(source: ForeignSet, recordings: list[Recording]) -> None:
    """Note recordings that are used whole for several texts: perhaps the times of their parts were not recognised."""
    texts: dict[tuple[Path, int | None], set[str]] = {}
    for r in recordings:
        if r.offset is None and r.seconds is None:
            texts.setdefault((r.audio, r.channel), set()).add(r.text)
    several = [audio for (audio, _), some in texts.items() if len(some) > 1]
    if several:
        source.note(
            f"{len(several)} recordings are taken whole for several texts each, first {source.inside(several[0])}; if "
            "these are parts, name the columns with their times: --columns offset=NAME,end=NAME"
        )


def _unique(source: ForeignSet, recordings: Iterator[Recording]) -> Iterator[Recording]:
    """The same, without what is listed twice; different recordings of one id get a number."""
    ids, listed, numbers = set[str](), set[int](), dict[str, int]()
    renamed = 0
    for r in recordings:
        base = name = r.id.strip()
        row = hash((base, r.audio, r.offset, r.channel, r.text))
        if row in listed:
            source.leave_out(r.id, "listed twice")
            continue
        listed.add(row)
        while name in ids:
            numbers[base] = numbers.get(base, 1) + 1
            name = f"{base}-{numbers[base]}"
        ids.add(name)
        renamed += name != base
        yield r if name == r.id else replace(r, id=name)
    if renamed:
        source.note(f"{renamed} ids occurred before and got a number (-2, -3, ...)")


def recognise(path: Path, settings: ReadSettings | None = None) -> str:
    """Which layout a folder (or a file) has.

    Raises:
        SecateurError: none that is known, or several.
    """
    source = ForeignSet(path, settings)
    return _of_folder(source) if is_folder(path) else _of_file(source)


def _of_file(source: ForeignSet) -> str:
    path = source.root
    name = path.name.lower()
    if not is_file(path):
        raise SecateurError(f"{path}: no such file: expected a folder, or a table ending in .csv or .tsv")
    if name.endswith(TABLES):
        return "table"
    if name.endswith(COLUMNAR):
        return "parquet"
    if name == "wav.scp":
        return "kaldi"
    if name.endswith(MANIFESTS):
        return "lhotse" if kind_of(peek(source, path)) else "manifest"
    if path.suffix.lower() in AUDIO or name.endswith((".ctm", ".stm", *TIMED)):
        return "recording"
    if name.endswith(PLAIN) and read_labels(source.text(path)):
        return "recording"
    if name.endswith((*PLAIN, *LISTS)):
        return "keyed" if not is_table(source, path) and is_keyed(source, path) else "table"
    if what := described(path):
        raise SecateurError(f"{path}: {what}")
    raise SecateurError(f"{path}: expected a folder, a table ending in .csv or .tsv, a manifest (JSON) or a recording")


def _of_folder(source: ForeignSet) -> str:
    folder = source.folder
    if is_file(folder / "wav.scp"):
        return "kaldi"
    names = [f.name for f in source.files]
    for name, present in (
        ("librispeech", any(n.endswith(".trans.txt") for n in names)),
        ("an4", any(n.startswith("an4_") and n.endswith(".transcription") for n in names)),
        ("aishell", any(n.startswith("aishell_transcript") and n.endswith(".txt") for n in names)),
        ("speech-commands", any("_nohash_" in n and n.endswith(".wav") for n in names)),
        ("parquet", any(n.lower().endswith(COLUMNAR) and n.lower() not in METADATA for n in names)),
        ("audiofolder", _has_metadata(source)),
    ):
        if present:
            return name
    kaldi = kaldi_folders(source)
    if len(kaldi) == 1:
        return "kaldi"
    if kaldi:
        several = ", ".join(map(str, kaldi[:8]))
        raise SecateurError(f"{folder}: several Kaldi folders are inside: name one of them: {several}")
    if lhotse_files(source):
        return "lhotse"
    if is_file(folder / "validated.tsv") or all(is_file(folder / name) for name in CV_SPLITS):
        return "common-voice"
    hints = []
    if _tables(source):
        trial, missing = ForeignSet(source.root, source.settings), ""
        try:
            for recording in read_tables(trial):
                if is_file(recording.audio):
                    return "tables"
                missing = missing or source.inside(recording.audio)
            hints.append(f"none of the audio files that {_tables(source)[0].name} names is there, such as {missing}")
            if trial.left_out:
                hints[-1] = f"{trial.left_out[0].id}: {trial.left_out[0]}"
        except SecateurError as problem:
            if not source.audio:
                raise
            hints.append(str(problem))
    if source.audio:
        if has_annotations(source):
            return "annotated"
        if next(read_paired(ForeignSet(source.root, source.settings)), None) is not None:
            return "paired"
        if any(is_keyed(source, path) for path in source.ending(*PLAIN)):
            return "keyed"
    inside = _sets_inside(source)
    if inside:
        raise SecateurError(f"{folder}: a folder above data sets: name one of them: {', '.join(map(str, inside))}")
    above = [] if url_of(folder) else sorted(folder.absolute().parent.glob("*.?sv") if source.audio else ())
    above = [f for f in above if not f.name.endswith(".left-out.tsv")]
    hints += [f"{above[0].name} is in the folder above: name {above[0].parent}"] if above else []
    unread = next((path for path in source.files if path.suffix.lower() in UNREAD), None)
    hints += [f"{source.inside(unread)}: {described(unread)}"] if unread else []
    hint = f" ({hints[0]})" if hints else ""
    what = f"{len(source.audio)} audio files" if source.audio else "no audio files"
    raise SecateurError(
        f"{folder}: {what}, neither *.trans.txt, wav.scp, nor audio with .txt, .lab or subtitles beside it, nor a "
        f"table or manifest that names them{hint}"
    )


def _sets_inside(source: ForeignSet) -> list[Path]:
    """Folders below a folder that is no set itself, each of which is one: the languages of Common Voice."""
    folders = {f.parent for f in source.files if f.name.lower().endswith((*TABLES, *MANIFESTS))} - {source.folder}
    sets: list[Path] = []
    for folder in sorted(folders)[:MOST_INSIDE]:
        try:
            _of_folder(ForeignSet(folder, source.settings))
        except SecateurError:
            continue
        sets.append(folder)
    return sets


def _has_metadata(source: ForeignSet) -> bool:
    """Whether there is a metadata table as `datasets` has it: with `file_name` (LJSpeech's has no header)."""
    for path in source.files:
        if path.name.lower() in METADATA:
            if path.suffix == ".parquet":
                return True
            if "file_name" in source.text(path).split("\n", 1)[0]:
                return True
    return False


def _tables(source: ForeignSet) -> list[Path]:
    """Tables and manifests right in the folder of a set; else tables of one name in folders inside it."""
    every = [f for f in source.files if f.suffix.lower() in TABLES]
    named = [f for f in every if f.parent == source.folder]
    if named:
        return named
    if len({f.name for f in every}) == 1:  # a book's `metadata.csv` each, as M-AILABS has them
        return every
    json = [f for f in source.files if f.parent == source.folder and f.name.lower().endswith(MANIFESTS)]
    json = [f for f in json if names_audio(peek(source, f))]
    return json or [
        f
        for f in source.ending(*LISTS)
        if f.parent == source.folder and composed(f.stem) not in source.by_name and is_table(source, f)
    ]
