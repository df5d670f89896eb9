"""Where utterances begin and end: a detector gives the probability of speech, pauses separate."""

from __future__ import annotations

from ...decode.segments import Audio
from ..vad import Detector
from .events import StreamOptions

RELEASE = 0.15  # below the threshold by so much, speech has stopped (silero's own hysteresis)
SHORTEST = 0.1  # seconds of speech that make an utterance


class Endpointer:
    """Detects, block after block, where speech begins and where a pause has ended it."""

    def __init__(self, detector: Detector, options: StreamOptions, sample_rate: int) -> None:
        self.detector, self.threshold = detector, options.threshold
        self._pause, self._least = options.pause * sample_rate, SHORTEST * sample_rate
        self.speaking = False
        self._began: int | None = None  # first sample of what may become speech
        self.spoken = 0  # the sample after the last speech

    def block(self, samples: Audio, at: int) -> int | None:
        """Process one block that begins at sample `at`; returns the sample at which speech began, once that is certain.

        `speaking` turns false after a pause; `spoken` is where speech ended.
        """
        probability = self.detector(samples)
        if probability >= self.threshold or (self.speaking and probability >= self.threshold - RELEASE):
            self.spoken = at + len(samples)
            if not self.speaking:
                self._began = at if self._began is None else self._began
                if self.spoken - self._began >= self._least:
                    self.speaking, began, self._began = True, self._began, None
                    return began
        else:
            self._began = None
            if self.speaking and at + len(samples) - self.spoken >= self._pause:
                self.speaking = False
        return None
