"""Read a Whisper in CTranslate2's layout (`model.bin` + tokenizer), without ctranslate2.

`model.bin`, all numbers little-endian: u32 version, the model's kind, u32 revision, u32 count; then for every variable
its name, u8 rank, u32 a dimension, u8 type, u32 bytes, the bytes; last u32 count and pairs of names: an alias and the
variable whose values it shares. Text is u16 length (closing zero counted) and bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...base.errors import SecateurError
from ...models.checkpoint import empty_network, load_weights
from ...text.tokenizer import Tokenizer
from ...weights.json_values import read_table, some_ids
from ...weights.tokenizer_files import read_tokenizer
from .generation import HEADS, alignment_heads
from .model import Whisper
from .read_transformers import special_tokens
from .vocabulary import checked_uniform, is_multilingual

BFLOAT16 = 5  # numpy has no such type: read as u16, the upper half of a float32
TYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2", BFLOAT16: "<u2"}
VERSIONS = range(2, 7)  # of the file's layout; 6 since 2021
MOST_VARIABLES = 100_000
MOST_RANK = 8

Variables = dict[str, np.ndarray[Any, np.dtype[Any]]]


class _Reader:
    """Bounds-checked reading: a claim larger than the file is refused before anything is allocated."""

    def __init__(self, blob: memoryview, where: str) -> None:
        self.blob, self.where, self.at = blob, where, 0

    def take(self, count: int) -> memoryview:
        if self.at + count > len(self.blob):
            raise SecateurError(f"{self.where}: cut short or not a CTranslate2 model; fetch it again")
        piece = self.blob[self.at : self.at + count]
        self.at += count
        return piece

    def number(self, code: str) -> int:
        return int(struct.unpack("<" + code, self.take(struct.calcsize(code)))[0])

    def text(self) -> str:
        try:
            return bytes(self.take(self.number("H"))).rstrip(b"\0").decode()
        except UnicodeDecodeError:
            raise SecateurError(f"{self.where}: not a CTranslate2 model") from None


def read_variables(path: Path) -> Variables:
    """All variables of a `model.bin`, by name, aliases included; nothing is copied out of the mapped file.

    Raises:
        SecateurError: missing, truncated, another format.
    """
    try:
        blob = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as problem:
        raise SecateurError(f"{path}: cannot be read ({problem})") from problem
    reader = _Reader(memoryview(blob), str(path))  # type: ignore[arg-type]
    version = reader.number("I")
    if version not in VERSIONS:
        raise SecateurError(f"{path}: not a CTranslate2 model, or one of a layout not known here (version {version})")
    kind = reader.text()
    if "whisper" not in kind.lower():
        raise SecateurError(f"{path}: a CTranslate2 model of kind '{kind}'; only Whisper is known here")
    reader.number("I")  # the kind's own revision
    count = reader.number("I")
    if count > MOST_VARIABLES:
        raise SecateurError(f"{path}: not a CTranslate2 model ({count} variables)")
    variables: Variables = {}
    for _ in range(count):
        name, rank = reader.text(), reader.number("B")
        if rank > MOST_RANK:
            raise SecateurError(f"{path}: '{name}' claims {rank} dimensions; not a CTranslate2 model")
        shape = [reader.number("I") for _ in range(rank)]
        code, size = reader.number("B"), reader.number("I")
        if code not in TYPES:
            raise SecateurError(f"{path}: '{name}' has a type ({code}) that is not known here")
        dtype = np.dtype(TYPES[code])
        if size != dtype.itemsize * math.prod(shape):
            raise SecateurError(f"{path}: '{name}' has {size} bytes, its shape {shape} says otherwise")
        values = np.frombuffer(reader.take(size), dtype).reshape(shape)
        variables[name] = (values.astype("<u4") << 16).view("<f4") if code == BFLOAT16 else values
    aliases = reader.number("I")
    if aliases > MOST_VARIABLES:
        raise SecateurError(f"{path}: not a CTranslate2 model ({aliases} aliases)")
    for _ in range(aliases):
        alias, name = reader.text(), reader.text()
        if name not in variables:
            raise SecateurError(f"{path}: '{alias}' is said to equal '{name}', which is not there")
        variables[alias] = variables[name]
    return variables


# Parameters that are no module's weight or bias: ours to theirs.
UNMODULED = {
    "encoder.positions": "encoder/position_encodings/encodings",
    "decoder.positions": "decoder/position_encodings/encodings",
    "decoder.token_embedding.weight": "decoder/embeddings/weight",
}


def modules(encoder: int, decoder: int) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Every module of a Whisper with so many layers: our name, theirs, the projections that theirs fuses (if any)."""
    for conv in ("conv1", "conv2"):
        yield f"encoder.{conv}", f"encoder/{conv}", ()
    for side, layers, own in (("encoder", encoder, "attention"), ("decoder", decoder, "self_attention")):
        for i in range(layers):
            ours, theirs = f"{side}.layers.{i}", f"{side}/layer_{i}"
            yield f"{ours}.{own}_norm", f"{theirs}/self_attention/layer_norm", ()
            yield f"{ours}.{own}", f"{theirs}/self_attention/linear_0", ("query", "key", "value")
            yield f"{ours}.{own}.out", f"{theirs}/self_attention/linear_1", ()
            if side == "decoder":
                yield f"{ours}.cross_attention_norm", f"{theirs}/attention/layer_norm", ()
                yield f"{ours}.cross_attention.query", f"{theirs}/attention/linear_0", ()
                yield f"{ours}.cross_attention", f"{theirs}/attention/linear_1", ("key", "value")
                yield f"{ours}.cross_attention.out", f"{theirs}/attention/linear_2", ()
            yield f"{ours}.ffn_norm", f"{theirs}/ffn/layer_norm", ()
            yield f"{ours}.ffn.up", f"{theirs}/ffn/linear_0", ()
            yield f"{ours}.ffn.down", f"{theirs}/ffn/linear_1", ()
        yield f"{side}.norm", f"{side}/layer_norm", ()


