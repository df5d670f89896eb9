"""Training on several processes (`torchrun`): joining, collectives, one clear error line when a process fails, and a
check that all hold equal weights and masks."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from ..base.errors import SecateurError
from ..base.files import write_json

T = TypeVar("T")

BUCKET = 1 << 24  # numbers sent at once (64 MB)
PATIENCE = timedelta(hours=12)  # how long the others wait while rank 0 validates
PEER_ENDED = "another process of this run has ended; start the run again and it resumes from its last state"


HASHED = 1 << 24  # values that are hashed at once
FACTOR = 0x9E3779B97F4A7C15 - (1 << 64)  # spreads the places over 64 bits (Knuth's golden ratio)


class _Hosts:
    """The group in which only hosts talk, while processes are joined."""

    group: Any = None
    apart = False  # this process works by itself for a while


def rank() -> int:
    """The number of this process; 0 validates and writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() and not _Hosts.apart else 1


@contextlib.contextmanager
def by_itself() -> Iterator[None]:
    """Inside, this process computes without the others: what would be summed over all is its own."""
    before, _Hosts.apart = _Hosts.apart, True
    try:
        yield
    finally:
        _Hosts.apart = before


def all_reduce_sum(tensors: Iterable[Tensor]) -> None:
    """Replace every tensor by its sum over all processes, in place: bit for bit the same on each.

    Sums are made in fp32, in buckets of `BUCKET` numbers. The shapes must be the same everywhere.
    """
    if count() == 1:
        return
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and sum(t.numel() for t in bucket) + tensor.numel() > BUCKET:
            _reduce_bucket(bucket)
            bucket = []
        bucket.append(tensor)
    if bucket:
        _reduce_bucket(bucket)


def average(tensors: Iterable[Tensor]) -> None:
    """Replace every tensor by its mean over all processes, in place: the same on each."""
    tensors = list(tensors)
    all_reduce_sum(tensors)
    for tensor in tensors if count() > 1 else ():
        tensor.div_(count())


@torch.no_grad()
def begin_sum(flat: Tensor) -> Any:
    """Begin to replace `flat` by its sum over all processes; `wait` on what is returned orders later work after it."""
    with peers():
        return dist.all_reduce(flat, async_op=True)


def any_process(value: bool) -> bool:
    """Whether `value` is true on any process. The hosts meet here; no device is waited for.

    They meet in a group of their own: sums that some of them have begun and others have not are not in the way.
    """
    if count() == 1:
        return value
    flag = torch.tensor(int(value))
    with peers():
        dist.all_reduce(flag, dist.ReduceOp.MAX, _Hosts.group)
    return bool(flag)


@torch.no_grad()
def _reduce_bucket(tensors: list[Tensor]) -> None:
    flat = torch.cat([t.detach().flatten().float() for t in tensors])
    with peers():
        dist.all_reduce(flat)
    sums = torch.split(flat, [t.numel() for t in tensors])
    for tensor, total in zip(tensors, sums, strict=True):
        tensor.copy_(total.view_as(tensor))


def agreed(value: T) -> T:
    """Rank 0's `value` (anything that JSON could hold), on every process."""
    if count() == 1:
        return value
    box = [value]
    with peers():
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def gathered(value: T) -> list[T]:
    """The `value` of every process, in the order of their ranks, on every process."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    with peers():
        dist.all_gather_object(values, value)
    return values


@torch.no_grad()
def broadcast_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite `tensors` with rank 0's."""
    if count() == 1:
        return
    with peers():
        for tensor in tensors:
            dist.broadcast(tensor.data, src=0)


def check_joined() -> None:
    """Refuse to train when torchrun started several processes that have not joined: each would write the same files.

    Raises:
        SecateurError: inside torchrun, outside `processes`.
    """
    if count() == 1 and _started() > 1:
        raise SecateurError("this job is for one process: start it without torchrun (train and prune take several)")


def _started() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


@contextlib.contextmanager
def processes(device: str) -> Iterator[str]:
    """Join the other processes that `torchrun` started, if it did; gives the device of this one.

    On GPUs each process takes the one of its LOCAL_RANK and they talk through NCCL, on CPUs through gloo. When a
    process fails, it alone prints its error; the others exit silently.

    Raises:
        SecateurError: fewer GPUs than processes; or what went wrong on this process, when it was the first.
    """
    world = _started()
    if world == 1:
        yield device
        return
    number, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    store, _, _ = next(rendezvous("env://", number, world))
    try:
        chosen = _local_device(device, local)
        if chosen.startswith("cuda"):
            os.environ["NCCL_NVLS_ENABLE"] = "0"  # NVLink multicast is not there on every host; NCCL then fails late
            torch.cuda.set_device(chosen)
        backend = "cpu:gloo,cuda:nccl" if chosen.startswith("cuda") else "gloo"
        dist.init_process_group(backend, store=store, rank=number, world_size=world, timeout=PATIENCE)
        _Hosts.group = dist.new_group(backend="gloo", timeout=PATIENCE)
        _watch_for_the_end(store)
        yield chosen
    except (Exception, KeyboardInterrupt) as problem:
        if not _first_to_fail(store):
            raise SystemExit(2) from None
        if isinstance(problem, SecateurError) and number > 0:
            raise SecateurError(f"process {number} of {world}: {problem}") from problem
        raise
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    dist.destroy_process_group()


