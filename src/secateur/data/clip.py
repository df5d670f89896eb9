"""The samples of an utterance: its whole recording, or the part that `offset`, `duration` and `channel` select."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..audio.read import Channel, audio_info, read_audio
from .manifest import Utterance


def read_clip(utterance: Utterance, sample_rate: int = 16000) -> NDArray[np.float32]:
    """Samples (samples,) in [-1, 1] at `sample_rate` Hz.

    Raises:
        SecateurError: see `audio.read.read_audio`; also for a part that the recording does not hold.
    """
    channel: Channel = "auto" if utterance.channel is None else utterance.channel
    if utterance.offset is None:
        return read_audio(utterance.audio, sample_rate, channel=channel)
    return read_audio(utterance.audio, sample_rate, start=utterance.offset, seconds=utterance.duration, channel=channel)


def flac_of(utterance: Utterance) -> bytes:
    """Its samples at the recording's own rate as a FLAC file, 16 bits: for who wants each clip as a file.

    Raises:
        SecateurError: see `read_clip`.
    """
    rate = audio_info(utterance.audio).sample_rate
    file = io.BytesIO()
    soundfile.write(file, read_clip(utterance, rate), rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()
