"""Wav2Vec2 Conformer and Parakeet with a CTC output and blocks of any widths, as models of `transformers`."""

from __future__ import annotations

from typing import Any

from transformers import ParakeetCTCConfig, ParakeetForCTC, Wav2Vec2ConformerConfig, Wav2Vec2ConformerForCTC

from ..parakeet.config import ParakeetConfig
from ..parakeet.resize import resize as resize_encoder
from ..transformers_ctc.config import HfCtcConfig
from ..transformers_ctc.resize import resize
from .secateur_config import secateur_config


class PrunedWav2Vec2ConformerConfig(Wav2Vec2ConformerConfig):
    """Wav2Vec2 Conformer's, with our own under `secateur`."""

    model_type = "secateur-wav2vec2-conformer"
    secateur: dict[str, Any] | None = None


class PrunedWav2Vec2ConformerForCTC(Wav2Vec2ConformerForCTC):
    """Wav2Vec2ConformerForCTC with the widths of its config.

    As in `transformers`, convolutions read the padding of a batch; our own runtime masks it.
    """

    config_class = PrunedWav2Vec2ConformerConfig

    def __init__(self, config: PrunedWav2Vec2ConformerConfig, **options: Any) -> None:
        super().__init__(config, **options)
        resize(self.wav2vec2_conformer, secateur_config(config, HfCtcConfig))


class PrunedParakeetConfig(ParakeetCTCConfig):
    """Parakeet's, with our own under `secateur`."""

    model_type = "secateur-parakeet_ctc"
    secateur: dict[str, Any] | None = None


class PrunedParakeetForCTC(ParakeetForCTC):
    """ParakeetForCTC with the widths of its config."""

    config_class = PrunedParakeetConfig

    def __init__(self, config: PrunedParakeetConfig) -> None:
        super().__init__(config)
        resize_encoder(self.encoder, secateur_config(config, ParakeetConfig))
