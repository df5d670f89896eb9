"""Write a Whisper as a `transformers` folder, where its widths are the same in every layer, as that library wants."""

from __future__ import annotations

import json
import math
from pathlib import Path

from ...base.errors import SecateurError
from ...base.files import Json, write_json, write_text
from ...base.tensors import PRECISIONS, dtype_of, write_sharded
from ...features.front_end import FrontEnd
from ...models.family import Storage
from ...prune.low_rank import multiplied_out
from ...text.tokenizer import Tokenizer
from ...text.tokens import Tokens
from ..transformers_files import FP32
from .config import AttentionWidths, WhisperConfig
from .generation import written
from .model import Whisper
from .read_transformers import LAYER, LEAF, TOP
from .vocabulary import special_names


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
            for theirs, ours_part in LEAF.items():
                leaf = f"{theirs}{leaf.removeprefix(ours_part)}" if leaf.startswith(ours_part + ".") else leaf
            return f"model.{side}.layers.{number}.{old}.{leaf}"
    raise SecateurError(f"no transformers name for '{ours}'")


def check_uniform(config: WhisperConfig, library: str = "transformers") -> tuple[int, int, int]:
    """Heads, encoder and decoder FFN units, when every layer has the same and heads fill the width.

    Raises:
        SecateurError: names the first part that differs.
    """
    if not config.encoder or not config.decoder:
        raise SecateurError(f"{library} has no Whisper without encoder or decoder layers; export to ONNX")
    front = config.front_end
    if front != FrontEnd(bins=front.bins, hop=front.hop):
        raise SecateurError(f"{library} has no name for pruned inputs (bins, sample rate); export to ONNX")
    if config.frame_merging:
        raise SecateurError(f"{library} cannot merge frames inside the encoder; export to ONNX or transformers-pruned")
    if config.conv_outputs:
        raise SecateurError(
            f"{library} has no name for the matrices around a cut width; export to ONNX or transformers-pruned"
        )
    if config.conv_channels != config.width:
        raise SecateurError(f"{library} has no name for pruned convolution channels; export to ONNX")
    first = config.encoder[0].attention
    dimensions = config.width // first.heads
    full = AttentionWidths(first.heads, dimensions, dimensions)
    parts: list[tuple[str, object, object]] = []
    for i, e in enumerate(config.encoder):
        name = f"encoder.layers.{i}"
        parts += [(f"{name}.attention", e.attention, full), (f"{name}.ffn", e.ffn, config.encoder[0].ffn)]
    for i, d in enumerate(config.decoder):
        name = f"decoder.layers.{i}"
        parts += [(f"{name}.{part}", getattr(d, part), full) for part in ("self_attention", "cross_attention")]
        parts.append((f"{name}.ffn", d.ffn, config.decoder[0].ffn))
    for part, widths, usual in parts:
        if widths != usual:
            raise SecateurError(f"{part} has widths of its own, which {library} cannot say; export to ONNX")
    if not math.isclose(config.attention_scale, dimensions**-0.5, rel_tol=1e-6):
        raise SecateurError(
            f"an attention scale of {config.attention_scale:g} with heads of {dimensions} dimensions, which "
            f"{library} cannot say; export to ONNX"
        )
    if special_names(config.vocabulary) is None:
        raise SecateurError(
            f"a vocabulary of {config.vocabulary} rows, which is not one of OpenAI's: {library} would take other "
            "tokens for the special ones; export to ONNX"
        )
    if not config.max_seconds.is_integer():
        raise SecateurError(f"windows of {config.max_seconds:g} s: {library} knows whole seconds; export to ONNX")
    return first.heads, config.encoder[0].ffn, config.decoder[0].ffn


