"""What folders of `transformers` share across families: our config inside theirs, class names, feature extractors."""

from __future__ import annotations

from typing import Any

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.options import to_dict
from ..features.front_end import FrontEnd
from ..models.family import Config, Storage, parse_config
from ..models.frame_merging import MergingConfig

FP32 = Storage("fp32")
# The way out of widths that classes of `transformers` cannot have.
PRUNED_FORMAT = "choose --format transformers-pruned, which secateur.families.pruned loads there, or export to ONNX"


def check_unmerged(config: MergingConfig) -> None:
    """Refuse a model that merges frames, which no class of `transformers` does.

    Raises:
        SecateurError: it does.
    """
    if config.frame_merging:
        raise SecateurError("transformers cannot merge frames inside the encoder of this model: export to ONNX")


def own_config(values: Json, where: str) -> Any:
    """Our config inside theirs, as folders for `secateur.families.pruned` have it; None: a folder of `transformers`.

    Raises:
        SecateurError: see `models.family.parse_config`.
    """
    return parse_config(values["secateur"], f"{where}: secateur") if "secateur" in values else None


def class_values(model_type: str, name: str, config: Config, pruned: bool) -> Json:
    """The keys of config.json that name the class: that of `transformers`, or ours with its config if `pruned`."""
    if not pruned:
        return {"model_type": model_type, "architectures": [name]}
    return {"model_type": f"secateur-{model_type}", "architectures": [f"Pruned{name}"], "secateur": to_dict(config)}


def waveform_extractor(front_end: FrontEnd, attention_mask: bool = True) -> Json:
    """preprocessor_config.json of a model that reads samples: Wav2Vec2's feature extractor."""
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor", "processor_class": "Wav2Vec2Processor",
        "feature_size": 1, "padding_value": 0.0, "sampling_rate": front_end.sample_rate,
        "return_attention_mask": attention_mask, "do_normalize": front_end.normalise == "mean_variance",
    }  # fmt: skip
