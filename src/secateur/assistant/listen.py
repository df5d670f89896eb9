"""Commands from a microphone or a long recording: cut where somebody pauses; a wake phrase before them."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ..base.errors import SecateurError
from ..base.extras import require
from ..decode.options import DecodingOptions
from ..decode.segments import Audio
from ..runtime.recogniser import Recogniser
from ..runtime.streaming import StreamOptions
from ..runtime.streaming.stream import Endpointer
from ..runtime.vad import detector
from .grammar.words import words_of
from .phrases.distance import distance

BEFORE = 0.3  # seconds kept from before the speech
LONGEST = 15.0  # seconds of one command
AWAKE = 10.0  # seconds that a command may come after the wake phrase
MARGIN = 0.1  # seconds before the first word of a command that is cut out
LIKE = 0.34  # letters that a wake phrase may differ in, a letter


def commands(blocks: Iterable[Audio], rate: int) -> Iterator[Audio]:
    """One array (samples,) for every stretch of speech in `blocks`; a stretch ends at a pause."""
    options = StreamOptions(longest=LONGEST)
    vad = detector(options.detector, rate)
    ends = Endpointer(vad, options, rate)
    kept = np.zeros(0, np.float32)  # what may belong to a command
    looked = first = 0  # samples that the endpointer has taken; number of the first that is kept
    start: int | None = None
    for block in blocks:
        kept = np.concatenate([kept, block])
        while first + len(kept) - looked >= vad.size:
            began = ends.block(kept[looked - first : looked - first + vad.size], looked)
            looked += vad.size
            if start is None and began is not None:
                start = max(first, began - round(BEFORE * rate))
            elif start is not None and (not ends.speaking or looked - start >= LONGEST * rate):
                yield kept[start - first : looked - first]
                kept, first, start = kept[looked - first :], looked, None
        if start is None and len(kept) > 2 * rate:
            drop = looked - first - rate
            kept, first = kept[drop:], first + drop
    if start is not None:
        yield kept[start - first :]


def blocks_of(samples: Audio, rate: int) -> Iterator[Audio]:
    """A recording in blocks of a tenth of a second, as a microphone gives them."""
    for at in range(0, len(samples), rate // 10):
        yield samples[at : at + rate // 10]


def microphone(rate: int) -> Iterator[Audio]:
    """Blocks from the default microphone, until interrupted.

    Raises:
        SecateurError: there is none, or `sounddevice` is not installed.
    """
    sound = require("sounddevice", "assistant")
    waiting: queue.Queue[Audio] = queue.Queue()

    def take(data: Audio, *_: object) -> None:
        waiting.put(data[:, 0].copy())

    try:
        with sound.InputStream(rate, rate // 10, channels=1, dtype="float32", callback=take):
            while True:
                yield waiting.get()
    except sound.PortAudioError as problem:
        raise SecateurError(f"no microphone ({problem}): name a recording instead") from problem


def woken(text: str, phrase: str) -> str | None:
    """What follows the wake phrase in `text`, or None when it does not begin with it.

    >>> woken("hey secateurs what time is it", "hey secateur")
    'what time is it'
    """
    words, wanted = ([word for word in words_of(part) if word != "?"] for part in (text, phrase))
    for length in (len(wanted), len(wanted) + 1, len(wanted) - 1):
        begin = "".join(words[:length])
        if length > 0 and begin and distance(begin, "".join(wanted)) <= LIKE * len("".join(wanted)):
            return " ".join(words[length:])
    return None


class Wake:
    """Lets through what follows the wake phrase: in the same breath, or next, within `AWAKE` seconds."""

    def __init__(self, phrase: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.phrase, self.clock = phrase, clock
        self._until = -1.0

    def follow(self, recogniser: Recogniser, samples: Audio) -> Audio | None:
        """The samples of the command in `samples` (n,), or None: the phrase alone, or nothing for us."""
        options = DecodingOptions(word_times=True, timestamps=False, temperatures=(0.0,))
        result = recogniser.transcribe(samples, options)
        rest = woken(result.text, self.phrase)
        if rest is None:
            awake, self._until = self.clock() < self._until, -1.0
            return samples if awake and result.text else None
        if not rest:
            self._until = self.clock() + AWAKE
            return None
        self._until = -1.0
        count, start = len(rest.split()), 0.0
        for word in reversed(result.words):
            count -= len(words_of(word.text))
            start = word.start
            if count <= 0:
                break
        return samples[max(0, round((start - MARGIN) * recogniser.sample_rate)) :]