def leaves(theirs: str) -> tuple[str, str]:
    """What they call the weight and the bias of a module that is not fused."""
    return ("gamma", "beta") if theirs.endswith("layer_norm") else ("weight", "bias")


def _floats(variables: Variables, name: str, where: str) -> Tensor:
    """A variable as floats. Integers are quantised: int8 with a scale a row, int16 with one for all; w = q / scale."""
    if name not in variables:
        raise SecateurError(f"{where}: variable '{name}' is missing")
    value = variables[name]
    if value.ndim == 0:
        raise SecateurError(f"{where}: '{name}' is a single number where weights should be")
    if value.dtype.kind == "f":
        return torch.from_numpy(np.array(value))
    scale = variables.get(f"{name}_scale")
    if value.dtype not in (np.int8, np.int16) or scale is None or scale.size not in (1, len(value)):
        raise SecateurError(f"{where}: '{name}' is stored as {value.dtype} without a scale that fits its rows")
    rows = np.asarray(scale, np.float32).reshape(-1, *[1] * (value.ndim - 1))
    return torch.from_numpy(value.astype(np.float32) / rows)


def _state(variables: Variables, where: str) -> dict[str, Tensor]:
    """Our parameter names from theirs; fused projections are split."""
    state: dict[str, Tensor] = {}
    # One variable under thousands of names would be copied as often.
    distinct = {id(value): value.nbytes for value in variables.values()}
    if sum(value.nbytes for value in variables.values()) > 2 * sum(distinct.values()):
        raise SecateurError(f"{where}: not a CTranslate2 model (the same values under too many names)")

    def store(ours: str, theirs: str, weight: str, bias: str) -> None:
        state[f"{ours}.weight"] = _floats(variables, f"{theirs}/{weight}", where)
        if f"{theirs}/{bias}" in variables:
            state[f"{ours}.bias"] = _floats(variables, f"{theirs}/{bias}", where)

    def projections(ours: str, theirs: str, names: tuple[str, ...]) -> None:
        weight, bias = _floats(variables, f"{theirs}/weight", where), _floats(variables, f"{theirs}/bias", where)
        if len(weight) != len(bias) or len(weight) % len(names):
            raise SecateurError(f"{where}: '{theirs}' has {len(weight)} rows, not {len(names)} projections of one size")
        for name, w, b in zip(names, weight.chunk(len(names)), bias.chunk(len(names)), strict=True):
            state[f"{ours}.{name}.weight"] = w
            if name != "key":  # Whisper's keys have no bias; the fused vector holds zeros for them
                state[f"{ours}.{name}.bias"] = b

    for ours, theirs, names in modules(_layers(variables, "encoder"), _layers(variables, "decoder")):
        if names:
            projections(ours, theirs, names)
        else:
            store(ours, theirs, *leaves(theirs))
    for ours, theirs in UNMODULED.items():
        state[ours] = _floats(variables, theirs, where)
    return {name: value.contiguous() for name, value in state.items()}


