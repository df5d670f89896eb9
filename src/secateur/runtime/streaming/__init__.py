"""Streaming recognition: partial and final results while someone speaks; a pause ends an utterance.

stream = open_stream(Recogniser.load(), StreamOptions())
for samples in microphone:                # float32, one channel, any length, at stream.sample_rate
    for event in stream.feed(samples):
        print(event.kind, event.text, event.delay)
print(stream.finish(), stream.report())
"""

from __future__ import annotations

from collections.abc import Callable

from ...models.family import Member
from ..recogniser import Recogniser
from ..vad import detector
from .events import StreamEvent, StreamOptions
from .stream import Endpointer, Stream, StreamDecoder

__all__ = ["Stream", "StreamEvent", "StreamOptions", "open_stream"]


stream_decoder_of = Member[Callable[[Recogniser, StreamOptions], StreamDecoder]]("stream_decoder").of


def open_stream(recogniser: Recogniser, options: StreamOptions | None = None) -> Stream:
    """A stream that `recogniser` listens to; several streams may share it.

    Raises:
        SecateurError: options that contradict each other or the model, a voice detector that is not installed.
    """
    options = options or StreamOptions()
    decoder = stream_decoder_of(recogniser.config)(recogniser, options)
    speech = detector(options.detector, recogniser.sample_rate)
    return Stream(decoder, Endpointer(speech, options, recogniser.sample_rate), options, recogniser.sample_rate)
