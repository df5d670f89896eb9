"""CTranslate2's model.bin: every type it is stored as, and every way in which a file can lie."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ctranslate2_files import (  # noqa: E402
    Variables,
    model_bin,
    small_uniform,
    special_of,
    stored_as,
    variables_of,
    write_folder,
)

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.families.whisper.read_ctranslate2 import read_ctranslate2  # noqa: E402


@pytest.fixture(scope="module")
def small() -> Any:
    return small_uniform()


@pytest.fixture(scope="module")
def variables(small: Any) -> Variables:
    return variables_of(small[0])


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_floats_come_back_exactly(kind: str, small: Any, variables: Variables, tmp_path: Path) -> None:
    model, tokenizer = small
    again, other = read_ctranslate2(write_folder(tmp_path, model_bin(stored_as(variables, kind)), tokenizer), "mine")
    state = model.state_dict()
    assert again.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    assert (again.config.encoder, again.config.decoder) == (model.config.encoder, model.config.decoder)
    t = again.config.tokens
    assert (t.start, t.end, t.no_timestamps) == (tokenizer.end + 1, tokenizer.end, tokenizer.end + 2)
    assert (t.suppress, t.suppress_at_start, t.timestamp_count) == ((3, 5), (tokenizer.end,), 5)
    assert again.config.name == "mine"
    assert other.encode("the cat sat on a mat") == tokenizer.encode("the cat sat on a mat")


@pytest.mark.parametrize(("kind", "step"), [("int8", 127), ("int16", 2**10)])
def test_quantised_within_half_a_step(kind: str, step: int, small: Any, variables: Variables, tmp_path: Path) -> None:
    model, tokenizer = small
    again, _ = read_ctranslate2(write_folder(tmp_path, model_bin(stored_as(variables, kind)), tokenizer))
    rounded = 0
    for name, value in model.state_dict().items():
        found = again.state_dict()[name]
        if value.ndim == 1 or "positions" in name:
            assert torch.equal(found, value), name
            continue
        # Fused matrices share one scale in int16; int8 has one a row.
        largest = value.abs().flatten(1).amax(1) if kind == "int8" else value.abs().max() * 3
        error = (found - value).abs().flatten(1).amax(1)
        assert bool((error <= largest / step * 0.501).all()), name
        rounded += int((error > 0).any())
    assert rounded > 10  # it was quantised


def test_bfloat16_is_cut_after_eight_bits(small: Any, variables: Variables, tmp_path: Path) -> None:
    model, tokenizer = small
    again, _ = read_ctranslate2(write_folder(tmp_path, model_bin(stored_as(variables, "bfloat16")), tokenizer))
    for name, value in model.state_dict().items():
        kept = torch.from_numpy((value.numpy().view("<u4") & 0xFFFF0000).view("<f4"))
        assert torch.equal(again.state_dict()[name], kept), name


def test_aliases_are_followed(small: Any, variables: Variables, tmp_path: Path) -> None:
    """CTranslate2 stores what is equal once, e.g. the norms of layers that were copied from each other."""
    model, tokenizer = small
    alias, name = "decoder/layer_2/ffn/layer_norm/gamma", "decoder/layer_0/ffn/layer_norm/gamma"
    left = {key: value for key, value in variables.items() if key != alias}
    again, _ = read_ctranslate2(write_folder(tmp_path, model_bin(left, {alias: name}), tokenizer))
    copied = again.state_dict()["decoder.layers.2.ffn_norm.weight"]
    assert torch.equal(copied, model.state_dict()["decoder.layers.0.ffn_norm.weight"])
    with pytest.raises(SecateurError, match="which is not there"):
        read_ctranslate2(write_folder(tmp_path / "lost", model_bin(left, {alias: "nothing"}), tokenizer))


def test_vocabulary_alone_is_enough(small: Any, variables: Variables, tmp_path: Path) -> None:
    _, tokenizer = small
    folder = write_folder(tmp_path, model_bin(variables), tokenizer)
    words = json.loads(tokenizer.definition)["model"]["vocab"] | special_of(tokenizer)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(SecateurError, match=r"copy the tokenizer\.json"):
        read_ctranslate2(folder)
    listed = sorted(words, key=words.__getitem__)
    (folder / "vocabulary.txt").write_text("\n".join(listed) + "\n")
    first = read_ctranslate2(folder)
    (folder / "vocabulary.txt").rename(folder / "old")
    (folder / "vocabulary.json").write_text(json.dumps(listed))
    second = read_ctranslate2(folder)
    for model, found in (first, second):
        assert model.config.tokens.start == tokenizer.end + 1
        for text in ("the cat went home", "mat and sat", "then, Öl"):
            assert found.encode(text) == tokenizer.encode(text)


def test_every_cut_is_refused_in_one_line(small: Any, variables: Variables, tmp_path: Path) -> None:
    _, tokenizer = small
    blob = model_bin(stored_as(variables, "float16"))
    folder = write_folder(tmp_path, blob, tokenizer)
    for keep in sorted({*range(60), *range(60, len(blob) - 1, 8191), len(blob) - 1}):
        (folder / "model.bin").write_bytes(blob[:keep])
        with pytest.raises(SecateurError, match=r"model\.bin") as caught:
            read_ctranslate2(folder)
        assert "\n" not in str(caught.value)


def test_flipped_bytes_never_give_another_error(small: Any, variables: Variables, tmp_path: Path) -> None:
    _, tokenizer = small
    blob = bytearray(model_bin(stored_as(variables, "int8")))
    folder = write_folder(tmp_path, bytes(blob), tokenizer)
    # Every byte of the start and of one variable's name, sizes and type; and some anywhere, mostly in weights.
    variable = blob.index(b"decoder/embeddings/weight\0") - 2
    structure = [*range(28), *range(variable, variable + 42)]
    refused = set()
    for at in (*structure, *np.random.default_rng(0).integers(0, len(blob), 30).tolist()):
        old, blob[at] = blob[at], blob[at] ^ 0xFF
        (folder / "model.bin").write_bytes(blob)
        try:
            read_ctranslate2(folder)  # a flipped weight is a weight
        except SecateurError:
            refused.add(at)
        blob[at] = old
    revision = range(18, 22)  # of the kind of model: read past
    assert {at for at in structure if at not in refused} == set(revision)


def test_claims_are_checked_before_memory_is_taken(small: Any, tmp_path: Path) -> None:
    _, tokenizer = small

    def claim(rank: int, shape: tuple[int, ...], code: int, size: int) -> bytes:
        start = struct.pack("<I", 6) + struct.pack("<H", 12) + b"WhisperSpec\0" + struct.pack("<II", 3, 1)
        name = struct.pack("<H", 2) + b"w\0"
        return start + name + struct.pack(f"<B{len(shape)}IBI", rank, *shape, code, size) + b"\0" * 64

    def refuse(blob: bytes, words: str) -> None:
        with pytest.raises(SecateurError, match=words):
            read_ctranslate2(write_folder(tmp_path, blob, tokenizer))

    refuse(claim(2, (1 << 30, 1), 0, (1 << 32) - 4), "says otherwise")
    refuse(claim(1, (1 << 30,), 1, 1 << 30), "cut short")
    refuse(claim(4, (65536, 65536, 65536, 65536), 1, 0), "says otherwise")  # 2**64 bytes is not 0 bytes
    refuse(claim(255, (1,), 0, 4), "255 dimensions")
    refuse(claim(1, (4,), 9, 16), "type")
    start = struct.pack("<I", 6) + struct.pack("<H", 12) + b"WhisperSpec\0"
    refuse(start + struct.pack("<II", 3, 1 << 31), "variables")
    refuse(b"PK\3\4 a zip file, not a model", "not a CTranslate2 model")
    refuse(b"", "cannot be read")


def test_foreign_models_are_named(small: Any, variables: Variables, tmp_path: Path) -> None:
    _, tokenizer = small

    def refuse(changed: Variables, words: str, kind: str = "WhisperSpec") -> None:
        with pytest.raises(SecateurError, match=words):
            read_ctranslate2(write_folder(tmp_path, model_bin(changed, kind=kind), tokenizer))

    refuse(variables, "TransformerSpec", "TransformerSpec")
    without = {name: value for name, value in variables.items() if name != "encoder/num_heads"}
    refuse(without, "'encoder/num_heads' is missing")
    refuse({name: v for name, v in variables.items() if "conv2/weight" not in name}, "conv2/weight' is missing")
    refuse({name: v for name, v in variables.items() if "layer_" not in name}, "layer_0")
    quantised = stored_as(variables, "int8")
    refuse({n: v for n, v in quantised.items() if n != "decoder/embeddings/weight_scale"}, "without a scale")
    refuse({**quantised, "encoder/conv1/weight_scale": ("float32", np.ones(3, np.float32))}, "without a scale")
    refuse({**variables, "encoder/num_heads": ("int16", np.array(0, np.int16))}, "numbers of heads")
    none = ("int16", np.array(0, np.int16))
    refuse({**variables, "encoder/num_heads": none, "decoder/num_heads": none}, "heads is 0")
    refuse({**variables, "encoder/norm/gamma": ("float32", np.ones(3)), "encoder/layer_norm/gamma":
            ("float32", np.ones(9))}, r"shape|split")  # fmt: skip
