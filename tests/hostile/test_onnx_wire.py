"""ONNX at the level of its wire format: whatever onnxruntime reads of a hostile graph, the check before it refuses."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")
import onnxruntime  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.runtime.onnx_file import check_onnx  # noqa: E402


def varint(value: int, least: int = 0) -> bytes:
    """`value` in seven bits a byte, in at least so many bytes."""
    found = bytearray()
    while value > 0x7F or len(found) + 1 < least:
        found.append((value & 0x7F) | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, form and bytes of every field, read plainly."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = number()
        start = at
        if key & 7 == 0:
            number()
            yield key >> 3, 0, data[start:at]
        elif key & 7 == 2:
            length = number()
            yield key >> 3, 2, data[at : at + length]
            at += length
        else:
            at += 8 if key & 7 == 1 else 4
            yield key >> 3, key & 7, data[start:at]


def written(parts: list[tuple[int, int, bytes]], key_bytes: int = 0, high: int = 0, length_bytes: int = 0) -> bytes:
    """Fields as a file; keys and lengths longer than needed, or with bits above the 32 that a key has."""
    out = b""
    for number, form, value in parts:
        out += varint((number << 3 | form) | high, key_bytes)
        out += varint(len(value), length_bytes) + value if form == 2 else value
    return out


def hostile(outside: bool = True) -> bytes:
    """A graph that reads a file beside it, or has its two numbers itself."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = onnx.TensorProto(name="w", data_type=kind, dims=[2])
    if outside:
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="secret.bin")
    else:
        weight.raw_data = bytes(8)
    ends = [[helper.make_tensor_value_info(name, kind, [2])] for name in ("x", "y")]
    made = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", *ends, [weight])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return bytes(model.SerializeToString())


def mutations() -> dict[str, bytes]:
    """The same graph, written as other parsers might still read it."""
    parts = list(fields(hostile()))
    graph = next(value for number, _, value in parts if number == 7)
    others = [part for part in parts if part[0] != 7]
    inner = list(fields(graph))
    found = {"as it is": hostile()}
    for bits in (32, 33, 35, 40, 60):
        found[f"key with bit {bits}"] = written(others) + written([(7, 2, graph)], high=1 << bits)
    for count in (2, 5, 6, 9, 10):
        found[f"key in {count} bytes"] = written(others) + written([(7, 2, graph)], key_bytes=count)
        found[f"length in {count} bytes"] = written(others) + written([(7, 2, graph)], length_bytes=count)
    found["in two halves"] = written([*others, (7, 2, written(inner[:1])), (7, 2, written(inner[1:]))])
    found["first an empty one"] = written([(7, 2, b""), *others, (7, 2, graph)])
    for number in (9, 12, 99, 2**20):
        found[f"after field {number}"] = written([*others, (number, 2, b"x" * 9), (7, 2, graph)])
        found[f"graph after field {number}"] = written([*others, (7, 2, written([(number, 0, b"\x05"), *inner]))])
    found["in a group"] = written(others) + varint(99 << 3 | 3) + written([(7, 2, graph)]) + varint(99 << 3 | 4)
    found["graph as a group"] = written(others) + varint(7 << 3 | 3) + graph + varint(7 << 3 | 4)
    found["weights with long keys"] = written([*others, (7, 2, written(inner, key_bytes=5))])
    return found


@pytest.mark.parametrize("name", list(mutations()))
def test_no_spelling_of_a_hostile_graph_passes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(mutations()[name])
    with pytest.raises(SecateurError, match="not an ONNX graph that is run here"):
        check_onnx(path)


def test_the_runtime_would_have_read_what_is_refused(tmp_path: Path) -> None:
    """Otherwise these tests would show nothing: some spellings do reach the file beside the graph."""
    (tmp_path / "secret.bin").write_bytes(b"\0\0\x80\x3f\0\0\0\x40")
    opened = []
    for name, data in mutations().items():
        path = tmp_path / "network.onnx"
        path.write_bytes(data)
        try:
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception:
            continue
        opened.append(name)
        assert [o.name for o in session.get_outputs()] == ["y"]
    assert "as it is" in opened and len(opened) > 5


def test_random_bytes_in_place_of_others_never_open_the_file(tmp_path: Path) -> None:
    """Where the check passes a spoilt file, onnx's own parser finds nothing in it that leads outside."""
    draw, passed = random.Random(3), 0
    path = tmp_path / "network.onnx"
    for turn in range(1500):
        spoilt = bytearray(hostile(outside=bool(turn % 2)))
        for _ in range(draw.randint(1, 3)):
            kind, at = draw.random(), draw.randrange(len(spoilt))
            if kind < 0.5:
                spoilt[at] = draw.randrange(256)
            elif kind < 0.75:
                spoilt[at:at] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 5)))
            else:
                del spoilt[at : at + draw.randint(1, 3)]
        path.write_bytes(bytes(spoilt))
        try:
            check_onnx(path)
        except SecateurError:
            continue
        passed += 1
        model = onnx.ModelProto()
        try:
            model.ParseFromString(bytes(spoilt))
        except Exception:
            continue
        weights = list(model.graph.initializer)
        assert not any(w.data_location == onnx.TensorProto.EXTERNAL or w.external_data for w in weights)
    assert passed > 50
