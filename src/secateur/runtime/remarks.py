"""What `transcribe` says of recordings that are probably not transcribed as their user means."""

from __future__ import annotations

import contextlib

from ..base.errors import SecateurError
from ..base.progress import say
from ..decode.options import DecodingOptions
from .sides import Sides, hint_at_split, say_no_speech
from .transcript import Transcript

FEW = 3  # passages from which on it says something that most were decoded again


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
