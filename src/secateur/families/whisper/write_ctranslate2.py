"""Write a Whisper in CTranslate2's layout, for faster-whisper, without ctranslate2 (see `ctranslate2` for the file)."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ...base.files import write_bytes, write_json, write_text
from ...prune.low_rank import multiplied_out
from ...text.tokenizer import Tokenizer
from .config import WhisperConfig
from .model import Whisper
from .read_ctranslate2 import UNMODULED, leaves, modules
from .vocabulary import special_names
from .write_transformers import check_uniform

VERSION, KIND, REVISION = 6, "WhisperSpec", 3
CODES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
GELU = 3  # ctranslate2's number for the exact one
Arrays = dict[str, np.ndarray[Any, Any]]


def variables_of(model: Whisper) -> Arrays:
    """The network under CTranslate2's names: projections fused, keys with a bias of zeros, weights in fp16."""
    state = {name: value.detach().cpu().float().numpy() for name, value in model.state_dict().items()}
    variables: Arrays = {}

    for ours, theirs, names in modules(len(model.config.encoder), len(model.config.decoder)):
        if names:  # Whisper's keys have no bias: the fused vector holds zeros for them
            zeros = np.zeros_like(state[f"{ours}.value.bias"])
            variables[f"{theirs}/weight"] = np.concatenate([state[f"{ours}.{name}.weight"] for name in names])
            variables[f"{theirs}/bias"] = np.concatenate([state.get(f"{ours}.{name}.bias", zeros) for name in names])
        else:
            for leaf, kind in zip(leaves(theirs), ("weight", "bias"), strict=True):
                variables[f"{theirs}/{leaf}"] = state[f"{ours}.{kind}"]
    variables |= {theirs: state[ours] for ours, theirs in UNMODULED.items()}
    variables = {name: value.astype(np.float16) for name, value in variables.items()}
    for side, first in (("encoder", model.config.encoder[0].attention), ("decoder", model.config.encoder[0].attention)):
        variables[f"{side}/num_heads"] = np.array(first.heads, np.int16)
    flags = {"activation": GELU, "pre_norm": 1, "scale_embeddings": 0, "start_from_zero_embedding": 0}
    return variables | {f"decoder/{name}": np.array(value, np.int8) for name, value in flags.items()}


def model_bin(variables: Arrays, aliases: dict[str, str]) -> bytes:
    """The bytes of `model.bin`."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    out = [struct.pack("<I", VERSION), text(KIND), struct.pack("<II", REVISION, len(variables))]
    for name, value in variables.items():
        out += [text(name), struct.pack("<B", value.ndim), struct.pack(f"<{value.ndim}I", *value.shape)]
        data = np.ascontiguousarray(value).tobytes()
        out += [struct.pack("<BI", CODES[value.dtype.name], len(data)), data]
    out.append(struct.pack("<I", len(aliases)))
    return b"".join([*out, *(text(alias) + text(name) for alias, name in aliases.items())])


def named_tokens(config: WhisperConfig, tokenizer: Tokenizer) -> list[str]:
    """The vocabulary by id: byte-level text tokens, then the special ones."""
    names = {i: name for name, i in json.loads(tokenizer.definition)["model"]["vocab"].items()}
    names |= {i: name for name, i in (special_names(config.vocabulary) or {}).items()}
    return [names[i] for i in range(config.vocabulary)]


def write_ctranslate2(folder: str | Path, model: Whisper, tokenizer: Tokenizer) -> Path:
    """Write what `faster_whisper.WhisperModel` loads, weights in fp16 (it quantises itself, see `compute_type`).

    It pads every clip to 30 s; a model that was made for clips of their own length gets them padded there all the same.

    Raises:
        SecateurError: widths that differ between layers, named by the first such part, or another vocabulary.
    """
    model = multiplied_out(model)
    folder, config, tokens = Path(folder), model.config, model.config.tokens
    check_uniform(config, "CTranslate2")
    aliases = {"decoder/projection/weight": "decoder/embeddings/weight"}
    write_bytes(folder / "model.bin", model_bin(variables_of(model), aliases))
    # All heads of the later half of the layers, the reference's own choice for a model it does not know.
    later = range(len(config.decoder) // 2, len(config.decoder))
    values = {
        "suppress_ids": list(tokens.suppress), "suppress_ids_begin": list(tokens.suppress_at_start),
        "lang_ids": sorted(tokens.languages.values()),
        "alignment_heads": [[i, head] for i in later for head in range(config.decoder[i].cross_attention.heads)],
    }  # fmt: skip
    write_json(folder / "config.json", values)
    write_json(folder / "vocabulary.json", named_tokens(config, tokenizer))
    definition = json.loads(tokenizer.definition)
    named = special_names(config.vocabulary) or {}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    definition["added_tokens"] = [{"id": i, "content": name, **plain} for name, i in named.items()]
    write_text(folder / "tokenizer.json", json.dumps(definition, ensure_ascii=False))
    front = config.front_end
    write_json(folder / "preprocessor_config.json", {
        "feature_size": front.bins, "sampling_rate": front.sample_rate, "hop_length": front.hop, "n_fft": front.window,
        "chunk_length": int(config.max_seconds),
    })  # fmt: skip
    return folder
