"""A CTC model's outputs for many clips in a small file, to be decoded with language models elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...base.errors import SecateurError
from ...base.files import atomic_path

STEP = 0.1  # nats between two values that are distinguished
LOWEST = 10.0  # probabilities below exp(-LOWEST) are stored alike


def write_outputs(path: Path, log_probs: Sequence[NDArray[np.floating]]) -> None:
    """Logarithms of probabilities (frames, units) of every clip, a byte each; compressed, half a kB a second."""
    lengths = np.asarray([len(one) for one in log_probs], np.int32)
    values = np.concatenate([np.rint(np.minimum(-one, LOWEST) / STEP).astype(np.uint8) for one in log_probs])
    with atomic_path(path) as temporary, temporary.open("wb") as out:
        np.savez_compressed(out, values=values, lengths=lengths)


def read_outputs(path: Path) -> list[NDArray[np.float32]]:
    """The same back, to half a `STEP`.

    Raises:
        SecateurError: missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            values, lengths = stored["values"], stored["lengths"]
        if values.dtype != np.uint8 or values.ndim != 2 or lengths.sum() != len(values):
            raise ValueError("other arrays than a model's outputs")
    except FileNotFoundError:
        raise SecateurError(f"{path}: no such file") from None
    except Exception as problem:
        raise SecateurError(f"{path}: not the outputs of a model ({problem})") from problem
    return [part * np.float32(-STEP) for part in np.split(values, np.cumsum(lengths)[:-1])]
