"""Recordings to text, JSON or subtitles; whole data sets to a manifest."""

from __future__ import annotations

import glob
import io
import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from ..base.errors import SecateurError
from ..base.files import Json, write_text
from ..base.options import Settings, changed_fields, option, to_dict
from ..base.progress import say, track
from ..decode.options import DecodingOptions, check_decoding
from ..decode.segments import Format, names_manifest, one_file
from ..runtime.subtitles import TIMED, SubtitleSettings
from ..runtime.writing import Rewrite, WritingSettings, rewriter
from .job import job

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..decode.segments import Transcript
    from ..runtime.recogniser import Recogniser

    Waiting = tuple[str, str, NDArray[np.float32]]  # an input, its channel, the samples

LONG = 300.0  # seconds; decoded windows of a longer recording are saved until its transcript is written
CHUNK = 240.0  # seconds of audio that are read ahead, so that short files can run together


def load(model: str | Path | None = None, threads: int | None = None, device: str = "cpu") -> Recogniser:
    """A recogniser from an exported or checkpoint folder, or by bundled name; None is the bundled model.

    Raises:
        SecateurError: no such model, or a damaged one.
    """
    from ..runtime.recogniser import Recogniser

    return Recogniser.load(model, threads, device)


@dataclass(frozen=True, kw_only=True)
class TranscribeSettings(Settings):
    """What is transcribed by which model, how it is decoded, and where the text goes."""

    inputs: tuple[str, ...] = option(
        help="Transcribe audio files, folders of them, manifests, archives, or - for standard input.", positional=True
    )
    model: str | None = option(
        None, "Use this exported folder, checkpoint folder or bundled name; left out: the bundled model."
    )
    format: Format = option("txt", "Write plain text, JSON or subtitles.", elsewhere=("output_format", "output_type"))
    out: Path | None = option(
        None,
        "Write one file an input into this folder, one input into this file (talk.srt), or a manifest (.jsonl); left "
        "out: to standard output.", elsewhere=("output_dir", "output"),
        writes=lambda settings: settings.out.suffix if one_file(settings.out) else "folder",
    )  # fmt: skip
    raw_rate: int | None = option(
        None, "Read standard input as raw 16-bit little-endian mono samples at this rate.", unit="Hz", least=1
    )
    channel: Literal["left", "right", "mix", "split"] | None = option(
        None,
        "Transcribe one side of a stereo recording, the mean of all channels, or every channel by itself with "
        "its name (split); left out: the mean, or the louder channel where opposite phase would cancel it.",
    )
    threads: int | None = option(
        None, "Use this many CPU threads a worker; left out: the runtime's own choice.", least=1
    )
    workers: int | None = option(
        None, "Run this many groups of files side by side; left out: all cores for several files.", least=0
    )
    device: str = option(
        "cpu",
        "Decode with a checkpoint folder on this device: cpu, cuda, or auto (a GPU if there is one); exported "
        "models run on the CPU.",
    )
    engine: Literal["local", "ray"] = option("local", "Run in this process, or on the workers of a Ray cluster.")
    writing: WritingSettings = option(WritingSettings(), "Say how what was recognised is written.", flat=True)
    decoding: DecodingOptions = option(DecodingOptions(), "Say how audio is decoded.", flat=True)
    subtitles: SubtitleSettings = option(SubtitleSettings(), "Say how text is cut into subtitles.", flat=True)

    def how(self) -> DecodingOptions:
        """The decoding options; subtitles are made from the times of words."""
        return replace(self.decoding, word_times=True) if _format_of(self) in TIMED else self.decoding


@job(TranscribeSettings)
def transcribe(settings: TranscribeSettings) -> Json:
    """Transcribe every input; returns `files`, what was `written` and what `failed`, or of whole sets `bulk` counts.

    Raises:
        SecateurError: no such model, an input that cannot be read when it is the only one, or options that contradict.
    """
    _note_ignored(settings)
    return _bulk(settings) if is_bulk(settings) else _each(settings)


def _note_ignored(options: TranscribeSettings) -> None:
    """Say which options of subtitles do nothing; refuse others without effect.

    Raises:
        SecateurError: --raw-rate without standard input, settings of decoding that would do nothing.
    """
    check_decoding(options.decoding, DecodingOptions())
    if options.raw_rate is not None and "-" not in options.inputs:
        how = f"secateur transcribe - --raw-rate {options.raw_rate} < FILE"
        raise SecateurError(f"--raw-rate is of standard input, and files say their rate: leave it out, or  {how}")
    shape = _format_of(options)
    if shape in TIMED and options.decoding.word_times:
        say("secateur: --word-times: subtitles have no times of single words: take --format json")
    if shape not in TIMED and (given := changed_fields(options.subtitles)):
        flags = ", ".join(f"--{one.name.replace('_', '-')}" for one in given)
        say(f"secateur: {flags}: of subtitles, and {shape} has none: take --format srt or vtt")


