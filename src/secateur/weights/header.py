"""The header of a safetensors file: names, types and shapes, without reading a weight (no torch here)."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import Json

LONGEST_HEADER = 100 << 20  # bytes; the format's own limit
BITS = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8,
}  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """One tensor of a file: its type as the format spells it ("F16"), and its shape."""

    type: str
    shape: tuple[int, ...]

    @property
    def values(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def read_header(path: str | Path) -> dict[str, Stored]:
    """The tensors that a safetensors file says it holds; every claim is checked against the file's size.

    Raises:
        SecateurError: missing, truncated, or another format.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as source:
            start = source.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
            if length > min(LONGEST_HEADER, size - len(start)):
                raise SecateurError(f"{path}: cut short or not a safetensors file; fetch or export it again")
            table = json.loads(source.read(length))
            return {name: _stored(entry, size - 8 - length) for name, entry in table.items() if name != "__metadata__"}
    except OSError as problem:
        raise SecateurError(f"{path}: cannot be read ({problem.strerror or problem})") from problem
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise SecateurError(f"{path}: not a whole safetensors file ({problem}); fetch or export it again") from problem


def _stored(entry: Json, room: int) -> Stored:
    """One entry, checked: the bytes it names lie inside the file and are as many as its shape needs."""
    kind, shape, (begin, end) = str(entry["dtype"]), entry["shape"], entry["data_offsets"]
    if not isinstance(shape, list) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"shape {shape}")
    stored = Stored(kind, tuple(shape))
    if kind not in BITS:
        raise ValueError(f"type {kind}")
    if not 0 <= begin <= end <= room or (end - begin) * 8 != stored.values * BITS[kind]:
        raise ValueError("a tensor lies outside the file")
    return stored
