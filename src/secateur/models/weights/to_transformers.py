"""Write a Whisper as a `transformers` folder, where its widths are the same in every layer, as that library wants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...base.errors import SecateurError
from ...base.extras import require
from ...base.files import atomic_path, write_json, write_text
from ...text.tokenizer import Tokenizer
from ..whisper.config import AttentionWidths, WhisperConfig
from ..whisper.model import Whisper
from .transformers_folder import LAYER, LEAF, TOP


def their_name(ours: str) -> str:
    """Their parameter name for one of ours."""
    side, _, rest = ours.partition(".")
    if not rest.startswith("layers."):
        back = {new: old for old, new in TOP.items() if old.startswith("layer_norm")}
        back |= {"positions": "embed_positions.weight", "token_embedding.weight": "embed_tokens.weight"}
        return f"model.{side}.{back.get(rest, rest)}"
    _, number, part = rest.split(".", 2)
    if side == "encoder":
        part = part.replace("attention", "self_attention", 1)
    for old, new in sorted(LAYER.items(), key=lambda pair: -len(pair[1])):
        if part.startswith(new + "."):
            leaf = part.removeprefix(new + ".")
            for theirs, mine in LEAF.items():
                leaf = f"{theirs}{leaf.removeprefix(mine)}" if leaf.startswith(mine + ".") else leaf
            return f"model.{side}.layers.{number}.{old}.{leaf}"
    raise SecateurError(f"no transformers name for '{ours}'")


def check_uniform(config: WhisperConfig) -> tuple[int, int, int]:
    """Heads, encoder and decoder FFN units, when every layer has the same and heads fill the width.

    Raises:
        SecateurError: names the first layer that differs.
    """
    if config.front_end.kept_bins is not None or config.conv_channels != config.width:
        raise SecateurError("transformers has no name for pruned mel bins or convolution channels; export to ONNX")
    first = config.encoder[0].attention
    full = AttentionWidths(first.heads, config.width // first.heads, config.width // first.heads)
    layers: list[tuple[str, AttentionWidths, int, int]] = []
    layers += [(f"encoder.layers.{i}", e.attention, e.ffn, config.encoder[0].ffn) for i, e in enumerate(config.encoder)]
    for i, d in enumerate(config.decoder):
        both = (d.self_attention, d.cross_attention)
        layers += [(f"decoder.layers.{i}", a, d.ffn, config.decoder[0].ffn) for a in both]
    for name, attention, ffn, usual in layers:
        if attention != full or ffn != usual:
            raise SecateurError(f"{name} has widths of its own, which transformers cannot say; export to ONNX")
    return first.heads, config.encoder[0].ffn, config.decoder[0].ffn


def write_transformers(folder: str | Path, model: Whisper, tokenizer: Tokenizer) -> Path:
    """Write config.json, generation_config.json, model.safetensors (fp32) and tokenizer.json for `from_pretrained`.

    Raises:
        SecateurError: widths that differ between layers, with the first such layer's name.
    """
    folder, config, tokens = Path(folder), model.config, model.config.tokens
    heads, encoder_ffn, decoder_ffn = check_uniform(config)
    safetensors = require("safetensors.torch", "train")
    state = {their_name(n): t.detach().cpu().float().contiguous() for n, t in model.state_dict().items()}
    with atomic_path(folder / "model.safetensors") as temporary:
        safetensors.save_file(state, temporary, metadata={"format": "pt"})
    ends = {"bos_token_id": tokens.end, "eos_token_id": tokens.end, "pad_token_id": tokens.end}
    values: dict[str, Any] = {
        "model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"], "d_model": config.width,
        "vocab_size": config.vocabulary, "encoder_layers": len(config.encoder), "decoder_layers": len(config.decoder),
        "encoder_attention_heads": heads, "decoder_attention_heads": heads, "encoder_ffn_dim": encoder_ffn,
        "decoder_ffn_dim": decoder_ffn, "num_mel_bins": config.front_end.bins, "dtype": "float32",
        "max_source_positions": config.audio_context, "max_target_positions": config.text_context,
        "decoder_start_token_id": tokens.start, "suppress_tokens": None, "begin_suppress_tokens": None, **ends,
    }  # fmt: skip
    write_json(folder / "config.json", values)
    generation: dict[str, Any] = {
        "decoder_start_token_id": tokens.start, "max_length": config.text_context, "return_timestamps": False,
        "suppress_tokens": list(tokens.suppress), "begin_suppress_tokens": list(tokens.suppress_at_start),
        "no_timestamps_token_id": tokens.no_timestamps, "prev_sot_token_id": tokens.previous,
        "is_multilingual": tokens.multilingual, **ends,
    }  # fmt: skip
    if tokens.multilingual:
        generation["lang_to_id"] = {f"<|{name}|>": i for name, i in tokens.languages.items()}
        generation["task_to_id"] = {"transcribe": tokens.transcribe, "translate": tokens.translate}
    write_json(folder / "generation_config.json", generation)
    definition = json.loads(tokenizer.definition)
    definition["added_tokens"] = [
        {"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for content, i in special_contents(config).items()
    ]  # fmt: skip
    write_text(folder / "tokenizer.json", json.dumps(definition, ensure_ascii=False))
    return folder


def special_contents(config: WhisperConfig) -> dict[str, int]:
    """The special tokens that a tokenizer names, by content."""
    t = config.tokens
    named = {
        "<|endoftext|>": t.end, "<|startoftranscript|>": t.start, "<|translate|>": t.translate,
        "<|transcribe|>": t.transcribe, "<|startofprev|>": t.previous, "<|nospeech|>": t.no_speech,
        "<|notimestamps|>": t.no_timestamps, **{f"<|{name}|>": i for name, i in t.languages.items()},
    }  # fmt: skip
    return {content: i for content, i in sorted(named.items(), key=lambda item: item[1] or 0) if i is not None}