def _file_of(options: TranscribeSettings) -> Path | None:
    """The one transcript to write, where --out names it."""
    out = options.out
    return out if out is not None and one_file(out) and not names_manifest(out) else None


def _format_of(options: TranscribeSettings) -> Format:
    """The format asked for, or that of the name of the one file to write.

    Raises:
        SecateurError: both, and they differ.
    """
    file = _file_of(options)
    shape = options.format if file is None else cast(Format, file.suffix.lower()[1:])
    if options.format not in ("txt", shape):
        raise SecateurError(f"--format {options.format} is not what --out {file} is called: leave one of them out")
    return shape


def _each(options: TranscribeSettings) -> Json:
    """Every input by itself; those that fail are named on standard error."""
    from ..runtime.recogniser import Recogniser
    from ..runtime.sides import Remarks
    from ..runtime.subtitles import WRITERS

    inputs = find_inputs(options.inputs)
    file = _file_of(options)
    options = replace(options, format=_format_of(options), out=options.out if file is None else file.parent)
    if file is not None and len(inputs) > 1:
        raise SecateurError(f"{len(inputs)} inputs cannot share the file {file}: name a folder with --out")
    names = _out_names(inputs, options) if file is None else {inputs[0]: file.name}
    if options.out is None and len(inputs) > 1 and options.format in TIMED:
        raise SecateurError(f"{len(inputs)} inputs cannot share one {options.format}: give a folder with --out")
    workers = (0 if len(inputs) > 1 else 1) if options.workers is None else options.workers
    recogniser = Recogniser.load(options.model, options.threads, device_for(options), workers=workers)
    decoding = options.how()
    rewrite = rewriter(options.writing, decoding.words)
    files: list[Json] = []
    remarks = Remarks(decoding, options.channel)
    failed: list[dict[str, str]] = []
    paths = {name: None if options.out is None else options.out / names[name] for name in inputs}
    results = _transcribed(recogniser, inputs, decoding, options, rewrite, paths)
    for name, result in track(results, "transcribe", len(inputs), quiet=len(inputs) == 1):
        if isinstance(result, SecateurError):
            problem = str(result) if name in str(result) else f"{name}: {result}"
            if len(inputs) == 1:
                raise SecateurError(problem) from result
            say(f"secateur: {problem}")
            failed.append({"file": name, "problem": problem})
            continue
        files.append({"file": name, **to_dict(result)})
        remarks.add(name, result)
        if options.out is not None:
            path = options.out / names[name]
            write_text(path, WRITERS[options.format](result, options.subtitles))
            for part in path.parent.glob(f"{glob.escape(path.name)}*.part"):
                part.unlink()
    remarks.end()
    written = [] if options.out is None else [str(options.out / names[f["file"]]) for f in files]
    extra = {"subtitles": to_dict(options.subtitles)} if options.format in TIMED else {}
    return {"format": options.format, "files": files, "written": written, "failed": failed, **extra}


def device_for(options: TranscribeSettings) -> str:
    """Where the model decodes: cpu, or a GPU of this machine or, by the name cuda, of the Ray workers'.

    Raises:
        SecateurError: a GPU for an exported model, or none is here.
    """
    from ..runtime.contents import find_model, is_export

    if options.device == "cpu" or (options.device == "auto" and is_export(find_model(options.model))):
        return "cpu"
    if is_export(find_model(options.model)):
        raise SecateurError("--device: exported models run on the CPU; name a checkpoint folder, or leave it out")
    if options.engine == "ray":
        return "cuda" if options.device == "auto" else options.device
    from ..base.device import pick_device

    return str(pick_device(options.device))


def is_bulk(options: TranscribeSettings) -> bool:
    """Whether the work is done in pieces that are saved."""
    to_manifest = names_manifest(options.out)
    return options.engine != "local" or to_manifest or any(w.endswith((".jsonl", ".tar")) for w in options.inputs)


