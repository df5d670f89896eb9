"""The audio of a set for training: all in memory on the device, gathered by index and never read again; or, where it
does not fit, decoded a few batches ahead."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..audio.members import recording_bytes
from ..base.errors import UTTERANCES, several
from ..base.extras import require
from ..base.files import atomic_path
from ..base.progress import track
from .clip import read_clip
from .manifest import Utterance

Samples = np.ndarray[Any, np.dtype[Any]]
T = TypeVar("T")


AHEAD = 4  # batches


def single(row: Any) -> Sequence[int]:
    """The clips of a batch's member that is itself the number of one."""
    return (row,)


class AudioBank:
    """16-bit samples of every clip, end to end in one tensor (an hour at 16 kHz is 115 MB)."""

    def __init__(self, clips: Sequence[Samples], device: str | torch.device = "cpu") -> None:
        self.lengths = torch.tensor([len(c) for c in clips])
        self.starts = torch.cumsum(self.lengths, 0) - self.lengths
        flat = [c if c.dtype == np.int16 else sixteen_bit(c) for c in clips]
        joined = np.concatenate(flat) if flat else np.zeros(0, np.int16)
        self.samples = torch.from_numpy(joined).to(device)
        self.device = torch.device(device)

    @classmethod
    def read(
        cls, utterances: Sequence[Utterance], device: str | torch.device = "cpu", sample_rate: int = 16000,
        threads: int = 8, label: str = "reading audio",
    ) -> AudioBank:  # fmt: skip
        """Decode all clips at `sample_rate` Hz, several at a time; an empty `label` shows no progress.

        With `SECATEUR_BANKS` naming a folder, decoded sets are cached there for other runs on the same machine.
        """

        several("AudioBank.read", utterances, UTTERANCES)

        def decode() -> list[Samples]:
            with ThreadPoolExecutor(threads) as pool:
                clips = pool.map(lambda u: sixteen_bit(read_clip(u, sample_rate)), utterances)
                return list(track(clips, label, len(utterances), quiet=not label))

        return cls(cached_clips(_key(utterances, sample_rate), decode), device)

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, rows: Sequence[int]) -> AudioBank:
        """A bank of the clips `rows`, with the same samples behind it."""
        part = AudioBank.__new__(AudioBank)
        chosen = torch.as_tensor(rows, dtype=torch.long)
        part.lengths, part.starts = self.lengths[chosen], self.starts[chosen]
        part.samples, part.device = self.samples, self.device
        return part

    @cached_property
    def digest(self) -> str:
        """A hash of all samples."""
        return hashlib.sha256(self.lengths.numpy().tobytes() + self.samples.cpu().numpy().tobytes()).hexdigest()

    def follow(
        self, batches: Iterable[list[T]], rank: int = 0, ranks: int = 1, rows: Callable[[T], Sequence[int]] = single
    ) -> Iterator[list[T]]:
        """The batches that will be asked for, of what has the clips `rows`: here all audio is there already."""
        yield from batches

    def samples_of(self, rows: Sequence[int]) -> list[int]:
        """Samples of the clips `rows`, known without waiting for the device."""
        return [int(self.lengths[row]) for row in rows]

    def gather(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The clips `rows` as floats (batch, samples), zero-padded, and their lengths (batch,)."""
        chosen = torch.as_tensor(rows)
        lengths = self.lengths[chosen]
        steps = torch.arange(int(lengths.max()), device=self.device)
        starts, lengths = self.starts[chosen].to(self.device), lengths.to(self.device)
        inside = steps < lengths[:, None]
        index = (starts[:, None] + steps).clamp_max(max(len(self.samples) - 1, 0))
        return self.samples[index].float().div_(32767).mul_(inside), lengths


def cached_clips(key: str, make: Callable[[], Sequence[Samples]]) -> Sequence[Samples]:
    """The clips of `make` as 16-bit samples; with `SECATEUR_BANKS` naming a folder, one process makes and caches them.

    `key` must change with everything that `make` depends on. Processes that ask for the same wait for the first.
    """
    folder = os.environ.get("SECATEUR_BANKS")
    if not folder:
        return make()
    cached = Path(folder) / f"{key}.npz"
    cached.parent.mkdir(parents=True, exist_ok=True)
    with require("filelock", "train").FileLock(cached.with_name(f".{key}.lock")):
        if not cached.exists():
            clips = [c if c.dtype == np.int16 else sixteen_bit(c) for c in make()]
            with atomic_path(cached) as temporary, temporary.open("wb") as out:
                np.savez(out, samples=np.concatenate(clips), lengths=np.asarray([len(c) for c in clips]))
            return clips
    with np.load(cached) as stored:
        samples, lengths = stored["samples"], stored["lengths"]
    return np.split(samples, np.cumsum(lengths)[:-1])


def sixteen_bit(clip: Samples) -> Samples:
    """Samples in [-1, 1] as 16-bit integers."""
    return np.clip(np.round(np.asarray(clip) * 32767), -32768, 32767).astype(np.int16)


def _key(utterances: Sequence[Utterance], sample_rate: int) -> str:
    """A name that changes with the clips, their files and the rate."""
    digest = hashlib.sha256(str(sample_rate).encode())
    for u in utterances:
        part = "" if u.offset is None and u.channel is None else f"\t{u.offset}\t{u.duration}\t{u.channel}"
        digest.update(f"{u.id}\t{u.audio}\t{recording_bytes(u.audio)}{part}\n".encode())
    return digest.hexdigest()[:24]


def buckets(
    seconds: Sequence[float], batch_seconds: float, seed: int | Sequence[int] | None, most: int = 256
) -> list[list[int]]:
    """Batches of clips of similar length, each at most `batch_seconds` long, padding included.

    With a seed both the clips' order within a length and the batches' order are shuffled (the same seed, the same
    batches); without, batches come from the shortest clips to the longest.
    """
    lengths = np.asarray(seconds, dtype=float)
    random = np.random.default_rng(seed) if seed is not None else None
    # Jitter mixes neighbours, so that a clip meets other clips every epoch.
    keys = lengths if random is None else lengths * random.uniform(0.9, 1.1, len(lengths))
    batches: list[list[int]] = []
    batch: list[int] = []
    longest = 0.0
    for row in np.argsort(keys, kind="stable"):
        row_longest = max(longest, float(lengths[row]))
        if batch and (row_longest * (len(batch) + 1) > batch_seconds or len(batch) >= most):
            batches.append(batch)
            batch, row_longest = [], float(lengths[row])
        batch.append(int(row))
        longest = row_longest
    if batch:
        batches.append(batch)
    if random is not None:
        random.shuffle(batches)
    return batches


class StreamedBank:
    """What `AudioBank` gives for the rows of a batch, from files and archives; memory holds the batches ahead.

    Raises:
        SecateurError: when a batch is gathered, of audio that cannot be read.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        device: str | torch.device = "cpu",
        sample_rate: int = 16000,
        threads: int = 4,
    ) -> None:
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
