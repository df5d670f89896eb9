"""A CTC model as a recogniser: greedy or with language models, every word's time from the frames that wrote it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..base.errors import SecateurError
from ..base.progress import check_cancelled
from ..decode.clips import SPREAD, DecodedAudio, audible
from ..decode.ctc.beam import BeamDecoder, BeamOptions
from ..decode.ctc.words import decode_frames
from ..decode.options import DecodingOptions
from ..decode.segments import Audio, Segment, moved, quiet_cuts
from ..decode.session import Floats, Ints
from ..features.front_end import extract
from ..lm.ngram import LanguageModel
from ..lm.tables import read_models
from ..lm.word_tree import WordTree, make_lexicon
from ..models.family import FrameConfig, family_of, read_config
from .contents import CONFIG, FRAMES_BEFORE, NETWORK, NEXT, PAST, STREAM, UNITS, read_contents
from .onnx_session import load_graph, load_session
from .recogniser import Recogniser

if TYPE_CHECKING:
    from ..text.units import Inventory

State = dict[str, np.ndarray[Any, Any]]


WINDOW = 30.0  # seconds; longer recordings are cut at quiet places
TOGETHER = 16  # clips
# (features (batch, frames, inputs), frames (batch,)) -> log probabilities (batch, shorter, units), real ones (batch,)
LogProbs = Callable[[Floats, Ints], tuple[Floats, Ints]]


class CachedNetwork:
    """Runs `stream.onnx`. States are values: a run gives a new one and leaves the old one usable.

    Raises:
        SecateurError: a broken file.
    """

    def __init__(self, path: Path, threads: int | None) -> None:
        self._graph = load_session(path, threads)
        inputs = {value.name: value.shape for value in self._graph.get_inputs()}
        self._shapes = {name: shape for name, shape in inputs.items() if name.startswith(PAST)}
        self._counts = FRAMES_BEFORE in inputs
        self._outputs = ["log_probs", *(NEXT + name.removeprefix(PAST) for name in self._shapes)]

    def begin(self) -> State:
        """The state before the first chunk."""
        state: State = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}
        return {**state, FRAMES_BEFORE: np.zeros(1, np.int64)} if self._counts else state

    def run(self, features: Floats, state: State) -> tuple[Floats, State]:
        """Log probabilities (shorter, units) of a chunk's `features` (frames, inputs), and the state after it."""
        log_probs, *states = self._graph.run(self._outputs, {"features": features[None], **state})
        state_after: State = dict(zip(self._shapes, states, strict=True))
        if self._counts:
            state_after[FRAMES_BEFORE] = state[FRAMES_BEFORE] + log_probs.shape[1]
        return log_probs[0], state_after


