"""Streaming CTC models, chunk by chunk: each chunk is computed once, and the network's state is carried on."""

from __future__ import annotations

from ...decode.segments import Audio
from ...decode.session import Floats
from ...features.extract import extract
from ...features.frames import DELTA_CONTEXT
from ..cached_network import CachedNetwork
from ..ctc_recogniser import CtcRecogniser


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
