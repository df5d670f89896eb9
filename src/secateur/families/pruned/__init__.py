"""Pruned models as models of `transformers`: what `secateur export --format transformers-pruned` writes, loaded by

    import secateur.families.pruned
    from transformers import AutoModelForCTC, AutoModelForSpeechSeq2Seq, AutoProcessor

    model = AutoModelForCTC.from_pretrained("runs/mine/plain")     # or PrunedWav2Vec2ForCTC.from_pretrained
    logits = model(processor(samples, sampling_rate=16000, return_tensors="pt").input_values).logits

Each class is the family's own with layers of the widths that its config lists under `secateur`: our checkpoint's
config, whole. Everything else (`generate`, `save_pretrained`, training, `pipeline`) is as in `transformers`. Importing
this module registers them with the Auto classes; `import secateur` does it too, once `transformers` is imported.
"""

from __future__ import annotations

from .moonshine import PrunedMoonshineConfig, PrunedMoonshineForConditionalGeneration
from .transformer import (
    PrunedHubertConfig,
    PrunedHubertForCTC,
    PrunedParakeetConfig,
    PrunedParakeetForCTC,
    PrunedWav2Vec2Config,
    PrunedWav2Vec2ConformerConfig,
    PrunedWav2Vec2ConformerForCTC,
    PrunedWav2Vec2ForCTC,
    PrunedWavLMConfig,
    PrunedWavLMForCTC,
)
from .whisper import PrunedWhisperConfig, PrunedWhisperFeatureExtractor, PrunedWhisperForConditionalGeneration

__all__ = [
    "PrunedHubertConfig", "PrunedHubertForCTC", "PrunedMoonshineConfig", "PrunedMoonshineForConditionalGeneration",
    "PrunedParakeetConfig", "PrunedParakeetForCTC", "PrunedWav2Vec2Config",
    "PrunedWav2Vec2ConformerConfig", "PrunedWav2Vec2ConformerForCTC", "PrunedWav2Vec2ForCTC", "PrunedWavLMConfig",
    "PrunedWavLMForCTC", "PrunedWhisperConfig", "PrunedWhisperFeatureExtractor",
    "PrunedWhisperForConditionalGeneration", "register",
]  # fmt: skip


def register() -> None:
    """Register these with the Auto classes of `transformers`; a second call changes nothing."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES as WRITERS

    ctc = (
        (PrunedWav2Vec2Config, PrunedWav2Vec2ForCTC),
        (PrunedHubertConfig, PrunedHubertForCTC),
        (PrunedWavLMConfig, PrunedWavLMForCTC),
        (PrunedWav2Vec2ConformerConfig, PrunedWav2Vec2ConformerForCTC),
        (PrunedParakeetConfig, PrunedParakeetForCTC),
    )
    texts = (
        (PrunedWhisperConfig, PrunedWhisperForConditionalGeneration),
        (PrunedMoonshineConfig, PrunedMoonshineForConditionalGeneration),
    )
    for config, model in (*ctc, *texts):
        transformers.AutoConfig.register(config.model_type, config, exist_ok=True)
        auto = transformers.AutoModelForCTC if (config, model) in ctc else transformers.AutoModelForSpeechSeq2Seq
        auto.register(config, model, exist_ok=True)
        if (config, model) in texts:  # where `pipeline` looks for what writes tokens
            WRITERS[config.model_type] = model.__name__
    transformers.AutoFeatureExtractor.register(PrunedWhisperConfig, PrunedWhisperFeatureExtractor, exist_ok=True)


register()
