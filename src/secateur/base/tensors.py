"""safetensors files: written whole or not at all, one tensor after the other; their header read without torch."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import SecateurError
from .extras import require
from .files import Json, atomic_path, write_json

STEM = "model"  # of the files of a model's weights

# The format's names for torch's types.
TYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip


PRECISIONS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}  # torch's names for our names of types
LONGEST_HEADER = 100 << 20  # bytes; the format's own limit
BITS = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8,
}  # fmt: skip


def dtype_of(precision: str) -> Any:
    """torch's type of a precision: fp32, fp16 or bf16."""
    return getattr(require("torch", "train"), PRECISIONS[precision])


def write_tensors(path: str | Path, tensors: Mapping[str, Any], metadata: Mapping[str, str], dtype: Any = None) -> None:
    """Write torch tensors to `path` atomically; `dtype` is the type in the file of those with floating point.

    The library's own `save_file` takes tensors that all have their final type: beside a model in memory that would be
    a second one. Here one tensor at a time is converted.

    Raises:
        SecateurError: the disk is full, or the folder cannot be written.
    """
    torch = require("torch", "train")
    types = {n: dtype if dtype is not None and t.is_floating_point() else t.dtype for n, t in tensors.items()}
    # The largest type first, as the library does, so that every tensor begins at a multiple of its values' size.
    order = sorted(tensors, key=lambda name: (-types[name].itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in order:
        begin, end = end, end + tensors[name].numel() * types[name].itemsize
        kind = TYPES[str(types[name]).removeprefix("torch.")]
        header[name] = {"dtype": kind, "shape": list(tensors[name].shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary, temporary.open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            value = tensors[name].detach().to("cpu", types[name]).contiguous()
            out.write(value.reshape(-1).view(torch.uint8).numpy().data)


def write_sharded(
    folder: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str], dtype: Any = None, most: int = 5 * 10**9
) -> None:
    """Write torch tensors to `folder` as `transformers` stores a model: model.safetensors, or, above `most` bytes,
    model-00001-of-0000N.safetensors of at most that (a tensor is never split) and the index of what is where.

    Raises:
        SecateurError: as `write_tensors`.
    """
    pieces: list[dict[str, Any]] = [{}]
    total = filled = 0
    for name, tensor in tensors.items():
        itemsize = (dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype).itemsize
        size = tensor.numel() * itemsize
        if filled + size > most and pieces[-1]:
            pieces.append({})
            filled = 0
        pieces[-1][name] = tensor
        filled, total = filled + size, total + size
    if len(pieces) == 1:
        write_tensors(folder / f"{STEM}.safetensors", tensors, metadata, dtype)
        return
    where: dict[str, str] = {}
    for number, piece in enumerate(pieces, 1):
        name = f"{STEM}-{number:05}-of-{len(pieces):05}.safetensors"
        write_tensors(folder / name, piece, metadata, dtype)
        where |= dict.fromkeys(piece, name)
    write_json(folder / f"{STEM}.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": where})


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
