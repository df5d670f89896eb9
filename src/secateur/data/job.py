"""The sets of one job: training, rehearsal, dev and test sets, with their audio."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from ..audio.augment import NoiseBank
from .bank import AudioBank, StreamedBank
from .clip_index import is_streamed, joined
from .manifest import Utterance


@dataclass
class JobData:
    """The training, rehearsal, dev and named test sets of one job; audio is read once."""

    training: Sequence[Utterance]
    dev: list[Utterance]
    tests: dict[str, list[Utterance]]
    rehearsal: Sequence[Utterance] = field(default_factory=list)
    rehearsal_share: float = 0.5
    normalise: str | None = None  # scheme that texts are compared by; see `text.normalise`
    words: tuple[str, ...] = ()  # further texts whose words the vocabulary must keep
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    window: int = 0  # clips between which streamed batches are shuffled; see `train.stream.Mix`
    languages: tuple[str, ...] = ()  # of the training set, where it is streamed
    rehearsal_dev: dict[str, list[Utterance]] = field(default_factory=dict)  # dev sets that measure forgetting
    noise: NoiseBank | None = None  # mixed into training clips at a drawn signal-to-noise ratio
    nonspeech: NoiseBank | None = None  # recordings without speech, to train silence on
    shortest_context: float = math.inf  # s, of all arms that are compared: they meet the same joined examples
    banks: dict[tuple[str, int], AudioBank] = field(default_factory=dict)  # by set and sample rate

    def texts(self) -> Iterator[str]:
        """All that is trained on, and the further words."""
        yield from (u.text for clips in (self.training, self.rehearsal) for u in clips)
        yield from self.words

    def training_bank(self, sample_rate: int) -> AudioBank | StreamedBank:
        """The audio to train on, all of it decoded or decoded on the way."""
        everything = joined(self.training, self.rehearsal)
        if is_streamed(everything):
            return StreamedBank(everything, self.device, sample_rate)
        return self.bank("train", everything, sample_rate)

    def bank(self, name: str, utterances: Sequence[Utterance], sample_rate: int) -> AudioBank:
        """The audio of one of the sets, decoded when first needed."""
        if (name, sample_rate) not in self.banks:
            bank = AudioBank.read(utterances, self.device, sample_rate, label=f"reading {name}")
            self.banks[name, sample_rate] = bank
        return self.banks[name, sample_rate]
