"""Spoiling valid input: an edit is a name, a place from 0 to 1 and a number, so that a run can be drawn and shrunk."""

from __future__ import annotations

import copy
import json
import re
import struct
from typing import Any

EVIL = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63,
        2**64 - 1)  # fmt: skip
NUMBERS = ("-1", "0", "1e400", "-1e400", "NaN", "Infinity", "4294967296", "9223372036854775808", "1e308", "9" * 5000,
           "0.5", "1e-320")  # fmt: skip
WORDS = (b"nan", b"../../x", b"\x00", b"\xff\xfe", b"\\ud800", b"[" * 3000, b'{"a":' * 3000, b"=" * 50, b"~nobody/x",
         b"\r", b"\n\n", b'"', b"\xed\xa0\x80", b"{000..999}", b"/dev/zero", b"true", b"[[a]]\n",
         b"a" * 70_000)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 2**31, 2**63, 2**64, 10**400, 1e308, float("nan"), float("inf"), 0.5, "", "x",
    "\ud800", "../../x", "\x00", "9" * 5000, [], {}, [[]], [0], ["x"], {"x": 1}, [2**62], "~nobody",
)  # fmt: skip
EDITS = ("flip", "evil32", "evil32b", "evil64", "evil16", "cut", "double", "end", "zeros", "number", "word")

Edit = tuple[str, float, int]


def spoil(data: bytes, edits: list[Edit]) -> bytes:
    """`data` after all `edits`."""
    for name, place, number in edits:
        data = _spoil(data, name, min(int(place * len(data)), max(len(data) - 1, 0)), number)
    return data


def _spoil(data: bytes, name: str, at: int, number: int) -> bytes:
    evil = EVIL[number % len(EVIL)]
    size = 1 + number // len(EVIL) % 64
    if name == "flip":
        return data[:at] + bytes([data[at] ^ (1 << number % 8)]) + data[at + 1 :] if data else b"x"
    if name in ("evil32", "evil32b", "evil64", "evil16"):
        code = {"evil32": "<I", "evil32b": ">I", "evil64": "<Q", "evil16": "<H"}[name]
        piece = struct.pack(code, evil % 2 ** (8 * struct.calcsize(code)))
        return data[:at] + piece + data[at + len(piece) :]
    if name == "cut":
        return data[:at] + data[at + size :]
    if name == "double":
        return data[:at] + data[at : at + size * size] * 2 + data[at + size * size :]
    if name == "end":
        return data[:at]
    if name == "zeros":
        return data[:at] + bytes(size * size) + data[at:]
    if name == "number":
        found = re.search(rb"\d+(\.\d+)?", data[at:])
        if found is None:
            return data
        return data[: at + found.start()] + NUMBERS[number % len(NUMBERS)].encode() + data[at + found.end() :]
    return data[:at] + WORDS[number % len(WORDS)] + data[at:]


def spoil_json(value: Any, edits: list[Edit]) -> bytes:
    """A JSON value with some of its parts replaced, removed or renamed, as text that Python's own reader takes."""
    root = [copy.deepcopy(value)]
    for name, place, number in edits:
        places = list(_places(root))
        holder, key = places[min(int(place * len(places)), len(places) - 1)]
        new = copy.deepcopy(VALUES[number % len(VALUES)])
        if name in ("cut", "end") and holder is not root:
            del holder[key]
        elif name in ("double", "flip") and isinstance(holder, dict):
            holder[str(key) + "x" if number % 2 else "\ud800"] = copy.deepcopy(holder[key])
        else:
            holder[key] = new
    text = json.dumps(root[0], ensure_ascii=True)
    return text.replace("1e+400", "1e400").encode()


def _places(value: Any) -> Any:
    """Every container and key in a nested value."""
    for key in range(len(value)) if isinstance(value, list) else list(value):
        yield value, key
        if isinstance(value[key], list | dict):
            yield from _places(value[key])
