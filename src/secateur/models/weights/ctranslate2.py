"""Read a Whisper in CTranslate2's layout (`model.bin` + tokenizer.json), without ctranslate2.

`model.bin`, all numbers little-endian: u32 version, the model's kind, u32 revision, u32 count; then for every variable
its name, u8 rank, u32 a dimension, u8 type, u32 bytes, the bytes. Text is u16 length (closing zero counted) and bytes.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...base.errors import SecateurError
from ...base.files import read_json
from ...text.tokenizer import Tokenizer
from ..checkpoint import fit
from ..whisper.config import uniform
from ..whisper.model import Whisper
from .transformers_folder import special_tokens

TYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}
MOST_VARIABLES = 100_000
MOST_RANK = 8


class _Reader:
    """Bounds-checked reading: a claim larger than the file is refused before anything is allocated."""

    def __init__(self, blob: memoryview, where: str) -> None:
        self.blob, self.where, self.at = blob, where, 0

    def take(self, count: int) -> memoryview:
        if count < 0 or self.at + count > len(self.blob):
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


def read_variables(path: Path) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """All variables of a `model.bin`, by name.

    Raises:
        SecateurError: missing, truncated, another format.
    """
    try:
        blob = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as problem:
        raise SecateurError(f"{path}: cannot be read ({problem})") from problem
    reader = _Reader(memoryview(blob), str(path))  # type: ignore[arg-type]
    version = reader.number("I")
    if not 1 <= version <= 20:
        raise SecateurError(f"{path}: not a CTranslate2 model (version {version})")
    kind = reader.text()
    if "whisper" not in kind.lower():
        raise SecateurError(f"{path}: a CTranslate2 model of kind '{kind}'; only Whisper is known here")
    reader.number("I")  # the kind's own revision
    count = reader.number("I")
    if count > MOST_VARIABLES:
        raise SecateurError(f"{path}: not a CTranslate2 model ({count} variables)")
    variables = {}
    for _ in range(count):
        name, rank = reader.text(), reader.number("B")
        if rank > MOST_RANK:
            raise SecateurError(f"{path}: '{name}' claims {rank} dimensions; not a CTranslate2 model")
        shape = [reader.number("I") for _ in range(rank)]
        code, size = reader.number("B"), reader.number("I")
        if code not in TYPES:
            raise SecateurError(f"{path}: '{name}' has a type ({code}) that is not known here")
        dtype = np.dtype(TYPES[code])
        if size != dtype.itemsize * int(np.prod(shape, dtype=np.float64)):
            raise SecateurError(f"{path}: '{name}' has {size} bytes, its shape {shape} says otherwise")
        variables[name] = np.frombuffer(reader.take(size), dtype).reshape(shape)
    return variables


def _floats(variables: dict[str, Any], name: str, where: str) -> Tensor:
    """A variable as floats; int8 is multiplied out by its scale (one a row)."""
    if name not in variables:
        raise SecateurError(f"{where}: variable '{name}' is missing")
    value = variables[name]
    if value.dtype == np.int8:
        scale = np.asarray(variables[f"{name}_scale"], np.float32)
        return torch.from_numpy(value.astype(np.float32) / scale.reshape(-1, *[1] * (value.ndim - 1)))
    if value.dtype.kind != "f":
        raise SecateurError(f"{where}: '{name}' is stored as {value.dtype}, which is not known here")
    return torch.from_numpy(np.array(value))


def _state(variables: dict[str, Any], where: str) -> dict[str, Tensor]:
    """Our parameter names from theirs; fused projections are split."""
    state: dict[str, Tensor] = {}

    def put(ours: str, theirs: str, weight: str = "weight", bias: str = "bias") -> None:
        state[f"{ours}.weight"] = _floats(variables, f"{theirs}/{weight}", where)
        if f"{theirs}/{bias}" in variables:
            state[f"{ours}.bias"] = _floats(variables, f"{theirs}/{bias}", where)

    def norm(ours: str, theirs: str) -> None:
        put(ours, theirs, "gamma", "beta")

    def projections(ours: str, theirs: str, names: tuple[str, ...]) -> None:
        weight, bias = _floats(variables, f"{theirs}/weight", where), _floats(variables, f"{theirs}/bias", where)
        for name, w, b in zip(names, weight.chunk(len(names)), bias.chunk(len(names)), strict=True):
            state[f"{ours}.{name}.weight"] = w
            if name != "key":  # keys have no bias, theirs is zero
                state[f"{ours}.{name}.bias"] = b

    put("encoder.conv1", "encoder/conv1")
    put("encoder.conv2", "encoder/conv2")
    for side in ("encoder", "decoder"):
        own = "attention" if side == "encoder" else "self_attention"
        for i in range(_layers(variables, side)):
            ours, theirs = f"{side}.layers.{i}", f"{side}/layer_{i}"
            norm(f"{ours}.{own}_norm", f"{theirs}/self_attention/layer_norm")
            projections(f"{ours}.{own}", f"{theirs}/self_attention/linear_0", ("query", "key", "value"))
            put(f"{ours}.{own}.out", f"{theirs}/self_attention/linear_1")
            if side == "decoder":
                norm(f"{ours}.cross_attention_norm", f"{theirs}/attention/layer_norm")
                put(f"{ours}.cross_attention.query", f"{theirs}/attention/linear_0")
                projections(f"{ours}.cross_attention", f"{theirs}/attention/linear_1", ("key", "value"))
                put(f"{ours}.cross_attention.out", f"{theirs}/attention/linear_2")
            norm(f"{ours}.ffn_norm", f"{theirs}/ffn/layer_norm")
            put(f"{ours}.ffn.up", f"{theirs}/ffn/linear_0")
            put(f"{ours}.ffn.down", f"{theirs}/ffn/linear_1")
        norm(f"{side}.norm", f"{side}/layer_norm")
        state[f"{side}.positions"] = _floats(variables, f"{side}/position_encodings/encodings", where)
    state["decoder.token_embedding.weight"] = _floats(variables, "decoder/embeddings/weight", where)
    return {name: value.contiguous() for name, value in state.items()}


def _layers(variables: dict[str, Any], side: str) -> int:
    return sum(name.startswith(f"{side}/layer_") and name.endswith("/ffn/linear_0/weight") for name in variables)


def read_ctranslate2(folder: str | Path, name: str | None = None) -> tuple[Whisper, Tokenizer]:
    """A Whisper from a folder with model.bin, config.json and tokenizer.json, as float32.

    Raises:
        SecateurError: a missing, truncated or foreign file.
    """
    folder = Path(folder)
    where = str(folder / "model.bin")
    variables = read_variables(folder / "model.bin")
    state = _state(variables, where)
    vocabulary, width = state["decoder.token_embedding.weight"].shape
    values = read_json(folder / "config.json") if (folder / "config.json").exists() else {}
    tokenizer_values = read_json(folder / "tokenizer.json")
    added = {t["content"]: t["id"] for t in tokenizer_values.get("added_tokens", ())}
    if "<|endoftext|>" not in added or "<|startoftranscript|>" not in added:
        raise SecateurError(f"{folder / 'tokenizer.json'}: not a Whisper tokenizer")
    multilingual = vocabulary >= 51865
    ids = set(values.get("lang_ids") or ()) if multilingual else set()
    generation = {
        "suppress_tokens": values.get("suppress_ids"), "begin_suppress_tokens": values.get("suppress_ids_begin"),
        "is_multilingual": multilingual, "lang_to_id": {t: i for t, i in added.items() if i in ids},
    }  # fmt: skip
    config = uniform(
        width=width, heads=int(np.asarray(variables["encoder/num_heads"]).reshape(-1)[0]),
        ffn=state["encoder.layers.0.ffn.up.weight"].shape[0], encoder_layers=_layers(variables, "encoder"),
        decoder_layers=_layers(variables, "decoder"), vocabulary=vocabulary,
        tokens=special_tokens({}, generation, added, vocabulary),
        audio_context=state["encoder.positions"].shape[0], text_context=state["decoder.positions"].shape[0],
        bins=state["encoder.conv1.weight"].shape[1], name=name or folder.name,
    )  # fmt: skip
    with torch.device("meta"):
        model = Whisper(config)
    fit(model, state, where)
    return model.eval(), Tokenizer.read(folder / "tokenizer.json", config.tokens.end)
