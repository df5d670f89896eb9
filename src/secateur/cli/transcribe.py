"""`secateur transcribe`: recordings to text, JSON or subtitles."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..audio.folder import audio_files
from ..audio.read import read_audio
from ..base.errors import SecateurError
from ..base.files import write_text
from ..base.options import from_dict, option, to_dict
from ..base.progress import say, track
from ..decode.options import DecodingOptions
from ..runtime.recogniser import Recogniser, cores
from ..runtime.transcript import WRITERS, Transcript

HELP = """Files, folders or standard input to txt, json, srt or vtt; whole data sets to a manifest.

Manifests (.jsonl), archives ('set-{000..123}.tar'), --engine ray and --out FILE.jsonl are bulk work: it is done in
pieces, a killed run goes on, and memory does not grow with the set."""
EXAMPLE = """secateur transcribe talk.flac --model exported/model --format srt --out subtitles
secateur transcribe set/all.jsonl --out set/heard.jsonl --engine ray --workers 8
arecord -f S16_LE -r 16000 | secateur transcribe - --raw-rate 16000"""

CHUNK = 240.0  # seconds of audio that are read ahead, so that short files can run together


@dataclass(frozen=True)
class Options:
    """What `secateur transcribe` takes."""

    inputs: tuple[str, ...] = option(
        help="audio files, folders of them, manifests, archives, or - for standard input", positional=True
    )
    model: str | None = option(None, "exported folder, checkpoint folder or bundled name; bundled if left out")
    format: Literal["txt", "json", "srt", "vtt"] = option("txt", "txt, json, srt or vtt")
    out: Path | None = option(None, "folder for one file per input, or a manifest (.jsonl); left out: standard output")
    language: str | None = option(None, "language code such as en; detected if left out and the model knows several")
    task: Literal["transcribe", "translate"] = option("transcribe", "transcribe, or translate into English")
    timestamps: bool = option(False, "segment times from the model's timestamp tokens (srt and vtt always ask)")
    beam: int = option(1, "beams; 1 is greedy, the fastest")
    lm: tuple[Path, ...] = option((), "CTC models: language models (see `secateur lm`), mixed; --beam is then 32")
    lm_shares: tuple[float, ...] = option((), "in which shares several are mixed; evenly if left out")
    lm_weight: float = option(0.5, "weight of the language model beside the network")
    word_bonus: float = option(0.5, "added for every word")
    blank_penalty: float = option(0.0, "with --lm: taken off the blank's log probability")
    unknown: float | None = option(None, "added for a word that no language model has; left out: there are none")
    words: tuple[str, ...] = option((), "names and terms to expect, separated by commas")
    condition_on_previous: bool = option(False, "prompt every window with the text before it")
    raw_rate: int | None = option(None, "standard input is raw 16-bit little-endian mono samples at this rate in Hz")
    word_times: bool = option(False, "every word's start, end and confidence, in the json format")
    simplified: bool = option(False, "Chinese in simplified characters")
    correct: Path | None = option(None, "mend Chinese by its sound, with this file of `secateur text learn`")
    threads: int | None = option(None, "CPU threads a worker; the runtime's own choice if left out")
    workers: int | None = option(None, "groups of files heard side by side; left out: all cores for several files")
    engine: Literal["local", "ray"] = option("local", "this process, or the workers of a Ray cluster")


def run(options: Options) -> dict[str, Any]:
    """Transcribe every input; those that fail are named on standard error and make the exit code 2."""
    if is_bulk(options):
        return run_bulk(options)
    inputs = find_inputs(options.inputs)
    names = _out_names(inputs, options)
    if options.out is None and len(inputs) > 1 and options.format in ("srt", "vtt"):
        raise SecateurError(f"{len(inputs)} inputs cannot share one {options.format}: give a folder with --out")
    workers = (0 if len(inputs) > 1 else 1) if options.workers is None else options.workers
    if workers < 0:
        raise SecateurError(f"--workers must be at least 0, found {workers}")
    recogniser = Recogniser.load(options.model, options.threads, workers=workers)
    decoding = decoding_of(options)
    rewrite = None
    if options.simplified or options.correct is not None:
        from ..runtime.chinese import rewriter

        rewrite = rewriter(options.simplified, options.correct)
    files: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    done = _transcribed(recogniser, inputs, decoding, options)
    for name, found in track(done, "transcribe", len(inputs), quiet=len(inputs) == 1):
        if isinstance(found, SecateurError):
            problem = str(found) if name in str(found) else f"{name}: {found}"
            if len(inputs) == 1:
                raise SecateurError(problem) from found
            say(f"secateur: {problem}")
            failed.append({"file": name, "problem": problem})
            continue
        found = found if rewrite is None else rewrite(found)
        files.append({"file": name, **to_dict(found)})
        if options.out is not None:
            write_text(options.out / names[name], WRITERS[options.format](found))
    written = [] if options.out is None else [str(options.out / names[f["file"]]) for f in files]
    return {"format": options.format, "files": files, "written": written, "failed": failed, "_exit": 2 if failed else 0}


def decoding_of(options: Options) -> DecodingOptions:
    """What the options say of decoding."""
    return DecodingOptions(
        language=options.language,
        task=options.task,
        timestamps=True if options.timestamps or options.format in ("srt", "vtt") else None,
        beam=options.beam,
        word_times=options.word_times,
        lm=options.lm,
        lm_shares=options.lm_shares,
        lm_weight=options.lm_weight,
        word_bonus=options.word_bonus,
        blank_penalty=options.blank_penalty,
        unknown=options.unknown,
        words=options.words,
        condition_on_previous=options.condition_on_previous,
    )


def is_bulk(options: Options) -> bool:
    """Whether the work is done in pieces that are kept."""
    to_manifest = options.out is not None and options.out.suffix == ".jsonl"
    return options.engine != "local" or to_manifest or any(w.endswith((".jsonl", ".tar")) for w in options.inputs)


def run_bulk(options: Options) -> dict[str, Any]:
    """Hear whole sets.

    Raises:
        SecateurError: standard input among the inputs, or no --out.
    """
    from ..runtime.bulk.hear import HearSpec
    from ..runtime.bulk.run import BulkSettings, transcribe_all

    if options.out is None:
        raise SecateurError("sets and --engine ray need --out: a manifest to write (.jsonl), or a folder")
    if "-" in options.inputs:
        raise SecateurError("standard input is heard by itself: leave out --engine, and manifests")
    local = 0 if options.workers is None else options.workers
    spec = HearSpec(
        options.model, decoding_of(options), options.threads, local or cores(), options.simplified, options.correct
    )
    settings = BulkSettings(format=options.format, details=options.word_times or options.timestamps)
    workers = 2 if options.workers is None else options.workers
    result = transcribe_all(options.inputs, spec, options.out, settings, options.engine, workers)
    return {"bulk": result, "_exit": 2 if result["failed"] else 0}


def show(result: dict[str, Any]) -> str:
    """The transcripts in the format asked for; with --out, the files that were written."""
    if "bulk" in result:
        found = result["bulk"]
        lost = f", {found['failed']} could not be heard" if found["failed"] else ""
        if lost and found["out"].endswith(".jsonl"):
            lost += f" (see {Path(found['out']).with_suffix('.failed.jsonl')})"
        return f"{found['out']}: {found['heard']} clips heard{lost}"
    if result["written"]:
        return "\n".join(result["written"])
    transcripts = [
        from_dict(Transcript, {key: value for key, value in file.items() if key != "file"}) for file in result["files"]
    ]
    texts = [WRITERS[result["format"]](transcript).rstrip("\n") for transcript in transcripts]
    if len(texts) + len(result["failed"]) == 1:
        return "\n".join(texts)
    if result["format"] == "json":
        return "[\n" + ",\n".join(texts) + "\n]"
    return "\n".join(f"{file['file']}\t{text}" for file, text in zip(result["files"], texts, strict=True))


def find_inputs(words: tuple[str, ...]) -> list[str]:
    """Files as given, and every audio file below the folders, sorted.

    Raises:
        SecateurError: a folder without audio files.
    """
    found: list[str] = []
    for word in words:
        found += map(str, audio_files(word)) if Path(word).is_dir() else [word]
    return list(dict.fromkeys(found))


def _out_names(inputs: list[str], options: Options) -> dict[str, str]:
    """The file below --out for every input: its name; below a folder, its path in that folder.

    Raises:
        SecateurError: two inputs would write the same file.
    """
    folders = [Path(word) for word in options.inputs if Path(word).is_dir()]
    names: dict[str, str] = {}
    for name in inputs:
        path = Path("stdin" if name == "-" else name)
        root = next((folder for folder in folders if folder in path.parents), path.parent)
        target = str(path.relative_to(root).with_suffix(f".{options.format}"))
        if options.out is not None and target in names.values():
            other = next(key for key, value in names.items() if value == target)
            raise SecateurError(f"{other} and {name} would both be written to {options.out / target}")
        names[name] = target
    return names


def _transcribed(
    recogniser: Recogniser, inputs: list[str], decoding: DecodingOptions, options: Options
) -> Iterator[tuple[str, Transcript | SecateurError]]:
    """Every input with its transcript, or with what is wrong with it."""
    waiting: list[tuple[str, NDArray[np.float32]]] = []
    for name in inputs:
        try:
            waiting.append((name, recogniser.samples(_read(name, options.raw_rate, recogniser.sample_rate))))
        except SecateurError as problem:
            yield name, problem
        if sum(len(audio) for _, audio in waiting) >= CHUNK * recogniser.sample_rate:
            yield from _together(recogniser, waiting, decoding)
            waiting = []
    yield from _together(recogniser, waiting, decoding)


def _together(
    recogniser: Recogniser, waiting: list[tuple[str, NDArray[np.float32]]], decoding: DecodingOptions
) -> Iterator[tuple[str, Transcript]]:
    names = [name for name, _ in waiting]
    yield from zip(names, recogniser.transcribe_batch([audio for _, audio in waiting], decoding), strict=True)


def _read(name: str, raw_rate: int | None, sample_rate: int) -> NDArray[np.float32]:
    """Samples of a file or of standard input."""
    if name != "-":
        return read_audio(name, sample_rate)
    data = sys.stdin.buffer.read()
    if raw_rate is None:
        return read_audio(io.BytesIO(data), sample_rate)
    if raw_rate < 1:
        raise SecateurError(f"--raw-rate is samples a second, such as 16000; found {raw_rate}")
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
    if raw_rate == sample_rate:
        return samples
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(samples, raw_rate, sample_rate).astype(np.float32)
    return resampled
