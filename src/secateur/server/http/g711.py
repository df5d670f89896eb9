"""G.711 as telephones send it: a byte a sample, companded (ITU-T G.711, tables 1 and 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


def _mu_law() -> Samples:
    code = ~np.arange(256) & 0xFF
    size = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _a_law() -> Samples:
    code = np.arange(256) ^ 0x55
    mantissa, exponent = (code & 0x0F) << 4, (code & 0x70) >> 4
    size = np.where(exponent == 0, mantissa + 8, mantissa + 0x108 << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


TABLES = {"audio/pcmu": _mu_law(), "audio/pcma": _a_law()}
RATE = 8000  # Hz


def expanded(data: bytes, kind: str) -> bytes:
    """16-bit little-endian samples of `data`, audio/pcmu (mu-law) or audio/pcma (A-law).

    >>> [np.frombuffer(expanded(b"\\xff\\x00\\x80", "audio/pcmu"), "<i2").tolist()]
    [[0, -32124, 32124]]
    """
    return TABLES[kind][np.frombuffer(data, np.uint8)].astype("<i2").tobytes()
