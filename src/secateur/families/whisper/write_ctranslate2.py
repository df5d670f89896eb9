"""Write a Whisper in CTranslate2's layout, for faster-whisper, without ctranslate2 (see `ctranslate2` for the file)."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ...base.files import atomic_path, write_json, write_text
from ...export.graph import Array
from ...export.layers import FloatWeights
from ...models.family import Storage
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
FP16 = Storage("fp16")


def variables_of(model: Whisper, precision: str = "fp16") -> dict[str, Callable[[], Array]]:
    """The network under CTranslate2's names, each variable made when it is called: projections fused, keys with a bias
    of zeros."""
    state, dtype = FloatWeights(model), np.float16 if precision == "fp16" else np.float32
    variables: dict[str, Callable[[], Array]] = {}

    def joined(names: Sequence[str], zeros: str) -> Array:
        values = [state[name] if name in state else np.zeros_like(state[zeros]) for name in names]
        return (values[0] if len(values) == 1 else np.concatenate(values)).astype(dtype)

    for ours, theirs, names in modules(len(model.config.encoder), len(model.config.decoder)):
        if names:  # Whisper's keys have no bias: the fused vector holds zeros for them
            zeros = f"{ours}.value.bias"
            for kind in ("weight", "bias"):
                variables[f"{theirs}/{kind}"] = partial(joined, [f"{ours}.{name}.{kind}" for name in names], zeros)
        else:
            for leaf, kind in zip(leaves(theirs), ("weight", "bias"), strict=True):
                variables[f"{theirs}/{leaf}"] = partial(joined, [f"{ours}.{kind}"], "")
    variables |= {theirs: partial(joined, [ours], "") for ours, theirs in UNMODULED.items()}
    heads = np.array(model.config.encoder[0].attention.heads, np.int16)
    variables |= {f"{side}/num_heads": partial(np.asarray, heads) for side in ("encoder", "decoder")}
    flags = {"activation": GELU, "pre_norm": 1, "scale_embeddings": 0, "start_from_zero_embedding": 0}
    return variables | {f"decoder/{name}": partial(np.array, value, np.int8) for name, value in flags.items()}


def write_model_bin(path: Path, variables: Mapping[str, Callable[[], Array]], aliases: Mapping[str, str]) -> None:
    """Write `model.bin`, one variable after the other."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    with atomic_path(path) as temporary, temporary.open("wb") as out:
        out.write(struct.pack("<I", VERSION) + text(KIND) + struct.pack("<II", REVISION, len(variables)))
        for name, make in variables.items():
            value = make()
            out.write(text(name) + struct.pack("<B", value.ndim) + struct.pack(f"<{value.ndim}I", *value.shape))
            out.write(struct.pack("<BI", CODES[value.dtype.name], value.nbytes) + value.tobytes())
        out.write(struct.pack("<I", len(aliases)))
        out.write(b"".join(text(alias) + text(name) for alias, name in aliases.items()))


def named_tokens(config: WhisperConfig, tokenizer: Tokenizer) -> list[str]:
    """The vocabulary by id: byte-level text tokens, then the special ones."""
    names = {i: name for name, i in json.loads(tokenizer.definition)["model"]["vocab"].items()}
    names |= {i: name for name, i in (special_names(config.vocabulary) or {}).items()}
    return [names.get(i, f"<|unused{i}|>") for i in range(config.vocabulary)]


def write_ctranslate2(folder: str | Path, model: Whisper, tokenizer: Tokenizer, storage: Storage = FP16) -> Path:
    """Write what `faster_whisper.WhisperModel` loads (it quantises itself, see `compute_type`).

    It pads every clip to 30 s; a model that was made for clips of their own length gets them padded there all the same.

    Raises:
        SecateurError: widths that differ between layers, named by the first such part, or another vocabulary.
    """
    model = multiplied_out(model)
    folder, config, tokens = Path(folder), model.config, model.config.tokens
    check_uniform(config, "CTranslate2")
    aliases = {"decoder/projection/weight": "decoder/embeddings/weight"}
    write_model_bin(folder / "model.bin", variables_of(model, storage.precision), aliases)
    heads = [list(pair) for pair in config.alignment_heads]
    if not heads:  # all of the later half of the layers, the reference's own choice for a model it does not know
        later = range(len(config.decoder) // 2, len(config.decoder))
        heads = [[i, head] for i in later for head in range(config.decoder[i].cross_attention.heads)]
    values = {
        "suppress_ids": list(tokens.suppress),
        "suppress_ids_begin": list(tokens.suppress_at_start),
        "lang_ids": sorted(tokens.languages.values()),
        "alignment_heads": heads,
    }
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
