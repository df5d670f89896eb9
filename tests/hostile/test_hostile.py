"""Files that lie, grow, nest or run code: each is refused with one line, before anything large is allocated.

The named ones were found by reading, by hypothesis or by `experiments/hostile/run.py`, which spoils files at random in
far greater numbers; here the same few are spoilt at every run.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import resource
import struct
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from ctranslate2_files import model_bin, small_uniform, variables_of, write_folder  # noqa: E402
from kinds import MEDIA, SOUNDS, Kind, absent, judged, make_kinds  # noqa: E402
from mutate import EDITS  # noqa: E402

from secateur.assistant.grammar.file import read_grammar  # noqa: E402
from secateur.audio import read as audio_read  # noqa: E402
from secateur.audio.read import audio_info, read_audio  # noqa: E402
from secateur.base.errors import SecateurError, one_line  # noqa: E402
from secateur.base.files import read_json, read_toml  # noqa: E402
from secateur.base.options import from_dict  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.archive import unpack  # noqa: E402
from secateur.data.layouts import read_librispeech  # noqa: E402
from secateur.data.manifest import read_manifest  # noqa: E402
from secateur.data.tables import read_table  # noqa: E402
from secateur.families.whisper.read_ctranslate2 import read_ctranslate2  # noqa: E402
from secateur.families.whisper.read_openai import read_openai  # noqa: E402
from secateur.lm.tables import read_ngram  # noqa: E402
from secateur.runtime.contents import BUNDLED  # noqa: E402
from secateur.runtime.onnx_file import check_onnx  # noqa: E402
from secateur.server.http.settings import Limits  # noqa: E402

ROOM = 700 << 20  # bytes of memory that reading a hostile file may take beyond what is there


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """What allocates by a claim fails here."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def refused(read: Callable[[], object], *words: str) -> None:
    with pytest.raises(SecateurError) as told:
        read()
    line = str(told.value)
    assert "\n" not in line and len(line) < 2000
    for word in words:
        assert word in line, line


# Audio


def wav(
    rate: int = 16000, channels: int = 1, bits: int = 16, kind: int = 1, data: bytes = bytes(3200), **lies: int
) -> bytes:
    size, align = lies.get("size", len(data)), lies.get("align", channels * bits // 8 % 65536)
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * align % 2**32, align, bits)
    body = b"WAVEfmt " + struct.pack("<I", lies.get("head", 16)) + head + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", lies.get("riff", len(body))) + body


def floats(*values: float) -> bytes:
    return wav(bits=32, kind=3, data=np.array(values * 800, "<f4").tobytes())


HOSTILE_SOUNDS = {
    "promises 2 GB": wav(size=0x7FEF0000), "promises all there can be, and stops": wav(size=0xFFFFFFF0)[:60],
    "1 Hz": wav(rate=1), "0 Hz": wav(rate=0), "10 MHz": wav(rate=10_000_000), "4 GHz": wav(rate=2**32 - 1),
    "65535 channels": wav(channels=65535), "100 channels": wav(channels=100, data=bytes(20000)),
    "0 channels": wav(channels=0), "0 bits": wav(bits=0), "a header of 2 GB": wav(head=2**31),
    "NaN": floats(float("nan")), "infinity": floats(float("inf")), "1e30": floats(1e30),
    "empty": b"", "nothing in it": wav(data=b""),
    "RIFF and no more": b"RIFF", "text": b"hello there\n" * 100, "packed": gzip.compress(bytes(10**6)),
    "a Flac of 400 hours": b"fLaC\x80\x00\x00\x22" + bytes(10) + b"\x0a\xc4\x42\xf0" + b"\xff" * 4 + bytes(16),
}  # fmt: skip


@pytest.mark.parametrize("name", list(HOSTILE_SOUNDS))
def test_sounds(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(HOSTILE_SOUNDS[name])
    if name == "promises all there can be, and stops":  # as programs do that write to a pipe
        assert len(read_audio(path)) == 8
        return
    refused(lambda: read_audio(path), str(path))
    refused(lambda: read_audio(io.BytesIO(HOSTILE_SOUNDS[name])))


def test_sounds_with_more_in_them_than_seconds(tmp_path: Path) -> None:
    """Many channels at a high rate are hours of work in a file that is short by its length."""
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((96_000, 40), np.int16), 96_000)
    refused(lambda: read_audio(path, max_seconds=2), "mix them down")
    assert len(read_audio(path, max_seconds=60)) == 16_000


