"""Audio that is decoded when it is trained on, a few batches ahead: for sets whose samples do not fit in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from .bank import Samples, T, single, sixteen_bit
from .clip import read_clip
from .manifest import Utterance

AHEAD = 4  # batches


class StreamedBank:
    """What `AudioBank` gives for the rows of a batch, from files and archives; memory holds the batches ahead.

    Raises:
        SecateurError: when a batch is gathered, of audio that cannot be read.
    """

    def __init__(
        self, utterances: Sequence[Utterance], device: str | torch.device = "cpu", sample_rate: int = 16000,
        threads: int = 4,
    ) -> None:  # fmt: skip
        self.utterances, self.sample_rate = utterances, sample_rate
        self.device = torch.device(device)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="audio")
        self._pending: dict[int, Future[Samples]] = {}

    def __len__(self) -> int:
        return len(self.utterances)

    def follow(
        self, batches: Iterable[list[T]], rank: int = 0, ranks: int = 1, rows: Callable[[T], Sequence[int]] = single
    ) -> Iterator[list[T]]:
        """The same batches; the clips that this process will gather of the next few are decoded meanwhile."""
        ahead: deque[list[T]] = deque()
        for batch in batches:
            ahead.append(batch)
            for member in batch[rank::ranks] or batch[:1]:
                for row in rows(member):
                    self._begin(row)
            if len(ahead) > AHEAD:
                yield ahead.popleft()
        yield from ahead

    def gather(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The clips `rows` as floats (batch, samples), zero-padded, and their lengths (batch,)."""
        for row in rows:
            self._begin(row)
        decoded = {row: self._pending.pop(row).result() for row in set(rows)}
        clips = [decoded[row] for row in rows]
        lengths = torch.tensor([len(clip) for clip in clips])
        audio = np.zeros((len(clips), int(lengths.max())), np.int16)
        for line, clip in zip(audio, clips, strict=True):
            line[: len(clip)] = clip
        return torch.from_numpy(audio).to(self.device).float().div_(32767), lengths.to(self.device)

    def samples_of(self, rows: Sequence[int]) -> list[int]:
        """Samples of the clips `rows`; they are decoded and kept for `gather`."""
        for row in rows:
            self._begin(row)
        return [len(self._pending[row].result()) for row in rows]

    def _begin(self, row: int) -> None:
        if row not in self._pending:
            self._pending[row] = self._pool.submit(self._decode, row)

    def _decode(self, row: int) -> Samples:
        return sixteen_bit(read_clip(self.utterances[row], self.sample_rate))
