"""The work of one worker: its model transcribes the clips of a piece; what fails becomes a "problem" of its clip.

With a GPU, clips are read and their speech is found in processes of their own, so that this one only decodes.
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace

from ...base.errors import SecateurError
from ...base.files import Json
from ...base.options import to_dict
from ...base.progress import CancelledWorkError, say
from ...data.manifest import Utterance
from ...decode.options import DecodingOptions
from ...decode.segments import Audio
from ...decode.speech import Window
from ..passages import looks_for_speech, plan
from ..recogniser import Recogniser, cores
from ..sides import Sides, joined, sides_of
from ..writing import WritingSettings, rewriter
from .clips import Piece

CLIPS, SECONDS = 16, 120.0  # read in one go, in one process, at most
GUESS = 10.0  # seconds of a clip whose duration nobody knows


@dataclass(frozen=True)
class ReadSide:
    """One channel of a clip: its name, samples, and windows of speech (None: whoever decodes it finds them)."""

    name: str
    samples: Audio
    windows: list[Window] | None


@dataclass(frozen=True)
class ReadPlan:
    """How clips are read: rate, channels, and the longest windows (samples); 0: windows are not made."""

    sample_rate: int
    channel: Sides | None
    options: DecodingOptions
    longest: int
    preferred: int | None


def read(clips: Sequence[Utterance], how: ReadPlan) -> list[list[ReadSide] | str]:
    """The channels of each clip, or what is wrong with it."""
    answers: list[list[ReadSide] | str] = []
    for clip in clips:
        try:
            sides = sides_of(clip, how.sample_rate, how.channel)
        except SecateurError as problem:
            answers.append(reason(clip, problem))
            continue
        audios = [samples for _, samples in sides]
        plans: Sequence[list[Window] | None] = [None] * len(audios)
        if how.longest and looks_for_speech(how.options):
            plans = plan(audios, [how.longest] * len(audios), how.options, how.sample_rate, how.preferred)
        answers.append([ReadSide(name, samples, p) for (name, samples), p in zip(sides, plans, strict=True)])
    return answers


def reason(clip: Utterance, problem: SecateurError) -> str:
    """What is wrong with a clip, without its name."""
    return str(problem).removeprefix(f"{clip.audio}: ")


def parts_of(clips: Sequence[Utterance]) -> list[list[Utterance]]:
    """`clips` in parts of up to `CLIPS` and about `SECONDS`: a long recording is a part of its own."""
    parts: list[list[Utterance]] = []
    left = 0.0
    for clip in clips:
        seconds = clip.duration or GUESS
        if not parts or len(parts[-1]) == CLIPS or seconds > left:
            parts.append([])
            left = SECONDS
        parts[-1].append(clip)
        left -= seconds
    return parts


class Readers:
    """`count` processes that read; none with 0: then clips are read when they are asked for."""

    def __init__(self, how: ReadPlan, count: int) -> None:
        self.how = how
        # Not forked: a process with a GPU, or with threads, cannot be.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context) if count else None

    def begin(self, clips: Sequence[Utterance]) -> list[Future[list[list[ReadSide] | str]]]:
        """Begin to read `clips`; the parts in order."""
        parts = parts_of(clips)
        if self._pool is not None:
            return [self._pool.submit(read, part, self.how) for part in parts]
        futures: list[Future[list[list[ReadSide] | str]]] = []
        for part in parts:
            futures.append(Future())
            futures[-1].set_result(read(part, self.how))
        return futures

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


Rows = list[Json]  # a clip's id with its transcript, or with its "problem"
Numbered = tuple[int, ReadSide]  # of a piece's clips, by their place


@dataclass(frozen=True)
class TranscribeSpec:
    """Everything a worker needs; it may be on another machine that sees the same files."""

    model: str | None
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    threads: int | None = None
    workers: int = 1  # groups of clips side by side
    writing: WritingSettings = field(default_factory=WritingSettings)
    channel: Sides | None = None  # None: mixed, or the louder one where channels cancel each other
    device: str = "cpu"
    readers: int | None = None  # processes that read audio; None: none on a CPU, beside a GPU a few

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU decodes."""
        return self.device != "cpu"