def _layers(variables: Variables, side: str) -> int:
    return sum(name.startswith(f"{side}/layer_") and name.endswith("/ffn/linear_0/weight") for name in variables)


def read_ctranslate2(folder: str | Path, name: str | None = None) -> tuple[Whisper, Tokenizer]:
    """A Whisper from a folder with model.bin, config.json and tokenizer.json, as float32.

    Raises:
        SecateurError: a missing, truncated or foreign file.
    """
    folder = Path(folder)
    where = str(folder / "model.bin")
    variables = read_variables(folder / "model.bin")
    for needed in ("encoder/num_heads", "decoder/num_heads", "encoder/layer_0/ffn/linear_0/weight"):
        if needed not in variables:
            raise SecateurError(f"{where}: variable '{needed}' is missing")
    state = _state(variables, where)
    heads = {int(variables[f"{side}/num_heads"].sum()) for side in ("encoder", "decoder")}  # one number, rank 0 or 1
    if len(heads) > 1:
        raise SecateurError(f"{where}: encoder and decoder have different numbers of heads, which is not known here")
    vocabulary = state["decoder.token_embedding.weight"].shape[0]
    values = read_table(folder / "config.json", optional=True)
    tokenizer, added = read_tokenizer(folder)
    multilingual = is_multilingual(vocabulary)
    languages = set(some_ids(values, "lang_ids", str(folder / "config.json")) or ())
    lists = {"suppress_tokens": "suppress_ids", "begin_suppress_tokens": "suppress_ids_begin"}
    generation = {
        **{ours: some_ids(values, theirs, str(folder / "config.json")) for ours, theirs in lists.items()},
        "is_multilingual": multilingual,
        "lang_to_id": {name: i for name, i in added.items() if multilingual and i in languages},
    }
    sizes = {
        "width": state["encoder.norm.weight"].numel(), "heads": heads.pop(),
        "ffn": state["encoder.layers.0.ffn.up.weight"].shape[0], "encoder_layers": _layers(variables, "encoder"),
        "decoder_layers": _layers(variables, "decoder"), "vocabulary": vocabulary,
        "audio_context": state["encoder.positions"].shape[0], "text_context": state["decoder.positions"].shape[0],
        "bins": math.prod(state["encoder.conv1.weight"].shape[1:2]),
    }  # fmt: skip
    tokens = special_tokens({}, generation, added, vocabulary, tokenizer, str(folder))
    config = checked_uniform(sizes, tokens, name or folder.name, where)
    decoder = config.decoder
    pairs = alignment_heads(
        values.get(HEADS), len(decoder), decoder[0].cross_attention.heads, str(folder / "config.json")
    )
    config = replace(config, alignment_heads=pairs)
    model = empty_network(Whisper, config, where)
    load_weights(model, state, where)
    return model.eval(), tokenizer


class CTranslate2:
    """See `models.family.Reader`."""

    kind = "a folder with model.bin"

    def recognises(self, path: Path) -> bool:
        """By the name of the weights."""
        return (path / "model.bin").is_file()

    def read(self, path: Path, name: str | None, fetch: Callable[[str], Path]) -> tuple[Whisper, Tokenizer]:
        """See `read_ctranslate2`."""
        return read_ctranslate2(path, name)


READER = CTranslate2()
