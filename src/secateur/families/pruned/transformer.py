"""CTC models of `transformers` with layers of any widths, as models of `transformers`: Wav2Vec2 and its Conformer,
HuBERT, WavLM, Parakeet.
"""

from __future__ import annotations

from typing import Any

from transformers import (
    HubertConfig,
    HubertForCTC,
    ParakeetCTCConfig,
    ParakeetForCTC,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    Wav2Vec2ConformerForCTC,
    Wav2Vec2ForCTC,
    WavLMConfig,
    WavLMForCTC,
)

from ..parakeet.config import ParakeetConfig
from ..parakeet.model import resize as resize_encoder
from ..transformers_ctc.config import HfCtcConfig
from ..transformers_ctc.resize import resize
from .secateur_config import secateur_config


class PrunedWav2Vec2Config(Wav2Vec2Config):
    """Wav2Vec2's, with our own under `secateur`."""

    model_type = "secateur-wav2vec2"
    secateur: dict[str, Any] | None = None


class PrunedWav2Vec2ForCTC(Wav2Vec2ForCTC):
    """Wav2Vec2ForCTC with the widths of its config."""

    config_class = PrunedWav2Vec2Config

    def __init__(self, config: PrunedWav2Vec2Config, **options: Any) -> None:
        super().__init__(config, **options)
        resize(self.wav2vec2, secateur_config(config, HfCtcConfig))


class PrunedHubertConfig(HubertConfig):
    """HuBERT's, with our own under `secateur`."""

    model_type = "secateur-hubert"
    secateur: dict[str, Any] | None = None


class PrunedHubertForCTC(HubertForCTC):
    """HubertForCTC with the widths of its config."""

    config_class = PrunedHubertConfig

    def __init__(self, config: PrunedHubertConfig, **options: Any) -> None:
        super().__init__(config, **options)
        resize(self.hubert, secateur_config(config, HfCtcConfig))


class PrunedWavLMConfig(WavLMConfig):
    """WavLM's, with our own under `secateur`."""

    model_type = "secateur-wavlm"
    secateur: dict[str, Any] | None = None


class PrunedWavLMForCTC(WavLMForCTC):
    """WavLMForCTC with the widths of its config; the encoder owns the table of distances that all layers share."""

    config_class = PrunedWavLMConfig

    def __init__(self, config: PrunedWavLMConfig, **options: Any) -> None:
        super().__init__(config, **options)
        resize(self.wavlm, secateur_config(config, HfCtcConfig))


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
