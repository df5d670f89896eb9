"""`secateur data label`: a recogniser writes the transcripts of recordings that have none (pseudo-labels)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...base.files import Json
from ...base.locale import translated
from ...base.options import Settings, option

if TYPE_CHECKING:
    from ...data.manifest import Utterance
    from ...decode.segments import Transcript

HELP = """Transcribe the clips of a manifest with a model and write them as a manifest to train on.

A large model teaches a small one so, or one that knows more (Whisper) a CTC model. Clips that already have a transcript
keep it, unless --all. Left out is what the model is not sure of (the mean probability of its tokens is below --sure)
and, with --agree, what a second model transcribes differently (more than --apart of the words, after normalising).
Write the file beside the clips' own manifest, so that audio paths stay relative. Test clips have no place here."""
EXAMPLE = """secateur data label set/unlabelled.jsonl --model small.en --out set/labelled.jsonl
secateur data label set/train.jsonl --all --model base --numbers-as-words --agree tiny.en --out set/train-base.jsonl
secateur train --train set/train.jsonl,set/labelled.jsonl --new.preset conformer --out runs/taught"""

PIECE = 32  # clips a call


@dataclass(frozen=True)
class Options(Settings):
    """What is labelled, by whom."""

    manifest: Path = option(help="Label these clips (JSONL).", positional=True)
    out: Path = option(help="Write this manifest.", writes=".jsonl")
    model: str = option("tiny.en", "Transcribe with this model: a name, an exported or a checkpoint folder.")
    all: bool = option(False, "Also replace transcripts that are there.")
    sure: float = option(0.5, "Leave out transcripts less confident than this.", least=0, most=1)
    agree: str = option("", "Keep only clips on which this second model agrees.")
    apart: float = option(0.2, "Let the two differ by at most this error rate.", unit="share", least=0, most=1)
    numbers_as_words: bool = option(False, "Let a Whisper spell numbers: for CTC models, which spell from sound.")
    device: str = option("auto", "Run checkpoints on cpu, cuda, or auto: a GPU where there is one.")
    threads: int | None = option(None, "Use this many CPU threads.", least=1)


def run(options: Options) -> Json:
    """Transcribe what needs it, drop what is doubtful, write."""
    from dataclasses import replace

    from ...data.manifest import read_manifest, write_manifest
    from ...evaluate.error_rate import count_errors, metric_for
    from ...text.normalise import normaliser

    clips = list(read_manifest(options.manifest))
    todo = [u for u in clips if options.all or not u.labelled]
    first = _transcripts(options.model, todo, options)
    labels = {
        u.id: transcript.text
        for u, transcript in zip(todo, first, strict=True)
        if transcript.text and (transcript.confidence or 0.0) >= options.sure
    }
    doubtful, apart = len(todo) - len(labels), 0
    if options.agree:
        confident = [u for u in todo if u.id in labels]
        for u, transcript in zip(confident, _transcripts(options.agree, confident, options), strict=True):
            clean = normaliser(u.language)
            errors = count_errors(clean(labels[u.id]), clean(transcript.text), metric_for(u.language))
            if errors.errors > options.apart * errors.reference:
                apart += 1
                del labels[u.id]
    waiting = {u.id for u in todo}
    labelled = [
        replace(u, text=labels[u.id], no_speech=False) if u.id in labels else u
        for u in clips
        if u.id in labels or u.id not in waiting
    ]
    write_manifest(options.out, labelled)
    counts = {"clips": len(labelled), "labelled": len(labels), "doubtful": doubtful, "apart": apart}
    return {"file": str(options.out), **counts, "hours": sum(u.duration for u in labelled) / 3600}


def _transcripts(model: str, clips: Sequence[Utterance], options: Options) -> list[Transcript]:
    """The transcripts that a model gives for the clips."""
    from ...base.progress import track
    from ...decode.options import DecodingOptions
    from ...runtime.contents import BUNDLED
    from ...runtime.recogniser import Recogniser

    local = Path(model).is_dir() or (BUNDLED / model / "config.json").is_file()
    folder: str | Path = model
    if not local:  # what is exported or bundled needs no torch
        from ...weights.fetch import fetch

        folder = fetch(model)
    recogniser = Recogniser.load(folder, options.threads, options.device)
    by_id: dict[str, Transcript] = {}
    order = sorted(clips, key=lambda u: (u.language, u.duration))  # clips of one length run together
    for start in track(range(0, len(order), PIECE), f"labelling with {model}"):
        batch = order[start : start + PIECE]
        for language in sorted({u.language for u in batch}):
            same = [u for u in batch if u.language == language]
            how = DecodingOptions(language=language or None, numbers_as_words=options.numbers_as_words)
            transcripts = recogniser.transcribe_batch(same, how)
            by_id |= {u.id: text for u, text in zip(same, transcripts, strict=True)}
    return [by_id[u.id] for u in clips]


def show(result: Json) -> str:
    """How many clips were labelled and left out."""
    apart = f", {result['apart']} that two models hear differently" if result["apart"] else ""
    return translated(
        f"{result['file']}: {result['clips']} clips, {result['hours']:.2f} h, {result['labelled']} labelled by the "
        f"model; left out: {result['doubtful']} as doubtful{apart}"
    )
