"""Checks of a graph before onnxruntime opens it: it computes on what is in the file, and nothing else.

ONNX lets a file name other files for its weights, bring functions and operators of other libraries, and run loops
without end. Nothing that `secateur export` writes does, but for the weights of a large graph, which are in the one file
beside it that has its name with ".data" after it. The few fields that say so are read from the protobuf itself
(https://protobuf.dev/programming-guides/encoding), so that no parser is needed where models are served. What another
parser might read otherwise is refused: fields that ONNX does not have, a field in another form than its own, keys and
numbers longer than their type, groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path

from ..base.errors import SecateurError
from .contents import DATA

DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
ENDLESS = frozenset({"Loop", "Scan", "If", "SequenceMap"})  # graphs in graphs
MOST_VALUES = 1 << 31  # of one tensor that a graph makes from a constant shape
# Bits of a value by ONNX's number of its type; strings (8) are not known here.
BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16, 21: 4, 22: 4}

View = memoryview
Outside = tuple[str, int]  # name and size of the file beside a graph; -1: there is none
NUMBER, FOUR, BYTES = 0, 5, 2  # forms that a value has in a file: a varint, four bytes, a length and its bytes
# The fields of each message and the forms that they may have (onnx.proto, IR version 13). Packed numbers are BYTES.
MODEL = {1: NUMBER, 5: NUMBER, **dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25), BYTES)}
GRAPH = dict.fromkeys((1, 2, 5, 10, 11, 12, 13, 14, 15, 16), BYTES)
NODE = dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 8, 9), BYTES)
ATTRIBUTE = {2: FOUR, 3: NUMBER, 20: NUMBER, **dict.fromkeys((1, 4, 5, 6, 9, 10, 11, 13, 14, 15, 21, 22, 23), BYTES)}
TENSOR = {2: NUMBER, 14: NUMBER, **dict.fromkeys((6, 8, 9, 12, 13, 16), BYTES)}
ENTRY = dict.fromkeys((1, 2), BYTES)  # of a tensor's place in another file: key and value
LISTS = {  # fields of numbers, packed or one by one
    "attribute": {7: FOUR, 8: NUMBER},
    "tensor": {1: NUMBER, 4: FOUR, 5: NUMBER, 7: NUMBER, 10: 1, 11: NUMBER},
}
LONGEST_KEY = (1 << 32) - 1  # protobuf's keys are 32 bits, and a parser may drop what is above


def check_onnx(path: Path) -> None:
    """Refuse a graph that asks for other files, other libraries or loops, or claims tensors that it does not hold.

    Raises:
        SecateurError: that, or no such file, or no protobuf.
    """
    beside = path.with_name(path.name + DATA)
    try:
        outside = (beside.name, beside.stat().st_size if beside.is_file() else -1)
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped, memoryview(mapped) as view:
            _model(view, outside)
    except FileNotFoundError:
        raise SecateurError(f"{path}: no such file") from None
    except (OSError, ValueError) as problem:  # ValueError: also an empty file
        reason = getattr(problem, "strerror", None) or problem
        raise SecateurError(f"{path}: not an ONNX graph that is run here ({reason}); export it again") from problem


def _fields(
    view: View, known: Mapping[int, int], lists: Mapping[int, int] | None = None
) -> Iterator[tuple[int, int | View]]:
    """Number and value of every field of a message: an int, or the bytes of what has a length.

    Raises:
        ValueError: not a protobuf, or a field that is not among the `known` ones or `lists` of numbers in its form.
    """
    lists = lists or {}
    at, size = 0, len(view)
    while at < size:
        key, at = _varint(view, at)
        number, kind = key >> 3, key & 7
        if key > LONGEST_KEY or not number:
            raise ValueError("a key that parsers read differently")
        if kind != known.get(number) and not (number in lists and kind in (BYTES, lists[number])):
            raise ValueError(f"a field {number} in form {kind}, which ONNX does not have there")
        if kind == 0:
            value, at = _varint(view, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _varint(view, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("no protobuf")
        if at + length > size:
            raise ValueError("cut short")
        if kind == 2:
            with view[at : at + length] as piece:
                yield number, piece
        at += length


def _varint(view: View, at: int) -> tuple[int, int]:
    """A number of up to ten bytes, seven bits each, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            raise ValueError("cut short")
        byte = view[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >> 64 or (shift and not byte):
                raise ValueError("a number longer than its type, or than it needs to be")
            return number, at
    raise ValueError("no protobuf")


def _model(view: View, outside: Outside) -> None:
    for number, value in _fields(view, MODEL):
        if number == 7 and isinstance(value, memoryview):
            _graph(value, outside)
        elif number in (20, 25):
            raise ValueError("it brings functions, or a part that trains")


def _graph(view: View, outside: Outside) -> None:
    for number, value in _fields(view, GRAPH):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            _node(value)
        elif number == 5:
            _tensor(value, outside)
        elif number == 15:
            raise ValueError("sparse weights")


def _node(view: View) -> None:
    operator = domain = ""
    for number, value in _fields(view, NODE):
        if not isinstance(value, memoryview):
            continue
        if number == 4:
            operator = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:
            for part, inner in _fields(value, ATTRIBUTE, LISTS["attribute"]):
                if part in (6, 11, 22, 23):
                    raise ValueError("a graph in a graph, or sparse weights")
                if part in (5, 10) and isinstance(inner, memoryview):
                    _tensor(inner)
    if domain not in DOMAINS:
        raise ValueError(f"an operator of another library, {domain[:40]}")
    if operator in ENDLESS:
        raise ValueError(f"the operator {operator}")


def _tensor(view: View, outside: Outside | None = None) -> None:
    """Its values are in the file, or in that `outside`: as many as its shape says."""
    dims: list[int] = []
    kind, raw, other, away = 0, None, False, False
    place: list[View] = []
    for number, value in _fields(view, TENSOR, LISTS["tensor"]):
        if number == 1:
            dims += [value] if isinstance(value, int) else _packed(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 9 and isinstance(value, memoryview):
            raw = len(value)
        elif number == 13 and isinstance(value, memoryview):
            place.append(memoryview(bytes(value)))
        elif number == 14:
            away = value == 1
        elif number in (4, 5, 6, 7, 10, 11):
            other = True
    if away or place:
        if not (away and place) or outside is None or raw is not None or other:
            raise ValueError("weights in another file")
        raw = _bytes_outside(place, outside)
    count = math.prod(dims)
    if kind not in BITS or count > MOST_VALUES:
        raise ValueError(f"a tensor of type {kind} and shape {dims[:8]}")
    if raw is not None and raw * 8 < count * BITS[kind]:
        raise ValueError(f"a tensor of shape {dims[:8]} in {raw} bytes")
    if raw is None and not other and count:
        raise ValueError(f"a tensor of shape {dims[:8]} without values")


def _bytes_outside(entries: list[View], outside: Outside) -> int:
    """The length of a tensor's values in the file beside the graph, which holds them all.

    Raises:
        ValueError: another file, or values that do not lie in it.
    """
    values: dict[str, str] = {}
    for entry in entries:
        pair = {number: _text(text) for number, text in _fields(entry, ENTRY) if isinstance(text, memoryview)}
        if len(pair) != len(ENTRY) or pair[1] in values:
            raise ValueError("weights in another file, whose place is not clear")
        values[pair[1]] = pair[2]
    name, size = outside
    numbers = [values.get(key, "") for key in ("offset", "length")]
    if {*values} != {"location", "offset", "length"} or values["location"] != name:
        raise ValueError("weights in another file than the one beside it")
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in numbers):
        raise ValueError("weights in another file, whose place is not clear")
    offset, length = map(int, numbers)
    if size < 0:
        raise ValueError(f"its weights in {name} are missing")
    if offset + length > size:
        raise ValueError(f"{name} is cut short")
    return length


def _packed(view: View) -> list[int]:
    values, at = [], 0
    while at < len(view):
        value, at = _varint(view, at)
        values.append(value)
    return values


def _text(view: View) -> str:
    return bytes(view[:200]).decode(errors="replace")