class CtcRecogniser(Recogniser):
    """A network that gives log probabilities of units, and its text codec; `cached`: the same, chunk by chunk."""

    config: FrameConfig

    def __init__(
        self, config: FrameConfig, text: Inventory, network: LogProbs, cached: CachedNetwork | None = None
    ) -> None:
        self.config, self.text, self.network, self.cached = config, text, network, cached
        self._lock = threading.Lock()  # workers share what is read
        self._lm: tuple[tuple[tuple[Path, ...], tuple[float, ...]], LanguageModel, WordTree] | None = None

    @property
    def window_seconds(self) -> float:
        """See `Recogniser.window_seconds`."""
        return min(WINDOW, self.config.max_seconds)

    @property
    def language(self) -> str | None:
        """The language of its training texts."""
        code: str | None = getattr(self.text, "language", None)
        return code

    @property
    def languages(self) -> list[str]:
        """See `Recogniser.languages`."""
        return [self.language] if self.language else []

    @property
    def by_frame(self) -> CtcRecogniser:
        """See `Recogniser.by_frame`."""
        return self

    @property
    def frame_seconds(self) -> float:
        """From one frame of the output to the next."""
        return self.config.subsampled * self.config.front_end.hop / self.sample_rate

    def groups(self, audios: Sequence[Audio], options: DecodingOptions) -> list[list[int]]:
        """Clips of similar length together; each that needs cutting alone."""
        rows: list[list[int]] = []
        for i in sorted(range(len(audios)), key=lambda i: len(audios[i])):
            shortest = len(audios[rows[-1][0]]) if rows else 0
            alike = rows and len(audios[i]) <= min(SPREAD * shortest, self.window_seconds * self.sample_rate)
            if alike and len(rows[-1]) < TOGETHER:
                rows[-1].append(i)
            else:
                rows.append([i])
        return rows

    def check(self, options: DecodingOptions) -> None:
        """See `Recogniser.check`."""
        if options.task != "transcribe":
            raise SecateurError("this model does not translate: it writes the words of the language it knows")

    def decode_group(self, audios: Sequence[Audio], options: DecodingOptions) -> list[DecodedAudio]:
        """See `Recogniser.decode_group`."""
        if len(audios) == 1 and len(audios[0]) > self.window_seconds * self.sample_rate:
            return [self._long(audios[0], options)]
        results = [DecodedAudio((), self.language)] * len(audios)
        loud = [i for i, audio in enumerate(audios) if audible(audio)]
        outputs = self.log_probs([audios[i] for i in loud])
        texts = self.decoder(options).many(outputs) if options.lm else [None] * len(loud)
        for i, log_probs, hypothesis in zip(loud, outputs, texts, strict=True):
            segment = self.segment(log_probs, len(audios[i]) / self.sample_rate, options, hypothesis)
            if segment is not None:
                results[i] = DecodedAudio((segment,), self.language)
        return results

    def log_probs(self, audios: Sequence[Audio]) -> list[Floats]:
        """Log probabilities (frames, units) of each clip; none for one that is too short for a frame."""
        check_cancelled()
        features = [extract(audio, self.config.front_end) for audio in audios]
        frames = np.array([len(one) for one in features], np.int64)
        if not len(frames) or not frames.max():
            return [np.zeros((0, self.config.units), np.float32)] * len(audios)
        table = np.zeros((len(features), int(frames.max()), features[0].shape[1]), np.float32)
        for row, one in zip(table, features, strict=True):
            row[: len(one)] = one
        outputs, counts = self.network(table, frames)
        return [output[:count] for output, count in zip(outputs, counts.tolist(), strict=True)]

    def segment(
        self, log_probs: Floats, seconds: float, options: DecodingOptions, hypothesis: str | None = None
    ) -> Segment | None:
        """`log_probs` (frames, units) decoded as one segment; None: no text. `hypothesis` is the beam search's text."""
        if options.lm and hypothesis is None:
            hypothesis = self.decoder(options)(log_probs)
        result = decode_frames(
            log_probs, self.text, seconds, self.frame_seconds, self.language, options.word_times, hypothesis
        )
        least = options.unlikely_threshold
        return result if result is None or least is None or result.avg_logprob >= least else None

    def decoder(self, options: DecodingOptions) -> BeamDecoder:
        """The beam search that `options` ask for; models and words are read once.

        Raises:
            SecateurError: a language model that cannot be read, or whose words the units cannot spell.
        """
        usual = BeamOptions()
        weights = BeamOptions(
            options.beam if options.beam > 1 else usual.beam,
            usual.lm_weight if options.lm_weight is None else options.lm_weight,
            usual.word_bonus if options.word_bonus is None else options.word_bonus,
            options.blank_penalty,
            options.unknown,
        )
        with self._lock:
            key = (options.lm, options.lm_shares)
            if self._lm is None or self._lm[0] != key:
                model = read_models(*key)
                self._lm = (key, model, make_lexicon(self.text, model.words, model.unigrams.tolist()))
                self._decoders: dict[BeamOptions, BeamDecoder] = {}
            if weights not in self._decoders:
                self._decoders[weights] = BeamDecoder(self.text, self._lm[1], weights, self._lm[2])
            return self._decoders[weights]

    def text_of(self, decoded: DecodedAudio) -> str:
        """See `Recogniser.text_of`."""
        return " ".join(segment.text for segment in decoded.segments)

    def _long(self, audio: Audio, options: DecodingOptions) -> DecodedAudio:
        """A recording longer than a window, cut where it is quiet and decoded piece by piece."""
        rate, segments = self.sample_rate, []
        for start, end in quiet_cuts(audio, int(self.window_seconds * rate), rate):
            segments += [moved(s, start / rate) for s in self.decode_group([audio[start:end]], options)[0].segments]
        return DecodedAudio(tuple(segments), self.language)


def from_export(folder: Path, threads: int | None) -> CtcRecogniser:
    """A recogniser of an exported folder.

    Raises:
        SecateurError: a missing or broken file.
    """
    read_contents(folder)
    config: FrameConfig = read_config(folder / CONFIG)
    if not family_of(config).by_frame:
        raise SecateurError(f"{folder / CONFIG}: a CTC model was expected here, not one of family '{config.family}'")
    graph = load_graph(folder / NETWORK, threads, {"features", "frames"})

    def run(features: Floats, frames: Ints) -> tuple[Floats, Ints]:
        log_probs, counts = graph.run(None, {"features": features, "frames": frames})
        return log_probs, counts

    cached = CachedNetwork(folder / STREAM, threads) if (folder / STREAM).exists() else None
    units = cast("Inventory", family_of(config).read_text(folder / UNITS, config))  # as all families by frame read them
    recogniser = CtcRecogniser(config, units, run, cached)
    recogniser.graphs = (graph,)
    return recogniser
