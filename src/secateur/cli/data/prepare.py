"""`secateur data prepare`: recordings and transcripts become a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...base.files import Json
from ...base.locale import translated
from ...base.options import Settings, option

HELP = """Read a data set in whatever form it comes into a manifest; clean, resample, denoise on request.

Layouts that are recognised: tables (CSV, TSV, with | or ; too; any encoding, with or without header: Common Voice,
LJSpeech, your own), JSON manifests (NeMo and others), exports of Label Studio, Prodigy and doccano, Kaldi folders (with
segments; commands are never run), lhotse's cuts or recordings and supervisions, Hugging Face's audiofolder and parquet,
LibriSpeech, AISHELL, AN4, Speech Commands, audio with a text of the same name beside it or in a sister folder, and
recordings with subtitles (SRT, VTT), TextGrid, ELAN, Audacity labels, CTM or STM, which cut them. What cannot be used
is listed beside the manifest. Source and --out may be URLs (s3://, gs://, hf://, http://)."""
EXAMPLE = """secateur data prepare recordings/ --out set/all.jsonl --speaker-from '{speaker}/*.wav'
secateur data prepare calls.csv --out set/all.jsonl --columns text=Transcript,speaker=Who --encoding cp1252
secateur data prepare cv-corpus/de/train.tsv --out set/train.jsonl --language de --format flac --sample-rate 16000
secateur data prepare interview.TextGrid --out set/interview.jsonl
secateur data prepare kaldi/data/train --out set/train.jsonl --rules my-rules.toml --format ogg --denoise spectral"""

SHOWN = 8  # reasons on the screen


@dataclass(frozen=True)
class Options(Settings):
    """Where recordings come from and what happens to them."""

    source: Path = option(
        help="Read this folder, table, manifest, annotation or recording, or its URL.", positional=True
    )
    out: Path = option(help="Write this manifest (JSONL).", writes=".jsonl")
    layout: str | None = option(None, "Read this layout: librispeech, kaldi, table, paired, ...; left out: recognised.")
    columns: tuple[str, ...] = option((), "Name columns that are not recognised, as FIELD=NAME: text=Transcript,...")
    encoding: str | None = option(
        None, "Read text files in this encoding: utf-8, utf-16, cp1252, ...; left out: as they look."
    )
    speaker_from: str = option("", "Take speakers from paths: '{speaker}/*.wav', or a regular expression with a group.")
    language: str = option("en", "Assume this language code where the source does not say.")
    format: Literal["keep", "flac", "wav", "ogg"] = option(
        "keep", "Keep the audio files, or write new ones in this format."
    )
    sample_rate: int | None = option(
        None, "Resample the new files to this rate; left out: as recorded.", unit="Hz", least=1
    )
    denoise: str | None = option(None, "Denoise: spectral, or the file of a GTCRN model.")
    clean: bool = option(True, "Clean transcripts.")
    rules: Path | None = option(None, "Clean by the rules in this TOML file, too.")
    lower: bool = option(False, "Write transcripts in lower case.")
    keep_empty: bool = option(False, "Keep clips whose transcript is there but empty: they hold no speech.")
    pinyin: bool = option(False, "Add a field with the pinyin of Chinese transcripts.")
    min_seconds: float = option(0.1, "Leave out shorter clips.", unit="s", least=0)
    max_seconds: float = option(60.0, "Leave out longer clips.", unit="s", above=0)
    workers: int = option(2, "Work on this many files at a time.", unit="files", least=1)


def run(options: Options) -> Json:
    """Write the manifest and report what was left out."""
    from ...base.remote import absolute
    from ...data.layouts import read_set
    from ...data.prepare import PrepareSettings, prepare
    from ...data.recording import ReadSettings
    from ...data.summary import Overview, remarks
    from ...text.clean import CleanRules, read_rules

    rules = read_rules(options.rules) if options.rules else CleanRules()
    settings = PrepareSettings(
        options.format, options.sample_rate, options.denoise, rules if options.clean else None, options.language,
        options.min_seconds, options.max_seconds, options.pinyin, options.keep_empty, options.lower,
    )  # fmt: skip
    reading = ReadSettings(
        _columns(options.columns),
        options.encoding,
        options.speaker_from,
        options.language,
        absolute(options.out).with_suffix(""),
    )
    listed = read_set(options.source, options.layout, reading)
    prepared = prepare(listed.recordings, options.out, settings, options.workers, left_out=listed.left_out)
    overview = Overview(prepared.utterances)
    return {
        "manifest": str(options.out), "layout": listed.layout, "utterances": len(prepared.utterances),
        "hours": overview.seconds / 3600, "found": overview.line(),
        "speakers": len(overview.speakers),
        "notes": listed.notes, "remarks": remarks(overview, prepared.left_out),
        "skipped": [{"id": o.id, "reason": o.reason, "detail": o.detail} for o in prepared.left_out],
        "left_out": None if prepared.list_of_left_out is None else str(prepared.list_of_left_out),
    }  # fmt: skip


def _columns(words: tuple[str, ...]) -> dict[str, str]:
    """`("text=Transcript", "speaker=Who")` as a table.

    Raises:
        SecateurError: not FIELD=NAME.
    """
    from ...base.errors import SecateurError

    columns = {}
    for word in words:
        field, equals, name = word.partition("=")
        if not equals or not name.strip():
            raise SecateurError(f"--columns: expected FIELD=NAME such as text=Transcript, found '{word}'")
        columns[field.strip().lower()] = name.strip()
    return columns


def show(result: Json) -> str:
    """The manifest, notes and remarks, and the reasons of what was left out."""
    from ...data.recording import LeftOut
    from ...data.summary import counted

    lines = [translated(f"{result['manifest']}: {result['found']} (read as {result['layout']})")]
    lines += [translated(f"note: {note}") for note in result["notes"]]
    lines += [translated(f"remark: {remark}") for remark in result["remarks"]]
    skipped = [LeftOut(s["id"], s["reason"], s["detail"]) for s in result["skipped"]]
    if skipped:
        lines.append(translated(f"left out: {len(skipped)}, listed in {result['left_out']}"))
        counts = counted(skipped)
        for reason, count, first in counts[:SHOWN]:
            detail = f" ({translated(first.detail)})" if first.detail else ""
            lines.append(f"{count:6} {translated(f'{reason}, first {first.id}')}{detail}"[:240])
        if len(counts) > SHOWN:
            lines.append(" " * 7 + translated(f"and {len(counts) - SHOWN} other reasons"))
    return "\n".join(lines)
