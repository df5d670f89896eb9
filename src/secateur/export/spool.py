"""Weights of a graph in a file beside it, written as they are made: a graph that is built holds one of them at a time.

While a `spooling` block is open, the graphs built in it give their weights to it. When a graph is finished, its file
stays where it is and the graph refers to it (ONNX's external data), or its weights move into the graph's own file,
piece by piece as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.extras import require

SPOOL = ".weights"  # the file, while a graph is built
LEAST = 4096  # bytes of a weight that goes to the file: runtimes read shapes and other constants while they load
ALIGNED = 4096  # offsets are multiples of it, so that runtimes can map the file into memory
PIECE = 16 << 20  # bytes that are copied at a time
EXTERNAL = 1  # ONNX's number for values in another file
# Fields of the protobuf messages with their form, as keys in a file: number * 8 + form (2: a length and its bytes).
GRAPH, INITIALIZER, RAW_DATA = (7 << 3) | 2, (5 << 3) | 2, (9 << 3) | 2


class Spool:
    """The file that takes the weights of one graph."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")

    def add(self, values: NDArray[Any], name: str) -> Any:
        """Store `values`; an `onnx.TensorProto` with their place. Small ones are inside of it."""
        onnx = require("onnx", "train")
        if values.nbytes < LEAST:
            return require("onnx.numpy_helper", "train").from_array(values, name)
        offset = self._file.tell()
        offset += -offset % ALIGNED
        self._file.seek(offset)
        np.ascontiguousarray(values).tofile(self._file)
        tensor = onnx.TensorProto(name=name, dims=values.shape, data_location=EXTERNAL)
        tensor.data_type = onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
        for key, value in (("location", self.path.name), ("offset", offset), ("length", values.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    def close(self) -> None:
        """Everything that was added is in the file from here on."""
        self._file.close()


_OPEN: ContextVar[Spool | None] = ContextVar("spool", default=None)


def open_spool() -> Spool | None:
    """The spool of the block around, if there is one."""
    return _OPEN.get()


@contextlib.contextmanager
def spooling(path: Path) -> Iterator[Spool]:
    """Let the graphs that are built in this block store their weights in the new file `path`."""
    spool = Spool(path)
    token = _OPEN.set(spool)
    try:
        yield spool
    finally:
        _OPEN.reset(token)
        spool.close()


def stored_bytes(model: Any) -> int:
    """What the file of a graph would hold with all its weights inside."""
    return int(model.ByteSize()) + sum(_length(tensor) for tensor in model.graph.initializer)


def refer_to(model: Any, name: str) -> None:
    """Let the weights of `model` that are in a file be found in the file `name` beside it."""
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = name


def write_inside(model: Any, spool: Path, path: Path) -> None:
    """Write the graph `model` to the file `path` with the weights that are in `spool` inside.

    A protobuf is a row of fields in any order, so that the weights follow the rest, one after the other.
    """
    outside = [tensor for tensor in model.graph.initializer if tensor.data_location == EXTERNAL]
    places = [_place(tensor) for tensor in outside]
    rest = type(model)()
    rest.CopyFrom(model)
    graph = type(model.graph)()
    graph.CopyFrom(model.graph)
    rest.ClearField("graph")
    del graph.initializer[:]
    graph.initializer.extend(t for t in model.graph.initializer if t.data_location != EXTERNAL)
    heads = []
    for tensor, (_, length) in zip(outside, places, strict=True):
        head = type(tensor)()
        head.CopyFrom(tensor)
        head.ClearField("external_data")
        head.ClearField("data_location")
        heads.append(head.SerializeToString() + _varint(RAW_DATA) + _varint(length))
    sizes = [len(head) + length for head, (_, length) in zip(heads, places, strict=True)]
    keys = [_varint(INITIALIZER) + _varint(size) for size in sizes]
    start = graph.SerializeToString()
    whole = len(start) + sum(map(len, keys)) + sum(sizes)
    with path.open("wb") as out, spool.open("rb") as source:
        out.write(rest.SerializeToString() + _varint(GRAPH) + _varint(whole) + start)
        for key, head, (offset, length) in zip(keys, heads, places, strict=True):
            out.write(key + head)
            source.seek(offset)
            while length:
                piece = source.read(min(PIECE, length))
                out.write(piece)
                length -= len(piece)


def _place(tensor: Any) -> tuple[int, int]:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    return int(entries["offset"]), int(entries["length"])


def _length(tensor: Any) -> int:
    return _place(tensor)[1] if tensor.data_location == EXTERNAL else 0


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the eighth bit."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
