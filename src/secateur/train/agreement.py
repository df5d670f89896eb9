"""Check that all processes hold equal weights and masks, by their hashes; each writes a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from ..base.errors import SecateurError
from ..base.files import write_json
from . import distributed


def fingerprint(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """SHA-256 of `weights`, bit by bit, and of their `masks`: which of them are not zero."""
    masks, values = hashlib.sha256(), hashlib.sha256()
    for name in sorted(weights):
        array = weights[name].detach().float().cpu().contiguous().numpy()
        for digest, data in ((masks, np.packbits(array != 0)), (values, array)):
            digest.update(name.encode())
            digest.update(data.tobytes())
    return {"masks": masks.hexdigest(), "weights": values.hexdigest()}


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
