"""`secateur data align`: a recording and its plain transcript become utterances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...base.files import Json
from ...base.locale import translated
from ...base.options import Settings, option

HELP = """Cut a long recording with a plain transcript (an interview and its text) into utterances.

A recogniser writes what it recognises with word times, its words are matched with the text, and the recording is cut
at pauses between words that agree. The manifest has the text as you wrote it, with `offset` and `duration` in the
recording and a `score` (share of the words that were recognised). What does not match (remarks that nobody spoke,
passages that the text lacks) is left out and listed beside the manifest."""
EXAMPLE = """secateur data align interview.wav interview.txt --out set/interview.jsonl
secateur data align talk.mp3 talk.txt --out set/talk.jsonl --model base --language de --speaker anna"""

SHOWN = 8  # of what was left out, on the screen


@dataclass(frozen=True)
class Options(Settings):
    """What is cut, and how."""

    recording: Path = option(help="Cut this recording into utterances.", positional=True)
    text: Path = option(help="Align it with this transcript, which has no times.", positional=True)
    out: Path = option(help="Write this manifest (JSONL).", writes=".jsonl")
    model: str | None = option(
        None, "Align with this recogniser: a name, an exported or a checkpoint folder; left out: the bundled model."
    )
    language: str = option("en", "Read the text in this language.")
    speaker: str = option("", "Name the speaker, when it is one person.")
    encoding: str | None = option(
        None, "Read the text in this encoding: utf-8, utf-16, cp1252, ...; left out: as it looks."
    )
    min_seconds: float = option(2.0, "Cut no shorter utterances.", unit="s", above=0)
    max_seconds: float = option(20.0, "Cut no longer utterances.", unit="s", above=0)
    least_score: float = option(
        0.5, "Leave out utterances of which less than this was recognised.", unit="share", least=0, most=1
    )
    device: str = option("auto", "Run checkpoints on cpu, cuda, or auto: a GPU where there is one.")
    threads: int | None = option(None, "Use this many CPU threads.", least=1)


def run(options: Options) -> Json:
    """Align, write the manifest and the list of what was left out."""
    from ...base.errors import SecateurError, one_line
    from ...base.files import write_text
    from ...base.remote import absolute
    from ...data.alignment.cut import CutSettings
    from ...data.encoding import read_text
    from ...data.manifest import Utterance, write_manifest
    from ...data.times import times_in
    from ...runtime.align import align
    from ...runtime.recogniser import Recogniser
    from ...text.clean import marks_in

    if not 0 < options.min_seconds < options.max_seconds:
        raise SecateurError("--min-seconds must be above 0 and below --max-seconds")
    text, _ = read_text(options.text, options.encoding, options.language)
    times = times_in(text)
    if times:
        raise SecateurError(
            f"{options.text}: has times in it ('{times[:40]}'): take them out, or let `secateur data prepare` read it"
        )
    recogniser = Recogniser.load(options.model, options.threads, options.device)
    settings = CutSettings(options.min_seconds, options.max_seconds, options.least_score)
    aligned = align(options.recording, text, recogniser, options.language, settings)
    digits = max(4, len(str(len(aligned.cuts))))
    utterances = [
        Utterance(
            f"{options.recording.stem}-{number:0{digits}}", absolute(options.recording), round(one.end - one.start, 4),
            aligned.text_of(one), options.speaker, options.language, {"score": one.score}, one.start,
        ) for number, one in enumerate(aligned.cuts, 1)
    ]  # fmt: skip
    write_manifest(options.out, utterances)
    gaps = [
        {"words": gap.after - gap.first, "reason": gap.reason, "text": aligned.text_of(gap)} for gap in aligned.gaps
    ]
    gaps += [{"words": len(mark.split()), "reason": "a mark, not speech", "text": mark} for mark in marks_in(text)]
    listed = options.out.with_suffix(".left-out.tsv")
    rows = ["words\treason\ttext", *(f"{g['words']}\t{g['reason']}\t{one_line(str(g['text']))}" for g in gaps)]
    write_text(listed, "\n".join(rows) + "\n")
    return {
        "manifest": str(options.out), "utterances": len(utterances), "seconds": sum(u.duration for u in utterances),
        "of_seconds": aligned.seconds, "words": len(aligned.words), "kept": aligned.kept, "left_out": gaps,
        "score": sum(one.score for one in aligned.cuts) / len(aligned.cuts), "list": str(listed),
    }  # fmt: skip


def show(result: Json) -> str:
    """How much of the recording is in utterances, and what is left out."""
    lines = [
        translated(
            f"{result['manifest']}: {result['utterances']} utterances, {result['seconds'] / 60:.1f} of "
            f"{result['of_seconds'] / 60:.1f} min, {result['kept']:.1%} of {result['words']} words; mean score "
            f"{result['score']:.2f}"
        )
    ]
    gaps = sorted(result["left_out"], key=lambda g: -g["words"])
    if gaps:
        words = sum(g["words"] for g in gaps)
        lines.append(translated(f"left out: {words} words in {len(gaps)} passages, listed in {result['list']}"))
        for gap in gaps[:SHOWN]:
            lines.append(f"{gap['words']:6} {translated('words')}, {translated(gap['reason'])}: {gap['text'][:80]}")
    return "\n".join(lines)