def _bulk(options: TranscribeSettings) -> Json:
    """Transcribe whole sets.

    Raises:
        SecateurError: standard input among the inputs, or no --out.
    """
    from ..runtime.bulk.run import BulkSettings, transcribe_all
    from ..runtime.bulk.worker import TranscribeSpec
    from ..runtime.recogniser import cores

    if options.out is None or _file_of(options) is not None:
        raise SecateurError("sets and --engine ray need --out: a manifest to write (.jsonl), or a folder")
    if "-" in options.inputs:
        raise SecateurError("standard input is transcribed by itself: leave out --engine, and manifests")
    local = 0 if options.workers is None else options.workers
    spec = TranscribeSpec(options.model, options.how(), options.threads, local or cores(), options.writing)
    if options.channel == "split" and names_manifest(options.out):
        raise SecateurError('--channel split writes turns: --out FOLDER, or lines with "channel": 0 and 1 in the input')
    spec = replace(spec, channel=options.channel, device=device_for(options))
    details = options.decoding.word_times or bool(options.decoding.timestamps)
    settings = BulkSettings(format=options.format, details=details, subtitles=options.subtitles)
    workers = 2 if options.workers is None else options.workers  # of a GPU: one reads while the other decodes
    result = transcribe_all(options.inputs, spec, options.out, settings, options.engine, workers)
    return {"bulk": result}


def find_inputs(words: tuple[str, ...]) -> list[str]:
    """Files as given, and every audio file below the folders, sorted.

    Raises:
        SecateurError: a folder without audio files.
    """
    from ..audio.files.kinds import audio_files

    files: list[str] = []
    for word in words:
        files += map(str, audio_files(word)) if Path(word).is_dir() else [word]
    return list(dict.fromkeys(files))


def _out_names(inputs: list[str], options: TranscribeSettings) -> dict[str, str]:
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
            both = f"{other} and {name} would both be written to {options.out / target}"
            raise SecateurError(f"{both}: rename one, or take another --out")
        names[name] = target
    return names


def _transcribed(
    recogniser: Recogniser, inputs: list[str], decoding: DecodingOptions, options: TranscribeSettings,
    rewrite: Rewrite | None, names: Mapping[str, Path | None],
) -> Iterator[tuple[str, Transcript | SecateurError]]:  # fmt: skip
    """Every input with its transcript, or with the error of reading it."""
    waiting: list[Waiting] = []
    for name in inputs:
        try:
            sides = _read(name, options, recogniser.sample_rate)
            read = [(name, side, recogniser.samples(samples)) for side, samples in sides]
        except SecateurError as problem:
            yield name, problem
            continue
        if sum(len(audio) for _, _, audio in read) >= LONG * recogniser.sample_rate:
            yield from _together(recogniser, waiting, decoding, rewrite)
            yield from _together(recogniser, read, decoding, rewrite, names[name])
            waiting = []
            continue
        waiting += read
        if sum(len(audio) for _, _, audio in waiting) >= CHUNK * recogniser.sample_rate:
            yield from _together(recogniser, waiting, decoding, rewrite)
            waiting = []
    yield from _together(recogniser, waiting, decoding, rewrite)


def _together(
    recogniser: Recogniser,
    waiting: list[Waiting],
    decoding: DecodingOptions,
    rewrite: Rewrite | None,
    *parts: Path | None,
) -> Iterator[tuple[str, Transcript]]:
    """Transcripts of inputs decoded together; `parts`: the folder that caches the windows of one long recording."""
    from ..runtime.passages import WindowCache, key_of
    from ..runtime.sides import joined

    audios = [audio for _, _, audio in waiting]
    if not parts:
        decoded = recogniser.transcribe_batch(audios, decoding)
    else:
        decoded = []
        for name, side, audio in waiting:
            path = None if parts[0] is None else parts[0].with_name(f"{parts[0].name}{side and '.' + side}.part")
            cache = WindowCache(
                path, key_of(audio, [recogniser.config, recogniser.generation], decoding), f"transcribe {name}"
            )
            decoded += recogniser.transcribe_batch([audio], decoding, cache)
    transcripts = map(rewrite, decoded) if rewrite else iter(decoded)
    for name, group in itertools.groupby(zip(waiting, transcripts, strict=True), key=lambda pair: pair[0][0]):
        yield name, joined([(side, transcript) for (_, side, _), transcript in group])


def _read(name: str, options: TranscribeSettings, sample_rate: int) -> list[tuple[str, NDArray[np.float32]]]:
    """Samples of a file or of standard input, by the name of their channel."""
    import numpy as np

    from ..runtime.sides import sides_of

    if name != "-":
        return sides_of(name, sample_rate, options.channel)
    data = sys.stdin.buffer.read()
    raw_rate = options.raw_rate
    if raw_rate is None:
        try:
            return sides_of(io.BytesIO(data), sample_rate, options.channel)
        except SecateurError as problem:
            if "not audio in a known format" not in str(problem):
                raise
            raise SecateurError(f"{problem}; raw samples need --raw-rate, in Hz") from problem
    if options.channel not in (None, "mix"):
        raise SecateurError(f"raw samples have one channel: leave out --channel {options.channel}")
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
    if raw_rate == sample_rate:
        return [("", samples)]
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(samples, raw_rate, sample_rate).astype(np.float32)
    return [("", resampled)]
