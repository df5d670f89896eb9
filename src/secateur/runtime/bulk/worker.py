"""The work of one worker: its model transcribes the clips of a piece; what fails becomes a "problem" of its clip."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from ...base.cancel import CancelledWorkError
from ...base.errors import SecateurError
from ...base.files import Json
from ...base.options import to_dict
from ...base.progress import say
from ...decode.options import DecodingOptions
from ..recogniser import Recogniser, cores
from ..sides import Sides, joined
from ..writing import WritingSettings, rewriter
from .clips import Piece
from .reading import Readers, ReadPlan, ReadSide

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
