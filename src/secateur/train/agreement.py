"""Check that all processes hold equal weights and masks, by their hashes; each writes a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..base.errors import SecateurError
from ..base.files import write_json
from . import distributed

CHUNK = 1 << 24  # values that are hashed at once
FACTOR = 0x9E3779B97F4A7C15 - (1 << 64)  # spreads the places over 64 bits (Knuth's golden ratio)


@torch.no_grad()
def fingerprint(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """SHA-256 over checksums of `weights`, bit by bit, and of their `masks`: which of them are not zero.

    The checksums are made on the device: sums, modulo 2^64, of every value's bits times an odd number that depends on
    its place. Integers sum to the same in any order, and one that differs anywhere changes the sum.
    """
    names = sorted(weights)
    sums = {"masks": [_checksum((weights[n] != 0).flatten()) for n in names],
            "weights": [_checksum(weights[n].detach().float().flatten().view(torch.int32)) for n in names]}  # fmt: skip
    return {
        kind: hashlib.sha256(
            "".join(f"{n} {v}\n" for n, v in zip(names, _values(each), strict=True)).encode()
        ).hexdigest()
        for kind, each in sums.items()
    }


def _values(sums: list[Tensor]) -> list[int]:
    """All sums with one wait for the device."""
    return torch.stack([s.cpu() for s in sums] if len({s.device for s in sums}) > 1 else sums).tolist() if sums else []


def _checksum(bits: Tensor) -> Tensor:
    """The sum of `bits` (n,), integers, times the odd number of their place, modulo 2^64."""
    total = torch.zeros((), dtype=torch.int64, device=bits.device)
    for start in range(0, bits.numel(), CHUNK):
        part = bits[start : start + CHUNK].long()
        place = torch.arange(start, start + len(part), device=bits.device)
        total += (part * (place * FACTOR | 1)).sum()
    return total


def check_agreement(folder: Path | None, step: int, hashes: Mapping[str, str]) -> None:
    """Write this process's `hashes` to `folder`/masks-rankR.json and compare it with the others'.

    Raises:
        SecateurError: the processes have drifted apart.
    """
    rank = distributed.rank()
    if folder is not None:
        write_json(
            folder / f"masks-rank{rank}.json", {"rank": rank, "processes": distributed.count(), "step": step, **hashes}
        )
    everyone = distributed.gathered(dict(hashes))
    for number, theirs in enumerate(everyone):
        if theirs != everyone[0]:
            wrong = ", ".join(name for name in theirs if theirs[name] != everyone[0][name])
            raise SecateurError(f"step {step}: processes 0 and {number} differ in {wrong}; do their machines differ?")
