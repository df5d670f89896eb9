"""A recording's channels, each transcribed by itself: calls with a speaker a side, as one conversation with turns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ..audio.arrays import SILENCE_DB, hold_different_speech, peak_db, side_name
from ..audio.read import Source, audio_info, read_audio, read_channels
from ..base.errors import SecateurError
from ..base.progress import say
from ..data.clip import read_clip
from ..data.manifest import Utterance
from ..decode.options import DecodingOptions
from ..decode.segments import Audio, Transcript, confidence

Sides = Literal["left", "right", "mix", "split"]

MOST_SIDES = 8  # channels that are transcribed by themselves
QUIET_SECONDS = 600  # of files up to which it is looked how loud they are
LOOKED_AT = 60.0  # seconds from the beginning in which channels are compared
SAME = 1e-3  # difference of channels that hold the same, of full scale
FEW = 3  # passages from which on it says something that most were decoded again


def sides_of(source: Source | Utterance, sample_rate: int, channel: Sides | None = None) -> list[tuple[str, Audio]]:
    """What is to be transcribed of a recording: samples (n,) by the name of their channel, empty where it is the whole.

    `channel` None mixes all channels, or takes the louder one where they would cancel each other.

    Raises:
        SecateurError: audio that cannot be read, a side of what has one channel, more than 8 channels to split, or a
            channel for a manifest's line that has its own.
    """
    if isinstance(source, Utterance):
        if source.channel is not None and channel is not None:
            raise SecateurError(f"{source.audio}: '{source.id}' names its channel: leave out the other")
        if channel is None:
            return [("", read_clip(source, sample_rate))]
        seconds = None if source.offset is None else source.duration
        recording: Source = source.audio
        start = source.offset or 0.0
    else:
        recording, start, seconds = source, 0.0, None
    if channel != "split":
        return [("", read_audio(recording, sample_rate, start=start, seconds=seconds, channel=channel or "auto"))]
    channels = read_channels(recording, sample_rate, start=start, seconds=seconds)
    if len(channels) > MOST_SIDES:
        raise SecateurError(
            f"{recording}: {len(channels)} channels, at most {MOST_SIDES} are transcribed by themselves"
        )
    if len(channels) > 1 and all(np.abs(channels[0] - other).max() < SAME for other in channels[1:]):
        say(f"{recording}: its channels are the same: not split")
        return [("", channels[0])]
    if len(channels) == 1:
        return [("", channels[0])]
    return [(side_name(number, len(channels)), samples) for number, samples in enumerate(channels)]


def say_no_speech(name: str, channel: Sides | None) -> None:
    """Say that a file has no speech; where its channels were mixed, noise on one may have hidden speech on another;
    and where it is far too quiet, that it is."""
    info = audio_info(name) if name != "-" else None
    mixed = info is not None and channel in (None, "mix") and info.channels > 1
    hint = "; its channels were mixed: --channel split transcribes each by itself" if mixed else ""
    looked = info is not None and not mixed and info.seconds <= QUIET_SECONDS
    loudest = peak_db(read_audio(name, 16000)) if looked else 0.0
    if -np.inf < loudest < SILENCE_DB:
        hint = f"; it is almost silent, its loudest sample at {loudest:.0f} dBFS: make it louder"
    say(f"secateur: {name}: no speech found{hint}")


def hint_at_split(name: str) -> bool:
    """Print a line where a recording's two channels hold different speech, which is mixed; whether they do."""
    info = audio_info(name)
    if info.channels != 2:
        return False
    if not hold_different_speech(read_channels(name, 8000, seconds=min(LOOKED_AT, info.seconds)), 8000):
        return False
    say(
        f"secateur: {name}: its two channels hold different speech, and are mixed here: --channel split transcribes "
        "each by itself"
    )
    return True


def joined(sides: Sequence[tuple[str, Transcript]]) -> Transcript:
    """The transcripts of a recording's channels as one: segments in their order of time, each with its channel.

    Its text has a line a turn, which begins with the channel's name.
    """
    if len(sides) == 1 and not sides[0][0]:
        return sides[0][1]
    segments = sorted(
        (replace(segment, channel=name) for name, one in sides for segment in one.segments),
        key=lambda segment: segment.start,
    )
    if all(len(one.segments) <= 1 for _, one in sides):  # a segment's text lacks what was done to the whole text
        text = "\n".join(f"{name}: {one.text}" for name, one in sides if one.text)
    else:
        text = "\n".join(f"{name}: {turn}" for name, turn in _turns([(s.channel or "", s.text) for s in segments]))
    sure = [p for segment in segments for p in segment.log_probs]
    return Transcript(
        text=text,
        language=next((one.language for _, one in sides if one.text), sides[0][1].language),
        segments=tuple(segments),
        duration=max(one.duration for _, one in sides),
        confidence=confidence(sure) if sure else None,
    )


def _turns(spoken: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """What one channel says until another does, as one text."""
    texts: list[str] = []
    who = ""
    for name, text in spoken:
        if name != who and texts:
            yield who, " ".join(texts)
            texts = []
        who = name
        if text.strip():
            texts.append(text.strip())
    if texts:
        yield who, " ".join(texts)


class Remarks:
    """Remarks on the transcripts of a run: no speech, two speakers mixed, a model that is lost."""

    def __init__(self, options: DecodingOptions, channel: Sides | None) -> None:
        self.options, self.channel = options, channel
        self._hinted = False
        self._passages = self._doubtful = 0

    def add(self, name: str, transcript: Transcript) -> None:
        """Say what is to be said of the recording `name`; of several with two speakers, of the first."""
        least = self.options.log_prob_threshold
        for segment in transcript.segments:
            self._passages += 1
            self._doubtful += segment.temperature > 0 or (least is not None and segment.avg_logprob < least)
        if not transcript.text.strip():
            say_no_speech(name, self.channel)
        elif self.channel is None and name != "-" and not self._hinted:
            with contextlib.suppress(SecateurError):  # files joined in one, with different channels
                self._hinted = hint_at_split(name)

    def end(self) -> None:
        """Say where most passages were decoded again at higher temperatures, which takes time and invents text."""
        if self._passages >= FEW and len(self.options.temperatures) > 1 and 2 * self._doubtful > self._passages:
            say(
                f"secateur: WARNING: {self._doubtful} of {self._passages} passages were decoded again at higher "
                "temperatures, their text is uncertain: another language or noise, or a model that was pruned too far"
            )
