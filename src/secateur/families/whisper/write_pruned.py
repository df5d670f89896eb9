"""Write a Whisper of any widths as a folder that `secateur.families.pruned` loads as a model of `transformers`."""

from __future__ import annotations

from pathlib import Path

from ...base.errors import SecateurError
from ...base.files import write_json
from ...base.options import to_dict
from ...models.family import Storage
from ...prune.low_rank import multiplied_out
from ...text.tokenizer import Tokenizer
from ...text.tokens import Tokens
from ..transformers_files import FP32, class_values
from .config import WhisperConfig
from .model import Whisper
from .write_transformers import extractor_values, sizes, write_generation, write_tokenizer, write_weights


def write_pruned_whisper(folder: str | Path, model: Whisper, tokenizer: Tokenizer, storage: Storage = FP32) -> Path:
    """Write what `AutoModelForSpeechSeq2Seq` and `AutoProcessor` load once `secateur.families.pruned` is imported.

    transformers pads every clip to the whole window; a model that was made for clips of their own length
    (`config.padded` false) gets them padded there all the same.

    Raises:
        SecateurError: no layers on one side.
    """
    model = multiplied_out(model)
    folder, config = Path(folder), model.config
    if not config.encoder or not config.decoder:
        raise SecateurError("transformers has no Whisper without encoder or decoder layers; export to ONNX")
    write_weights(folder, model, storage)
    # Heads as their class wants them, before each layer gets its own.
    heads = max(h for h in range(1, config.width + 1) if h == 1 or (config.width % h == 0 and h <= config.width // 8))
    write_json(
        folder / "config.json",
        {
            **class_values("whisper", "WhisperForConditionalGeneration", config, pruned=True),
            **sizes(config, heads, config.encoder[0].ffn, config.decoder[0].ffn, storage),
        },
    )
    write_generation(folder, config)
    write_tokenizer(folder, tokenizer, names_of(config), config.tokens.timestamps)
    write_json(folder / "preprocessor_config.json", {
        "feature_extractor_type": "PrunedWhisperFeatureExtractor", **extractor_values(config, config.front_end.inputs),
        "front_end": to_dict(config.front_end),
    })  # fmt: skip
    return folder


def names_of(config: WhisperConfig) -> dict[str, int]:
    """A name for every row from the end of texts on, in their order."""
    tokens: Tokens = config.tokens
    known = {
        "endoftext": tokens.end, "startoftranscript": tokens.start, "transcribe": tokens.transcribe,
        "translate": tokens.translate, "startofprev": tokens.previous, "nospeech": tokens.no_speech,
        "notimestamps": tokens.no_timestamps, **tokens.languages,
    }  # fmt: skip
    names = {i: name for name, i in known.items() if i is not None}
    for step in range(tokens.timestamp_count if tokens.timestamps is not None else 0):
        names[(tokens.timestamps or 0) + step] = f"{step * 0.02:.2f}"
    return {f"<|{names.get(i, f'unused{i}')}|>": i for i in range(tokens.end, config.vocabulary)}
