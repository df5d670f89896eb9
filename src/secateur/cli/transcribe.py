"""`secateur transcribe`: recordings to text, JSON or subtitles."""

from __future__ import annotations

from ..api.transcribe import TranscribeSettings, transcribe
from ..base.errors import one_line
from ..base.files import Json
from ..base.locale import translated
from ..base.options import from_dict
from ..base.progress import say
from ..decode.segments import Transcript
from ..runtime.subtitles import WRITERS, SubtitleSettings

HELP = """Transcribe files, folders or standard input to txt, json, srt or vtt; whole data sets to a manifest.

Manifests (.jsonl), archives ('set-{000..123}.tar'), --engine ray and --out FILE.jsonl are bulk work: it is done in
pieces, a killed run resumes, and memory does not grow with the set."""
EXAMPLE = """secateur transcribe talk.flac --model exported/model --format srt --out subtitles
secateur transcribe set/all.jsonl --out set/decoded.jsonl --engine ray --workers 8
arecord -f S16_LE -r 16000 | secateur transcribe - --raw-rate 16000"""

Options = TranscribeSettings


def run(options: TranscribeSettings) -> Json:
    """Transcribe every input; those that fail make the exit code 2."""
    result: Json = transcribe(options)
    failed = result["bulk"]["failed"] if "bulk" in result else result["failed"]
    return {**result, "_exit": 2 if failed else 0}


def show(result: Json) -> str:
    """The transcripts in the format asked for; with --out, the files that were written."""
    if "bulk" in result:
        bulk = result["bulk"]
        failures = f", {bulk['failed']} could not be transcribed" if bulk["failed"] else ""
        if failures and bulk["out"].endswith(".jsonl"):
            failures += f" (see {bulk['out'].removesuffix('.jsonl')}.failed.jsonl)"
        return translated(f"{bulk['out']}: {bulk['heard']} clips transcribed{failures}")
    words = any(segment.get("words") for file in result["files"] for segment in file["segments"])
    if result["format"] == "txt" and words:
        say("secateur: --word-times: txt has no times: take --format json")
    if result["written"]:
        return "\n".join(map(one_line, result["written"]))
    transcripts = [
        from_dict(Transcript, {key: value for key, value in file.items() if key != "file"}) for file in result["files"]
    ]
    subtitles = from_dict(SubtitleSettings, result.get("subtitles", {}))
    texts = [WRITERS[result["format"]](transcript, subtitles).rstrip("\n") for transcript in transcripts]
    if len(texts) + len(result["failed"]) == 1:
        return "\n".join(texts)
    if result["format"] == "json":
        return "[\n" + ",\n".join(texts) + "\n]"
    return "\n".join(f"{one_line(file['file'])}\t{text}" for file, text in zip(result["files"], texts, strict=True))