def _local_device(device: str, local: int) -> str:
    """The device that `device` means for the process `local` of this machine."""
    available = torch.cuda.device_count()
    if device == "cpu" or (device == "auto" and not available):
        return "cpu"
    if not available:
        raise SecateurError("no GPU was found here: use --device cpu")
    if local >= available:
        raise SecateurError(
            f"more processes than GPUs: start torchrun with --nproc-per-node {available}, or --device cpu"
        )
    return f"cuda:{local}"


def _first_to_fail(store: Any) -> bool:
    """Whether this is the first process to fail; true as well when the store is gone."""
    try:
        return int(store.add("secateur/failed", 1)) == 1
    except RuntimeError:
        return True


def _watch_for_the_end(store: object) -> None:
    """Exit with an error line on SIGTERM, which torchrun sends when a process died silently.

    A thread does it: the main one may be waiting for a GPU that waits for the dead process, and cannot run a signal
    handler.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)

    def wait() -> None:
        while os.read(read, 1) != bytes([signal.SIGTERM]):
            pass
        if _first_to_fail(store):
            print(f"secateur: {PEER_ENDED}", file=sys.stderr, flush=True)
        os._exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, lambda *_: None)  # without a handler nothing is written to the pipe
    signal.set_wakeup_fd(write)
    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def peers() -> Iterator[None]:
    """Turn a broken connection into the error that another process has ended."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as problem:
        raise SecateurError(PEER_ENDED) from problem


@torch.no_grad()
def fingerprint(weights: Mapping[str, Tensor], places: Mapping[str, int] | None = None) -> dict[str, str]:
    """SHA-256 over checksums of `weights`, bit by bit, and of their `masks`: which of them are not zero.

    The checksums are made on the device: sums, modulo 2^64, of every value's bits times an odd number that depends on
    its place. Integers sum to the same in any order, and one that differs anywhere changes the sum. So do those of the
    parts that processes hold of sharded weights, of which `places` has the place of the first value.
    """
    names, before = sorted(weights), places or {}
    sums = {
        "masks": [_checksum((weights[n] != 0).flatten(), before.get(n, 0)) for n in names],
        "weights": [
            _checksum(weights[n].detach().float().flatten().view(torch.int32), before.get(n, 0)) for n in names
        ],
    }
    return {
        kind: hashlib.sha256(
            "".join(f"{n} {v}\n" for n, v in zip(names, _values(each, places is not None), strict=True)).encode()
        ).hexdigest()
        for kind, each in sums.items()
    }


def _values(sums: list[Tensor], over_processes: bool) -> list[int]:
    """All sums with one wait for the device; added up over all processes if asked."""
    if not sums:
        return []
    stacked = torch.stack([s.cpu() for s in sums] if len({s.device for s in sums}) > 1 else sums)
    if over_processes:
        with peers():
            dist.all_reduce(stacked)
    return stacked.tolist()


def _checksum(bits: Tensor, first: int) -> Tensor:
    """The sum of `bits` (n,), integers, times the odd number of their place, from `first` on, modulo 2^64."""
    total = torch.zeros((), dtype=torch.int64, device=bits.device)
    for start in range(0, bits.numel(), HASHED):
        part = bits[start : start + HASHED].long()
        place = torch.arange(first + start, first + start + len(part), device=bits.device)
        total += (part * (place * FACTOR | 1)).sum()
    return total


def check_agreement(folder: Path | None, step: int, hashes: Mapping[str, str]) -> None:
    """Write this process's `hashes` to `folder`/masks-rankR.json and compare it with the others'.

    Raises:
        SecateurError: the processes have drifted apart.
    """
    if folder is not None:
        write_json(folder / f"masks-rank{rank()}.json", {"rank": rank(), "processes": count(), "step": step, **hashes})
    everyone = gathered(dict(hashes))
    for number, theirs in enumerate(everyone):
        if theirs != everyone[0]:
            wrong = ", ".join(name for name in theirs if theirs[name] != everyone[0][name])
            raise SecateurError(f"step {step}: processes 0 and {number} differ in {wrong}; do their machines differ?")