class PieceWorker:
    """A model that transcribes pieces; the next ones can be read meanwhile.

    Raises:
        SecateurError: it cannot be loaded, or cannot follow the decoding options.
    """

    def __init__(self, spec: TranscribeSpec) -> None:
        self.spec = spec
        self.recogniser = Recogniser.load(spec.model, spec.threads, spec.device, workers=spec.workers)
        self.rewrite = rewriter(spec.writing, spec.decoding.words)
        self.recogniser.check(self.recogniser.generation.applied(spec.decoding))
        rate, options = self.recogniser.sample_rate, spec.decoding
        own = self.recogniser.generation.window_seconds
        by_windows = not options.timestamps and not options.condition_on_previous
        how = ReadPlan(
            rate,
            spec.channel,
            options,
            round(self.recogniser.window_seconds * rate) if by_windows else 0,
            None if own is None else round(own * rate),
        )
        count = spec.readers if spec.readers is not None else max(1, cores() - 2) if spec.on_gpu else 0
        self.readers = Readers(how, count)

    def __call__(self, piece: Piece) -> Rows:
        """Every clip's row."""
        return self.finish(piece, self.begin(piece))

    def begin(self, piece: Piece) -> list[Future[list[list[ReadSide] | str]]]:
        """Begin to read a piece."""
        return self.readers.begin(piece.clips)

    def finish(self, piece: Piece, reading: Sequence[Future[list[list[ReadSide] | str]]]) -> Rows:
        """Every clip's row, of a piece that is being read."""
        rows: dict[int, Json] = {}
        read: dict[str | None, list[Numbered]] = {}
        answers = itertools.chain.from_iterable(future.result() for future in reading)
        for number, (clip, answer) in enumerate(zip(piece.clips, answers, strict=True)):
            if isinstance(answer, str):
                rows[number] = {"id": clip.id, "problem": answer}
                continue
            group = read.setdefault(self.spec.decoding.language or clip.language or None, [])
            group += [(number, side) for side in answer]
        for language, clips in read.items():
            rows |= self._whole_or_each(piece, clips, language)
        return [rows[number] for number in range(len(piece.clips))]

    def close(self) -> None:
        """End the processes that read."""
        self.readers.close()

    def _whole_or_each(self, piece: Piece, clips: list[Numbered], language: str | None) -> dict[int, Json]:
        """The rows of clips of one language; where together they fail, each by itself, so that one fails alone."""
        try:
            return self._transcribed(piece, clips, language)
        except CancelledWorkError:
            raise
        except Exception as problem:
            numbers = list(dict.fromkeys(number for number, _ in clips))
            if len(numbers) == 1:
                text = str(problem) if isinstance(problem, SecateurError) else f"{type(problem).__name__}: {problem}"
                return {numbers[0]: {"id": piece.clips[numbers[0]].id, "problem": text}}
            say(f"transcribing: {len(numbers)} clips failed together; each is tried by itself")
        rows: dict[int, Json] = {}
        for number in numbers:
            rows |= self._whole_or_each(piece, [one for one in clips if one[0] == number], language)
        return rows

    def _transcribed(self, piece: Piece, clips: list[Numbered], language: str | None) -> dict[int, Json]:
        options = replace(self.spec.decoding, language=language)
        windows = [side.windows for _, side in clips]
        plans = [w for w in windows if w is not None] if None not in windows else None
        decoded = self.recogniser.transcribe_batch([side.samples for _, side in clips], options, plans=plans)
        transcripts = map(self.rewrite, decoded) if self.rewrite else iter(decoded)
        rows: dict[int, Json] = {}
        for number, one in itertools.groupby(zip(clips, transcripts, strict=True), key=lambda pair: pair[0][0]):
            whole = joined([(side.name, transcript) for (_, side), transcript in one])
            rows[number] = {"id": piece.clips[number].id, **to_dict(whole)}
        return rows


def make_worker(spec: TranscribeSpec) -> Callable[[Piece], Rows]:
    """Load the model.

    Raises:
        SecateurError: see `PieceWorker`.
    """
    return PieceWorker(spec)
