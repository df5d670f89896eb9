"""CTC models, chunk by chunk: the same windows whether the audio is all there or still arriving, so the same output.

A streaming network (`streaming` in its config) carries its state from chunk to chunk and computes nothing twice
(`cached`). Any other one computes `left + chunk + right` seconds, of which the chunk in the middle counts. A network
whose receptive field is within that (Inception, subsampling, without normalisation over the clip) gives the output of
the whole clip; one with unlimited context (recurrent, Conformer, or normalised over the clip) gives that of the window,
and computes its context again each time: its output depends on the clip's end, so that nothing can be cached.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ...decode.alignment import spaced
from ...decode.ctc.words import decode_frames
from ...decode.segments import Audio
from ...decode.session import Floats
from ...features.filterbank import DELTA_CONTEXT
from ...features.front_end import extract
from ...models.family import FrameConfig, family_of
from ..ctc_recogniser import CachedNetwork, CtcRecogniser
from .events import StreamOptions
from .stream import StreamResult

LEFT, RIGHT = 2.56, 0.32  # seconds to either side of a chunk for a network with unlimited context


def receptive_field(config: FrameConfig) -> int | None:
    """Frames of features on either side that an output depends on; None: unlimited."""
    return family_of(config).receptive_field(config)


class Chunks:
    """Cuts audio into windows that start on a frame of the output."""

    def __init__(self, recogniser: CtcRecogniser, options: StreamOptions) -> None:
        self._recogniser = recogniser
        self.frame = round(recogniser.frame_seconds * recogniser.sample_rate)  # samples of an output frame

        def frames(seconds: float) -> int:
            return round(seconds / recogniser.frame_seconds)

        # The last frames of features need samples that lie beyond them.
        least = -(-(recogniser.config.front_end.window - recogniser.config.front_end.hop) // self.frame)
        field = receptive_field(recogniser.config)
        sides = (LEFT, RIGHT) if field is None else (field * recogniser.config.front_end.frame_ms / 1000,) * 2
        given = (options.left, options.right)
        left, right = (own if one is None else one for own, one in zip(sides, given, strict=True))
        self.chunk = max(1, frames(options.chunk))
        self.left = math.ceil(left / recogniser.frame_seconds - 1e-9)
        self.right = max(math.ceil(right / recogniser.frame_seconds - 1e-9), 0) + least

    def start(self) -> None:
        """Nothing to do: every window is computed by itself."""

    def ready(self, samples: int, done: int, ended: bool) -> bool:
        """Whether the next chunk after `done` frames can be computed when `samples` have arrived."""
        return done * self.frame < samples if ended else (done + self.chunk + self.right) * self.frame <= samples

    def log_probs(self, audio: Audio, done: int) -> Floats:
        """Log probabilities (frames, units) of the chunk that begins at frame `done`."""
        start = max(0, done - self.left)
        window = audio[start * self.frame : (done + self.chunk + self.right) * self.frame]
        around = self._recogniser.log_probs([window])[0]
        return around[done - start : done - start + self.chunk]

    def all(self, audio: Audio) -> Floats:
        """Log probabilities (frames, units) of a whole clip, chunk by chunk."""
        return np.concatenate([*pieces(self, audio), np.zeros((0, self._recogniser.config.units), np.float32)])


def pieces(chunks: Chunks | CachedChunks, audio: Audio) -> Iterator[Floats]:
    """Log probabilities (frames, units) of each chunk of a whole clip."""
    chunks.start()
    done = 0
    while chunks.ready(len(audio), done, ended=True):
        yield chunks.log_probs(audio, done)
        done += chunks.chunk


def chunks_of(recogniser: CtcRecogniser, options: StreamOptions) -> Chunks | CachedChunks:
    """With the network's state where it has one, whose chunks are then its own; else as `options` say."""
    streaming = getattr(recogniser.config, "streaming", None)
    if recogniser.cached is None or streaming is None:
        return Chunks(recogniser, options)
    return CachedChunks(recogniser, recogniser.cached, streaming.chunk)


class CtcStreamDecoder:
    """Computes every chunk once; its words are final, except the last one, which may continue."""

    def __init__(self, recogniser: CtcRecogniser, options: StreamOptions) -> None:
        self._recogniser, self._chunks = recogniser, chunks_of(recogniser, options)
        self.joiner = " " if spaced(recogniser.language) else ""
        self.start()

    def start(self) -> None:
        """See `StreamDecoder`."""
        self._chunks.start()
        self._log_probs: list[Floats] = []
        self._done = 0

    def partial(self, samples: Audio) -> StreamResult | None:
        """See `StreamDecoder`."""
        return self._result(samples, ended=False) if self._advance(samples, ended=False) else None

    def final(self, samples: Audio) -> StreamResult:
        """See `StreamDecoder`."""
        self._advance(samples, ended=True)
        return self._result(samples, ended=True)

    def log_probs(self) -> Floats:
        """Those of the utterance so far (frames, units)."""
        return np.concatenate([*self._log_probs, np.zeros((0, self._recogniser.config.units), np.float32)])

    def _advance(self, samples: Audio, ended: bool) -> bool:
        """Compute every chunk that has arrived; whether there was one."""
        before = self._done
        while self._chunks.ready(len(samples), self._done, ended):
            self._log_probs.append(self._chunks.log_probs(samples, self._done))
            self._done += self._chunks.chunk
        return self._done > before

    def _result(self, samples: Audio, ended: bool) -> StreamResult:
        r = self._recogniser
        seconds = len(samples) / r.sample_rate
        segment = decode_frames(self.log_probs(), r.text, seconds, r.frame_seconds, r.language, word_times=True)
        words = () if segment is None else segment.words
        return StreamResult(words, len(words) if ended else max(0, len(words) - 1))


class CachedChunks:
    """Log probabilities of the chunks of one clip, in order; has the interface of `Chunks`.

    All chunks together equal the whole clip: features are those of the clip (a chunk's own frames, computed with the
    samples around them), and the network carries its state.
    """

    def __init__(self, recogniser: CtcRecogniser, network: CachedNetwork, chunk: int) -> None:
        self.chunk, self._network, self._front_end = chunk, network, recogniser.config.front_end
        self._shorter = recogniser.config.subsampled  # frames of features to one of the output
        self.frame = self._shorter * self._front_end.hop
        # Frames of features that lie, or look with their deltas, over a border.
        self._over = -(-self._front_end.window // self._front_end.hop) + DELTA_CONTEXT * self._front_end.deltas
        self.start()

    def start(self) -> None:
        """Reset the states: a new clip begins."""
        self._state = self._network.begin()

    def ready(self, samples: int, done: int, ended: bool) -> bool:
        """Whether the next chunk after `done` frames can be computed when `samples` have arrived."""
        if ended:
            return done * self._shorter < self._front_end.frames(samples)
        return ((done + self.chunk) * self._shorter + self._over) * self._front_end.hop <= samples

    def log_probs(self, audio: Audio, done: int) -> Floats:
        """Log probabilities (frames, units) of the chunk that begins at frame `done`, the next one."""
        hop, first = self._front_end.hop, done * self._shorter
        last = (done + self.chunk) * self._shorter
        start = max(0, first - self._over)
        around = extract(audio[start * hop : (last + self._over) * hop], self._front_end)
        log_probs_of_chunk, self._state = self._network.run(around[first - start : last - start], self._state)
        return log_probs_of_chunk
