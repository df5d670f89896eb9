"""`secateur data prepare`: recordings and transcripts become a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...base.options import option

HELP = "Read a folder of recordings and transcripts, or a table, into a manifest; clean, resample, denoise on request."
EXAMPLE = """secateur data prepare recordings/ --out set/all.jsonl
secateur data prepare cv-corpus/de/train.tsv --out set/train.jsonl --language de --format flac --sample-rate 16000
secateur data prepare kaldi/data/train --out set/train.jsonl --rules my-rules.toml --format ogg --denoise spectral
layouts: *.trans.txt (LibriSpeech), wav.scp and text (Kaldi), CSV or TSV with a header (Common Voice), a.wav + a.txt"""


@dataclass(frozen=True)
class Options:
    """Where recordings come from and what happens to them."""

    source: Path = option(help="folder, or table (.csv, .tsv)", positional=True)
    out: Path = option(help="the manifest to write (JSONL)")
    layout: str | None = option(None, help="librispeech, kaldi, table, paired, ... (default: recognised)")
    language: str = option("en", help="language code, where the source does not say")
    format: Literal["keep", "flac", "wav", "ogg"] = option("keep", help="keep the files, or write new ones")
    sample_rate: int | None = option(None, help="Hz of the new files (default: as recorded)")
    denoise: str | None = option(None, help="'spectral', or the file of a GTCRN model")
    clean: bool = option(True, help="clean transcripts")
    rules: Path | None = option(None, help="TOML with cleaning rules of your own")
    pinyin: bool = option(False, help="add a field with the pinyin of Chinese transcripts")
    min_seconds: float = option(0.1, help="leave out what is shorter")
    max_seconds: float = option(60.0, help="leave out what is longer")
    workers: int = option(2, help="files worked on at a time")


def run(options: Options) -> dict[str, Any]:
    """Write the manifest and tell what was left out."""
    from ...base.errors import SecateurError, check_known
    from ...data.layouts import LAYOUTS, recognise
    from ...data.prepare import PrepareSettings, prepare
    from ...text.clean import CleanRules, read_rules

    layout = options.layout or recognise(options.source)
    check_known("layout", layout, LAYOUTS)
    rules = read_rules(options.rules) if options.rules else CleanRules()
    settings = PrepareSettings(
        options.format, options.sample_rate, options.denoise, rules if options.clean else None, options.language,
        options.min_seconds, options.max_seconds, options.pinyin,
    )  # fmt: skip
    recordings = list(LAYOUTS[layout](options.source))
    if not recordings:
        raise SecateurError(f"{options.source}: no recordings in the layout '{layout}'")
    done = prepare(recordings, options.out, settings, options.workers)
    return {
        "manifest": str(options.out), "layout": layout, "utterances": len(done.utterances),
        "hours": sum(u.duration for u in done.utterances) / 3600,
        "skipped": [{"id": name, "reason": reason} for name, reason in done.skipped],
    }  # fmt: skip


def show(result: dict[str, Any]) -> str:
    """What was written, and the first of what was left out."""
    skipped = result["skipped"]
    lines = [f"{result['manifest']}: {result['utterances']} utterances, {result['hours']:.2f} h ({result['layout']})"]
    if skipped:
        lines.append(f"left out: {len(skipped)}")
        lines += [f"  {s['id']}: {s['reason']}" for s in skipped[:10]]
    return "\n".join(lines)
