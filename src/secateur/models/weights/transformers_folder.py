"""Read a `transformers` Whisper folder (config.json, model.safetensors, tokenizer.json), without transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ...base.files import read_json
from ...text.tokenizer import Tokenizer
from ...text.tokens import Tokens
from ..checkpoint import fit, read_weights
from ..whisper.config import WhisperConfig, uniform
from ..whisper.model import Whisper

LAYER = {
    "self_attn_layer_norm": "self_attention_norm",
    "self_attn": "self_attention",
    "encoder_attn_layer_norm": "cross_attention_norm",
    "encoder_attn": "cross_attention",
    "final_layer_norm": "ffn_norm",
    "fc1": "ffn.up",
    "fc2": "ffn.down",
}
LEAF = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "out"}
TOP = {
    "embed_positions.weight": "positions",
    "embed_tokens.weight": "token_embedding.weight",
    "layer_norm.weight": "norm.weight",
    "layer_norm.bias": "norm.bias",
}


def our_name(theirs: str) -> str | None:
    """Our parameter name for one of theirs; None for what we do not keep (the tied output layer)."""
    name = theirs.removeprefix("model.")
    if name == "proj_out.weight":
        return None
    side, _, rest = name.partition(".")
    if not rest.startswith("layers."):
        return f"{side}.{TOP.get(rest, rest)}"
    _, number, part, *leaf = rest.split(".")
    ours = LAYER[part]
    if side == "encoder":
        ours = ours.replace("self_attention", "attention")
    return ".".join([side, "layers", number, ours, *[LEAF.get(x, x) for x in leaf]])


def special_tokens(
    config: dict[str, Any], generation: dict[str, Any], added: dict[str, int], vocabulary: int
) -> Tokens:
    """The special ids of a checkpoint, from its config, generation config and added tokens (content to id)."""
    no_timestamps = added.get("<|notimestamps|>", generation.get("no_timestamps_token_id"))
    languages = {name[2:-2]: i for name, i in (generation.get("lang_to_id") or {}).items()}
    timestamps = None if no_timestamps is None else no_timestamps + 1
    return Tokens(
        start=added.get("<|startoftranscript|>", config.get("decoder_start_token_id")),  # type: ignore[arg-type]
        end=added.get("<|endoftext|>", config.get("eos_token_id")),  # type: ignore[arg-type]
        no_timestamps=no_timestamps,
        timestamps=timestamps,
        timestamp_count=0 if timestamps is None else vocabulary - timestamps,
        transcribe=added.get("<|transcribe|>"),
        translate=added.get("<|translate|>"),
        previous=added.get("<|startofprev|>"),
        no_speech=added.get("<|nospeech|>", added.get("<|nocaptions|>")),
        multilingual=bool(generation.get("is_multilingual", bool(languages))),
        languages=languages,
        suppress=tuple(generation.get("suppress_tokens") or ()),
        suppress_at_start=tuple(generation.get("begin_suppress_tokens") or ()),
    )


def read_transformers(folder: str | Path) -> tuple[Whisper, Tokenizer]:
    """A Whisper from a `transformers` folder, as float32.

    Raises:
        SecateurError: not such a folder, or one whose weights do not fit its config.
    """
    folder = Path(folder)
    values = read_json(folder / "config.json")
    if values.get("model_type") != "whisper":
        raise SecateurError(f"{folder}: a '{values.get('model_type')}' model; only whisper is known here")
    generation_file = folder / "generation_config.json"
    generation = read_json(generation_file) if generation_file.exists() else {}
    added = {t["content"]: t["id"] for t in read_json(folder / "tokenizer.json").get("added_tokens", ())}
    config: WhisperConfig = uniform(
        width=values["d_model"],
        heads=values["encoder_attention_heads"],
        ffn=values["encoder_ffn_dim"],
        encoder_layers=values["encoder_layers"],
        decoder_layers=values["decoder_layers"],
        vocabulary=values["vocab_size"],
        tokens=special_tokens(values, generation, added, values["vocab_size"]),
        audio_context=values["max_source_positions"],
        text_context=values["max_target_positions"],
        bins=values["num_mel_bins"],
        name=folder.name,
    )
    state: dict[str, Tensor] = {}
    for name, value in read_weights(folder / "model.safetensors").items():
        ours = our_name(name)
        if ours is not None:
            state[ours] = value
    with torch.device("meta"):
        model = Whisper(config)
    fit(model, state, str(folder))
    return model.eval(), Tokenizer.read(folder / "tokenizer.json", config.tokens.end)
