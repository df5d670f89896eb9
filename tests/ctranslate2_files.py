"""A small Whisper with equal widths, and a writer of CTranslate2's `model.bin` for it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_models import small_tokenizer

from secateur.families.whisper.config import uniform
from secateur.families.whisper.model import Whisper
from secateur.text.tokenizer import Tokenizer
from secateur.text.tokens import Tokens

CODES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4, "bfloat16": 5}
Variables = dict[str, tuple[str, "np.ndarray[Any, Any]"]]  # name: (type, values)


def small_uniform(seed: int = 0) -> tuple[Whisper, Tokenizer]:
    """Weights are exact in 16 bits."""
    tokenizer = small_tokenizer()
    end = tokenizer.end
    config = uniform(
        width=24, heads=3, ffn=40, encoder_layers=2, decoder_layers=3, vocabulary=end + 8, audio_context=50,
        text_context=32, tokens=Tokens(end + 1, end, end + 2, end + 3, 5), name="small",
    )  # fmt: skip
    torch.manual_seed(seed)
    model = Whisper(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter + 0.1 * torch.randn_like(parameter)).half())
    return model, tokenizer


def variables_of(model: Whisper) -> Variables:
    """The network under CTranslate2's names, projections fused, keys with a bias of zeros."""
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    found: dict[str, np.ndarray[Any, Any]] = {}

    def put(theirs: str, ours: str, weight: str = "weight", bias: str = "bias") -> None:
        found[f"{theirs}/{weight}"], found[f"{theirs}/{bias}"] = state[f"{ours}.weight"], state[f"{ours}.bias"]

    def fused(theirs: str, ours: str, names: tuple[str, ...]) -> None:
        found[f"{theirs}/weight"] = np.concatenate([state[f"{ours}.{n}.weight"] for n in names])
        width = state[f"{ours}.value.bias"]
        found[f"{theirs}/bias"] = np.concatenate([state.get(f"{ours}.{n}.bias", np.zeros_like(width)) for n in names])

    put("encoder/conv1", "encoder.conv1")
    put("encoder/conv2", "encoder.conv2")
    for side, layers in (("encoder", model.config.encoder), ("decoder", model.config.decoder)):
        own = "attention" if side == "encoder" else "self_attention"
        for i in range(len(layers)):
            theirs, ours = f"{side}/layer_{i}", f"{side}.layers.{i}"
            put(f"{theirs}/self_attention/layer_norm", f"{ours}.{own}_norm", "gamma", "beta")
            fused(f"{theirs}/self_attention/linear_0", f"{ours}.{own}", ("query", "key", "value"))
            put(f"{theirs}/self_attention/linear_1", f"{ours}.{own}.out")
            if side == "decoder":
                put(f"{theirs}/attention/layer_norm", f"{ours}.cross_attention_norm", "gamma", "beta")
                put(f"{theirs}/attention/linear_0", f"{ours}.cross_attention.query")
                fused(f"{theirs}/attention/linear_1", f"{ours}.cross_attention", ("key", "value"))
                put(f"{theirs}/attention/linear_2", f"{ours}.cross_attention.out")
            put(f"{theirs}/ffn/layer_norm", f"{ours}.ffn_norm", "gamma", "beta")
            put(f"{theirs}/ffn/linear_0", f"{ours}.ffn.up")
            put(f"{theirs}/ffn/linear_1", f"{ours}.ffn.down")
        put(f"{side}/layer_norm", f"{side}.norm", "gamma", "beta")
        found[f"{side}/position_encodings/encodings"] = state[f"{side}.positions"]
    found["decoder/embeddings/weight"] = state["decoder.token_embedding.weight"]
    result: Variables = {name: ("float32", value) for name, value in found.items()}
    heads = np.array(model.config.encoder[0].attention.heads, np.int16)
    return {**result, "encoder/num_heads": ("int16", heads), "decoder/num_heads": ("int16", heads)}


def stored_as(variables: Variables, kind: str) -> Variables:
    """The same, quantised: matrices to int8 (a scale a row) or int16 (one scale), or everything to another float."""
    result: Variables = {}
    for name, (_, value) in variables.items():
        if value.ndim == 0:
            result[name] = ("int16", value)
        elif kind == "bfloat16":
            result[name] = (kind, (value.astype("<f4").view("<u4") >> 16).astype("<u2"))
        elif kind.startswith("float") or value.ndim == 1 or "encodings" in name:
            result[name] = (kind, value) if kind.startswith("float") else ("float32", value)
        elif kind == "int8":
            scale = (127 / np.abs(value).reshape(len(value), -1).max(1)).astype(np.float32)
            rows = scale.reshape(-1, *[1] * (value.ndim - 1))
            result[name] = ("int8", np.rint(value * rows))
            result[f"{name}_scale"] = ("float32", scale)
        else:
            scale = np.float32(2**10 / np.abs(value).max())
            result[name] = ("int16", np.rint(value * scale))
            result[f"{name}_scale"] = ("float32", np.array(scale))
    return result


def model_bin(variables: Variables, aliases: dict[str, str] | None = None, kind: str = "WhisperSpec") -> bytes:
    """The bytes of a `model.bin`."""

    def text(word: str) -> bytes:
        return struct.pack("<H", len(word.encode()) + 1) + word.encode() + b"\0"

    aliases = aliases or {}
    out = [struct.pack("<I", 6), text(kind), struct.pack("<I", 3), struct.pack("<I", len(variables))]
    for name, (stored, value) in sorted(variables.items()):
        data = np.ascontiguousarray(value).astype("uint16" if stored == "bfloat16" else stored).tobytes()
        out += [text(name), struct.pack("<B", value.ndim), struct.pack(f"<{value.ndim}I", *value.shape)]
        out += [struct.pack("<BI", CODES[stored], len(data)), data]
    out.append(struct.pack("<I", len(aliases)))
    return b"".join([*out, *(text(a) + text(n) for a, n in aliases.items())])


def special_of(tokenizer: Tokenizer) -> dict[str, int]:
    """Names of the special tokens of `small_uniform`."""
    names = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>", *(f"<|{i * 0.02:.2f}|>" for i in range(5))]
    return {name: tokenizer.end + i for i, name in enumerate(names)}


def write_folder(folder: Path, blob: bytes, tokenizer: Tokenizer) -> Path:
    """model.bin, config.json and tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.bin").write_bytes(blob)
    (folder / "config.json").write_text(json.dumps({"suppress_ids": [3, 5], "suppress_ids_begin": [tokenizer.end]}))
    values = json.loads(tokenizer.definition)
    values["added_tokens"] = [{"content": name, "id": i} for name, i in special_of(tokenizer).items()]
    (folder / "tokenizer.json").write_text(json.dumps(values))
    return folder