def write_transformers(folder: str | Path, model: Whisper, tokenizer: Tokenizer, storage: Storage = FP32) -> Path:
    """Write what `from_pretrained` of transformers' Whisper model and processor need.

    transformers pads every clip to the whole window; a model that was made for clips of their own length
    (`config.padded` false) gets them padded there all the same.

    Raises:
        SecateurError: widths that differ between layers, named by the first such part, or another vocabulary.
    """
    model = multiplied_out(model)
    folder, config = Path(folder), model.config
    heads, encoder_ffn, decoder_ffn = check_uniform(config)
    write_weights(folder, model, storage)
    values = sizes(config, heads, encoder_ffn, decoder_ffn, storage)
    write_json(
        folder / "config.json",
        {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"], **values},
    )
    write_generation(folder, config)
    named = special_names(config.vocabulary) or {}
    write_tokenizer(folder, tokenizer, named, config.tokens.timestamps)
    write_json(
        folder / "preprocessor_config.json",
        {"feature_extractor_type": "WhisperFeatureExtractor", **extractor_values(config, config.front_end.bins)},
    )
    return folder


def write_weights(folder: Path, model: Whisper, storage: Storage) -> None:
    """model.safetensors, or its pieces, under their names."""
    state = {their_name(name): value for name, value in model.state_dict().items()}
    write_sharded(folder, state, {"format": "pt"}, dtype_of(storage.precision), storage.largest)


def sizes(config: WhisperConfig, heads: int, encoder_ffn: int, decoder_ffn: int, storage: Storage) -> Json:
    """The values of their config.json, without the kind of model."""
    tokens = config.tokens
    return {
        "d_model": config.width, "vocab_size": config.vocabulary, "encoder_layers": len(config.encoder),
        "decoder_layers": len(config.decoder), "encoder_attention_heads": heads, "decoder_attention_heads": heads,
        "encoder_ffn_dim": encoder_ffn, "decoder_ffn_dim": decoder_ffn, "num_mel_bins": config.front_end.inputs,
        "dtype": PRECISIONS[storage.precision],
        "max_source_positions": config.audio_context, "max_target_positions": config.text_context,
        "decoder_start_token_id": tokens.start, "suppress_tokens": None, "begin_suppress_tokens": None, **_ends(tokens),
    }  # fmt: skip


def _ends(tokens: Tokens) -> dict[str, int]:
    return {"bos_token_id": tokens.end, "eos_token_id": tokens.end, "pad_token_id": tokens.end}


def write_generation(folder: Path, config: WhisperConfig) -> None:
    """generation_config.json: start, suppressed and special tokens, and what else was read with the model."""
    tokens = config.tokens
    generation: Json = {
        "decoder_start_token_id": tokens.start,
        "suppress_tokens": list(tokens.suppress),
        "begin_suppress_tokens": list(tokens.suppress_at_start),
        "no_timestamps_token_id": tokens.no_timestamps,
        "prev_sot_token_id": tokens.previous,
        "is_multilingual": tokens.multilingual,
        **_ends(tokens),
    }
    if tokens.multilingual:
        generation["lang_to_id"] = {f"<|{name}|>": i for name, i in tokens.languages.items()}
        generation["task_to_id"] = {"transcribe": tokens.transcribe, "translate": tokens.translate}
    values = written(config.generation, config.alignment_heads, generation, config.text_context)
    write_json(folder / "generation_config.json", values)


def write_tokenizer(folder: Path, tokenizer: Tokenizer, named: dict[str, int], timestamps: int | None) -> None:
    """tokenizer.json with the tokens that no text has, by name, in the order of their numbers."""
    special = [name for name, i in named.items() if timestamps is None or i < timestamps]
    definition = json.loads(tokenizer.definition)
    # Times included: `tokenizers` counts added tokens on from the last text row and would close any gap.
    definition["added_tokens"] = [
        {"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": name in special}
        for name, i in named.items()
    ]  # fmt: skip
    write_text(folder / "tokenizer.json", json.dumps(definition, ensure_ascii=False))
    # transformers takes the last special token for the one before <|0.00|>.
    roles = {f"{role}_token": special[0] for role in ("bos", "eos", "pad", "unk")}
    tokenizer_values = {"tokenizer_class": "WhisperTokenizer", **roles, "additional_special_tokens": special[1:]}
    write_json(folder / "tokenizer_config.json", tokenizer_values)


def extractor_values(config: WhisperConfig, bins: int) -> Json:
    """The values of preprocessor_config.json for their feature extractor."""
    front, samples = config.front_end, 2 * config.audio_context * config.front_end.hop
    return {
        "processor_class": "WhisperProcessor", "feature_size": bins, "sampling_rate": front.sample_rate,
        "hop_length": front.hop, "n_fft": front.window, "chunk_length": samples // front.sample_rate,
        "n_samples": samples, "nb_max_frames": samples // front.hop, "padding_side": "right", "padding_value": 0.0,
        "return_attention_mask": False,
    }  # fmt: skip
