"""Speech to text in three lines; exported models run without torch.

recogniser = Recogniser.load("exported/model")
print(recogniser.transcribe("clip.wav").text)
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..audio.arrays import as_samples
from ..audio.read import read_audio
from ..base.errors import SecateurError, several
from ..base.plugins import Lazy
from ..base.progress import check_cancelled, in_halves, trim
from ..data.clip import read_clip
from ..data.manifest import Utterance
from ..decode.clips import DecodedAudio
from ..decode.generation import Generation
from ..decode.options import DecodingOptions
from ..decode.segments import Audio, Transcript, confidence
from ..decode.speech import Window
from ..models.family import Member, read_config
from .contents import CONFIG, find_model, is_export, read_contents
from .onnx_session import LoadedGraph
from .passages import WindowCache, decoded, looks_for_speech, plan

if TYPE_CHECKING:
    from ..decode.ctc.beam import BeamDecoder
    from ..models.family import TextCodec
    from ..models.network import Network
    from ..text.units import Inventory

FAINT = 1e-3  # amplitude of a noise that only stands for a recording
BRIEF = DecodingOptions(temperatures=(0.0,), timestamps=False, max_tokens=1)
VOTES = 5  # windows with most speech, by which a recording's language is chosen

LOAD_CHECKPOINT: Lazy[Callable[[Path, int | None, str], Recogniser]] = Lazy(
    "secateur.runtime.checkpoint:load_checkpoint_recogniser"
)

Recording = str | Path | NDArray[np.floating | np.integer] | Utterance


class FrameDecoder(Protocol):
    """A recogniser whose network gives log probabilities of units, frame by frame."""

    text: Inventory

    def samples(self, recording: Recording) -> NDArray[np.float32]:
        """See `Recogniser.samples`."""

    def log_probs(self, audios: Sequence[Audio]) -> list[NDArray[np.float32]]:
        """Log probabilities (frames, units) of each clip."""

    def decoder(self, options: DecodingOptions) -> BeamDecoder:
        """The beam search that `options` ask for."""


class Recogniser(ABC):
    """A network that decodes, and its text codec: what `load` gives for any model.

    `workers` groups of clips run side by side in `transcribe_batch`. `rewrite` is done to every transcript.
    """

    config: Any  # the model's: a `models.family.Config`
    generation = Generation()
    workers = 1
    graphs: Sequence[LoadedGraph] = ()  # of an exported model
    rewrite: Callable[[Transcript], Transcript] | None = None
    shows_words = False  # whether words have times that divide a clip's text into segments

    @staticmethod
    def load(
        model: str | Path | None = None, threads: int | None = None, device: str = "cpu", workers: int = 1
    ) -> Recogniser:
        """A recogniser from an exported folder, a checkpoint folder (needs torch), or a bundled model's name.

        Args:
            model: folder, bundled name, or a checkpoint of the model hub (owner/name, where torch is installed); None:
                the bundled model.
            threads: CPU threads of the network; None: the runtime's own choice, one where several workers share them.
            device: where a checkpoint runs ("auto": a GPU if there is one); exported models run on the CPU.
            workers: groups of clips that an exported model's `transcribe_batch` runs side by side, 0: one a core.
                For many clips this is faster than as many threads.

        Raises:
            SecateurError: no such model, or a file of it is missing or broken.
        """
        folder = find_model(model)
        workers = workers or cores()
        if workers > 1 and threads is None:
            threads = 1
        if not is_export(folder):
            return LOAD_CHECKPOINT()(folder, threads, device)
        contents = read_contents(folder)
        recogniser = exported_of(read_config(folder / CONFIG))(folder, threads)
        recogniser.workers, recogniser.generation = workers, contents.generation
        return recogniser

    def to_bf16(self) -> None:  # noqa: B027
        """Compute in bf16 from now on, where the network can."""

    @property
    def sample_rate(self) -> int:
        """Hz that arrays must have; files are resampled."""
        return int(self.config.front_end.sample_rate)

    @property
    def languages(self) -> list[str]:
        """Codes of the languages that it knows."""
        return []

    @property
    def by_frame(self) -> FrameDecoder:
        """Itself, where its network answers frame by frame (CTC).

        Raises:
            SecateurError: it writes tokens, which have no frames.
        """
        raise SecateurError("this needs a CTC model: this one writes tokens, and has a language model in its decoder")

    @property
    @abstractmethod
    def window_seconds(self) -> float:
        """The longest clip, in seconds, that is decoded in one window."""

    @abstractmethod
    def groups(self, audios: Sequence[Audio], options: DecodingOptions) -> list[list[int]]:
        """Batches of `audios` that are decoded together, by index; each once."""

    @abstractmethod
    def decode_group(self, audios: Sequence[Audio], options: DecodingOptions) -> list[DecodedAudio]:
        """The decoded segments of one batch of clips, samples (n,) at `sample_rate`."""

    @abstractmethod
    def text_of(self, decoded: DecodedAudio) -> str:
        """The text of all segments together."""

    def transcribe(
        self, audio: Recording, options: DecodingOptions | None = None, *, sample_rate: float | None = None,
        language: str | None = None, words: str | Sequence[str] = (), word_times: bool | None = None,
    ) -> Transcript:  # fmt: skip
        """The transcript of one recording: a file, an utterance, or an array of samples (see `audio.arrays`).

        Args:
            options: how it is decoded; the rest is for what is asked most.
            sample_rate: Hz of an array; None: the model's.
            language: of the speech, by code or name; None: as `options` say.
            words: names and terms to expect, after those of `options`.
            word_times: give every word's start, end and confidence.

        Raises:
            SecateurError: audio that cannot be read, or options that the model cannot follow.
        """
        options = options or DecodingOptions()
        if language is not None:
            options = replace(options, language=language)
        if words:
            options = replace(options, words=(*options.words, *([words] if isinstance(words, str) else words)))
        if word_times is not None:
            options = replace(options, word_times=word_times)
        if sample_rate is not None:
            audio = self.samples(audio, sample_rate)
        return self.transcribe_batch([audio], options)[0]

    def transcribe_batch(
        self,
        recordings: Sequence[Recording],
        options: DecodingOptions | None = None,
        cache: WindowCache | None = None,
        plans: Sequence[Sequence[Window]] | None = None,
    ) -> list[Transcript]:
        """Transcripts in the order of `recordings`; short clips run together, with the text they have alone.

        `cache` saves the windows of a single long recording as they are decoded, so that a killed run can resume.
        `plans` are the windows of each, where they were made before (by `runtime.passages.plan`).

        Raises:
            SecateurError: see `transcribe`; files that fail, and what is wrong with them, are named.
        """
        options = self.generation.applied(options or DecodingOptions())
        self.check(options)
        audios = [self.samples(recording) for recording in several("transcribe_batch", recordings)]
        decoded = (
            self._by_windows(audios, options, cache, plans)
            if looks_for_speech(options)
            else self._decoded(audios, options)
        )
        return [self._transcript(audio, one) for audio, one in zip(audios, decoded, strict=True)]

    def give_back(self) -> None:
        """Hand back the memory that a long recording took: the runtime and the C library keep it for the next one."""
        if self.graphs:
            for graph in self.graphs:
                graph.give_back()
            noise = FAINT * np.random.default_rng(0).standard_normal(self.sample_rate // 4)
            self.decode_group([noise.astype(np.float32)], BRIEF)  # a small run, after which onnxruntime lets go
        trim()

    @abstractmethod
    def check(self, options: DecodingOptions) -> None:
        """Refuse what the model cannot do, before anything is decoded.

        Raises:
            SecateurError: a language or task that it does not know, or options of another kind of model.
        """

    def in_turn(self, audio: Audio, options: DecodingOptions) -> bool:
        """Whether a recording is decoded window after window, each of which depends on the one before."""
        return False

    def language_of(self, clips: Sequence[Audio]) -> str | None:
        """The language of most of the speech in `clips`, each at most a window; None: the model tells none apart."""
        return None

    def _by_windows(
        self,
        audios: list[Audio],
        options: DecodingOptions,
        cache: WindowCache | None,
        plans: Sequence[Sequence[Window]] | None = None,
    ) -> list[DecodedAudio]:
        """Every recording, window by window of its speech; its language by vote where it is not known."""
        rate, known = self.sample_rate, options.language or (self.languages[0] if len(self.languages) == 1 else None)
        if plans is None:
            longest, own = round(self.window_seconds * rate), self.generation.window_seconds
            most = [None if self.in_turn(audio, options) else longest for audio in audios]
            plans = plan(audios, most, options, rate, None if own is None else round(own * rate))
        languages = [known or self._vote(audio, windows) for audio, windows in zip(audios, plans, strict=True)]
        by_index: dict[int, DecodedAudio] = {}
        for language in dict.fromkeys(languages):
            rows = [i for i, name in enumerate(languages) if name == language]
            decode = partial(self._divided, options=replace(options, language=options.language or language))
            some = decoded([audios[i] for i in rows], [plans[i] for i in rows], self.generation, rate, decode, cache)
            by_index |= zip(rows, some, strict=True)
        return [
            replace(by_index[i], language=by_index[i].language or (known if self.languages else None))
            for i in range(len(audios))
        ]

    def _vote(self, audio: Audio, windows: Sequence[Window]) -> str | None:
        """The language of a recording, where several windows of it could disagree."""
        most = round(self.window_seconds * self.sample_rate)
        clips = [w.of(audio)[:most] for w in sorted(windows, key=lambda w: -w.speech)[:VOTES] if w.speech]
        return self.language_of(clips) if len(clips) > 1 or any(w.samples > most for w in windows) else None

    def _divided(self, audios: Sequence[Audio], at_pauses: bool, options: DecodingOptions) -> list[DecodedAudio]:
        """As `_decoded`; with `at_pauses`, segments end there: their words are timed, and left out if not asked for."""
        if not at_pauses or options.word_times or not self.shows_words:
            return self._decoded(audios, options)
        return [
            replace(one, segments=tuple(replace(segment, words=()) for segment in one.segments))
            for one in self._decoded(audios, replace(options, word_times=True))
        ]

    def _decoded(self, audios: Sequence[Audio], options: DecodingOptions) -> list[DecodedAudio]:
        """The decoded segments of each of `audios`, batched by similar length."""
        by_index: dict[int, DecodedAudio] = {}
        groups = self.groups(audios, options)
        for rows, group in zip(groups, self._side_by_side(groups, audios, options), strict=True):
            by_index |= zip(rows, group, strict=True)
        return [by_index[i] for i in range(len(audios))]

    def samples(self, recording: Recording, sample_rate: float | None = None) -> NDArray[np.float32]:
        """The samples of a file, an utterance or an array (at `sample_rate`, None: the model's) at the model's rate.

        Raises:
            SecateurError: audio that cannot be read, an array that is none (see `audio.arrays`), or a rate for a file.
        """
        if sample_rate is not None and isinstance(recording, str | Path | Utterance):
            raise SecateurError("a file has a rate of its own: sample_rate is for arrays")
        if isinstance(recording, str | Path):
            return read_audio(recording, self.sample_rate)
        if isinstance(recording, Utterance):
            return read_clip(recording, self.sample_rate)
        return as_samples(recording, self.sample_rate, sample_rate)

    def _side_by_side(
        self, groups: list[list[int]], audios: Sequence[Audio], options: DecodingOptions
    ) -> Iterator[list[DecodedAudio]]:
        """The results of every batch, in order."""

        def one(rows: list[int]) -> list[DecodedAudio]:
            check_cancelled()
            return in_halves(lambda part: self.decode_group([audios[i] for i in part], options), rows, "recognition")

        if min(self.workers, len(groups)) < 2:
            yield from map(one, groups)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            yield from pool.map(one, groups)

    def _transcript(self, audio: NDArray[np.float32], decoded: DecodedAudio) -> Transcript:
        sure = confidence([p for s in decoded.segments for p in s.log_probs]) if decoded.segments else None
        seconds = round(len(audio) / self.sample_rate, 3)
        transcript = Transcript(self.text_of(decoded), decoded.language, decoded.segments, seconds, sure)
        return transcript if self.rewrite is None else self.rewrite(transcript)


exported_of = Member[Callable[[Path, int | None], Recogniser]]("runtime").of
recogniser_of = Member[Callable[["Network", "TextCodec"], Recogniser]]("recogniser").of


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