def test_pipes_and_devices_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_read, "MOST_PIPED", 1 << 20)
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)

    def pour() -> None:
        with contextlib.suppress(BrokenPipeError), pipe.open("wb") as out:
            out.write(wav(size=0xFFFFFFF0))
            while True:
                out.write(bytes(65536))

    pouring = threading.Thread(target=pour)
    pouring.start()
    refused(lambda: read_audio(pipe), "through a pipe")
    pouring.join()
    refused(lambda: read_audio("/dev/zero"), "a device")
    refused(lambda: audio_info("~nobody-here/a.wav"), "no such file")


# Texts and tables


def test_files_without_end() -> None:
    zero = Path("/dev/zero")
    for read in (read_json, read_toml, read_manifest, lambda p: list(read_table(p)), read_ngram):
        refused(lambda read=read: read(zero))


NUMBERS = "9" * 5000
MANIFEST = '{{"id": "a", "audio": {audio}, "duration": {duration}, "text": {text}}}\n'
GOOD = {"audio": '"a.wav"', "duration": "1.0", "text": '"hi"'}


@pytest.mark.parametrize(
    "change",
    [{"duration": "1e400"}, {"duration": "NaN"}, {"duration": NUMBERS}, {"duration": "9" * 400}, {"duration": "-1"},
     {"text": "[" * 100_000}, {"text": NUMBERS}, {"audio": '""'}, {"audio": "{}"}],
)  # fmt: skip
def test_manifests(change: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(MANIFEST.format(**GOOD | change))
    refused(lambda: read_manifest(path), "line 1")


def test_manifests_that_are_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(MANIFEST.format(**GOOD | {"audio": '"~nobody-here/\\u0000a.wav"', "text": '"\\ud800"'}))
    [found] = read_manifest(path)
    assert found.text == "\ud800"
    refused(lambda: read_audio(found.audio))


def test_tables_and_layouts(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("path,sentence\n,hello\n")
    refused(lambda: list(read_table(table)), "line 2")
    table.write_text("path,sentence\na.wav," + "x" * (1 << 20))
    refused(lambda: list(read_table(table)))
    for key in ("*", "/**", "a" * 5000, "[", "../../x"):  # never a pattern, never a path out of the folder
        (tmp_path / "1-2.trans.txt").write_text(f"{key} HELLO\n")
        [found] = read_librispeech(tmp_path)
        assert not found.audio.name.endswith(".wav")


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, f"a = {NUMBERS}", "a = 1\x00", "[" * 5000, "\xff", "a.b = 1\na = 2"], ids=range(6)
)
def test_option_files(text: str, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(text.encode("latin-1"))
    refused(lambda: read_toml(path), "s.toml")
    assert main(["serve", "--config", str(path)]) == 2


VALUES = [float("inf"), -float("inf"), float("nan"), 2**63, 10**400, "9" * 5000, "1e400", [], {}, None]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_numbers_of_options(value: Any) -> None:
    refused(lambda: from_dict(Limits, {"workers": value}), "workers")


@pytest.mark.parametrize(
    "text", ['[intents]\na = ["' + "(" * 4000 + '"]', '[intents]\na = ["' + "a" * 70_000 + '"]',
             'slots = 5\n[intents]\na = ["b"]', 'rules = "x"\n[intents]\na = ["b"]'], ids=range(4),
)  # fmt: skip
def test_grammars(text: str, tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_text(text)
    refused(lambda: read_grammar(tmp_path / "g.toml"), "g.toml")


@pytest.mark.parametrize("text", ["[" * 100_000, NUMBERS, '{"a":' * 100_000, "\xff", ""])
def test_json(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    refused(lambda: read_json(path), "a.json")


def test_messages_are_one_plain_line() -> None:
    """Whatever a file puts into them: no new lines, nothing that a terminal obeys, an end."""
    assert one_line("a\r\nb\x1b[2J\x07\u202e") == "a  b\\x1b[2J\\x07\\u202e"
    assert len(one_line("x" * 10**6)) < 1600
    assert str(SecateurError("语音\nx")) == "语音 x"


# Models


def pt(path: Path, weights: dict[str, Any], **dims: int) -> Path:
    sizes = {"n_mels": 80, "n_audio_ctx": 20, "n_audio_state": 4, "n_audio_head": 2, "n_audio_layer": 1,
             "n_vocab": 51864, "n_text_ctx": 16, "n_text_state": 4, "n_text_head": 2, "n_text_layer": 1}  # fmt: skip
    torch.save({"dims": sizes | dims, "model_state_dict": weights}, path)
    return path


def test_a_pt_file_whose_tensors_are_one_number(tmp_path: Path) -> None:
    """A stride of zero: four bytes that look like 400 GB."""
    weights = {"encoder.conv1.weight": torch.zeros(1).expand(100_000, 1_000_000)}
    path = pt(tmp_path / "m.pt", weights)
    assert path.stat().st_size < 10_000
    refused(lambda: read_openai(path, absent), "no plain tensor")


@pytest.mark.parametrize(
    "value",
    [torch.eye(3).to_sparse(), torch.zeros(3, device="meta"), torch.zeros(4, dtype=torch.int64)],
    ids=["sparse", "elsewhere", "whole numbers"],
)
def test_a_pt_file_with_other_tensors(value: Any, tmp_path: Path) -> None:
    refused(lambda: read_openai(pt(tmp_path / "m.pt", {"decoder.ln.bias": value}), absent), "m.pt")


def test_a_pt_file_that_grows(tmp_path: Path) -> None:
    """Its parts are packed: a thousandfold."""
    path = tmp_path / "m.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out, out.open("m/data.pkl", "w", force_zip64=True) as part:
        for _ in range(150):
            part.write(bytes(1 << 20))
    refused(lambda: read_openai(path, absent), "packed")


def test_model_bin_with_one_variable_under_many_names(tmp_path: Path) -> None:
    """Thousands of layers, each a copy of the same megabytes."""
    model, tokenizer = small_uniform()
    big = {"x": ("float32", np.zeros(1 << 18, np.float32))}
    parts = ("ffn/linear_0", "ffn/linear_1")
    aliases = {f"encoder/layer_{i}/{part}/weight": "x" for i in range(2000) for part in parts}
    folder = write_folder(tmp_path, model_bin(variables_of(model) | big, aliases), tokenizer)
    refused(lambda: read_ctranslate2(folder), "too many names")


def test_model_bin_with_endless_aliases(tmp_path: Path) -> None:
    model, tokenizer = small_uniform()
    blob = model_bin(variables_of(model))[:-4] + struct.pack("<I", 2**32 - 1)
    refused(lambda: read_ctranslate2(write_folder(tmp_path, blob, tokenizer)), "aliases")


def graph(*nodes: Any, weights: Any = (), **more: Any) -> Any:
    """A model that adds one, with further nodes and weights."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    add = helper.make_node("Add", ["x", "x"], ["y"])
    ends = [[helper.make_tensor_value_info(name, kind, [None])] for name in ("x", "y")]
    made = helper.make_graph([add, *nodes], "g", *ends, list(weights))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], **more)


def outside() -> Any:
    weight = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [2], [0.0, 0.0])
    weight.ClearField("float_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../../../etc/passwd")
    return graph(weights=[weight])


def claims(dims: list[int], kind: int = 1, raw: bytes = b"") -> Any:
    weight = onnx.TensorProto(name="w", data_type=kind, dims=dims)
    if raw:
        weight.raw_data = raw
    return graph(weights=[weight])


HOSTILE_GRAPHS: dict[str, tuple[Callable[[], Any], str]] = {
    "weights in another file": (outside, "another file"),
    "a loop": (lambda: graph(onnx.helper.make_node("Loop", ["n", "c"], ["z"], body=graph().graph)), "graph in a graph"),
    "a loop without a body": (lambda: graph(onnx.helper.make_node("Loop", ["n", "c"], ["z"])), "Loop"),
    "an operator of a library": (
        lambda: graph(onnx.helper.make_node("Evil", ["x"], ["z"], domain="evil.example")),
        "evil",
    ),
    "functions": (lambda: graph(functions=[onnx.helper.make_function("f", "F", ["a"], ["b"], [], [])]), "functions"),
    "a tensor of terabytes": (lambda: claims([2**20, 2**20]), "shape"),
    "a shape beyond numbers": (lambda: claims([2**62, 2**62, 2**62]), "shape"),
    "a negative shape": (lambda: claims([-1]), "shape"),
    "fewer bytes than the shape": (lambda: claims([1000], raw=bytes(40)), "in 40 bytes"),
    "an unknown type": (lambda: claims([1], kind=99, raw=bytes(4)), "type 99"),
    "strings": (lambda: claims([1], kind=8, raw=bytes(4)), "type 8"),
}


@pytest.mark.parametrize("name", list(HOSTILE_GRAPHS))
def test_graphs(name: str, tmp_path: Path) -> None:
    make, words = HOSTILE_GRAPHS[name]
    path = tmp_path / "network.onnx"
    path.write_bytes(make().SerializeToString())
    refused(lambda: check_onnx(path), "network.onnx", words)


@pytest.mark.parametrize("data", [b"", b"x", b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x7f", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_graph(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(data)
    refused(lambda: check_onnx(path), "network.onnx")


def test_graphs_that_compute_pass(kinds: dict[str, Kind], tmp_path: Path) -> None:
    for path in [*BUNDLED.rglob("*.onnx"), *kinds["encoder.onnx"].folder.glob("*.onnx")]:
        check_onnx(path)
    (tmp_path / "a.onnx").write_bytes(graph().SerializeToString())
    check_onnx(tmp_path / "a.onnx")


# Archives


def archive(path: Path, *members: tarfile.TarInfo, tail: bytes = b"") -> Path:
    """Headers without what they promise."""
    with gzip.open(path, "wb") as out:
        for member in members:
            out.write(member.tobuf(tarfile.GNU_FORMAT))
        out.write(tail)
    return path


def member(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type = size, kind
    return made


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_archives_with_endless_names(kind: bytes, tmp_path: Path) -> None:
    """Such a name is read whole: two gigabytes that pack to two megabytes."""
    path = archive(tmp_path / "a.tar.gz", member("x", 2 << 30, kind))
    refused(lambda: unpack(path, tmp_path / "out", quiet=True), "a.tar.gz")
    assert not (tmp_path / "out").exists()


def test_archives_that_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secateur.data.archive.SLACK", 1 << 20)
    path = archive(tmp_path / "a.tar.gz", member("x", 64 << 20), tail=bytes(64 << 20))
    refused(lambda: unpack(path, tmp_path / "out", quiet=True), "200 times its size")
    path = archive(tmp_path / "b.tar.gz", member("x", -512))
    refused(lambda: unpack(path, tmp_path / "out", quiet=True), "b.tar.gz")
    assert not list(tmp_path.glob("out*"))


def test_language_models_that_grow(tmp_path: Path) -> None:
    path = tmp_path / "lm.npz"
    np.savez_compressed(path, words=np.zeros(50 << 20, np.uint8))
    refused(lambda: read_ngram(path), "unpacks to")


# Whatever else


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    return make_kinds(tmp_path_factory.mktemp("kinds"))


def test_valid_files_are_read(kinds: dict[str, Kind], tmp_path: Path) -> None:
    """Otherwise what follows would prove nothing."""
    for kind in kinds.values():
        if kind.name != "pt":  # of which only a part is there
            assert kind.outcome((kind.folder / kind.file).read_bytes(), tmp_path) == "read", kind.name


EDIT = st.tuples(st.sampled_from(EDITS), st.floats(0, 1), st.integers(0, 2**32))
NAMES = [
    *(f"audio {name}" for name in SOUNDS), *(f"media {name}" for name in MEDIA),
    "manifest", "manifest line", "table csv", "table tsv", "kaldi",
    "librispeech", "study", "grammar", "json", "config of a Whisper", "safetensors", "tokenizer",
    "config of a CTC model, everything",
    "config of a CTC model, conformer", "units of a CTC model", "transformers config.json",
    "transformers tokenizer.json",
    "model.bin", "ctranslate2 config.json", "ctranslate2 tokenizer.json", "pt", "encoder.onnx", "decoder.onnx",
    "exported config.json", "exported export.json", "result", "sensitivity map", "training state", "arpa", "ngram",
    "archive gz", "archive", "label studio",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_spoilt_files_are_read_or_refused(
    name: str, kinds: dict[str, Kind], tmp_path_factory: pytest.TempPathFactory
) -> None:
    scratch = tmp_path_factory.mktemp("spoilt")

    @settings(max_examples=12, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(EDIT, min_size=1, max_size=5), st.booleans())
    def spoilt(edits: list[Any], as_value: bool) -> None:
        kind = kinds[name]
        assert kind.outcome(kind.spoilt(edits, as_value), scratch) in ("read", "refused")

    assert set(NAMES) == set(kinds)
    spoilt()


def test_judged_tells_failures_apart() -> None:
    assert judged(lambda: None) == "read"
    assert judged(lambda: [][1]).startswith("IndexError at test_hostile.py")
