"""Which Keras models can be pruned, and whether the shrunk model computes what the masked one does.

    KERAS_BACKEND=torch python benchmarks/keras_models.py --out benchmarks/results/keras_models_torch.json

Weights are random: nothing is said of accuracy. From each model `--amount` of all parameters goes, by random scores,
once masked and once shrunk, and both run on the same random batch. A model that cannot be followed is masked; what
cannot be masked either is refused. Sources: published kinds of speech models in plain Keras (`keras_keyword_models.py`,
`keras_asr_models.py`), backbones and tasks of KerasHub in small sizes (where it is installed), keras.applications on
small pictures. Results are written after every model, and a second run goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras_asr_models import SPEECH
from recorded import how

from secateur.base.errors import SecateurError
from secateur.base.files import write_json
from secateur.keras import prune
from secateur.keras.random_runs import no_gradients

PICTURES = {
    "MobileNet": {"alpha": 0.25}, "MobileNetV2": {"alpha": 0.35}, "MobileNetV3Small": {}, "EfficientNetB0": {},
    "ResNet50V2": {}, "VGG11": {}, "DenseNet121": {}, "Xception": {}, "ConvNeXtTiny": {}, "NASNetMobile": {},
    "InceptionV3": {}, "EfficientNetV2B0": {},
}  # fmt: skip
TEXT = {"vocabulary_size": 50, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32}
GROUPED = {
    "vocabulary_size": 50, "num_layers": 2, "num_query_heads": 4, "num_key_value_heads": 2, "hidden_dim": 16,
    "intermediate_dim": 32,
}  # fmt: skip
BACKBONES: dict[str, dict[str, Any]] = {
    "WhisperBackbone": {**TEXT, "num_mels": 16, "max_encoder_sequence_length": 32, "max_decoder_sequence_length": 16},
    "MoonshineBackbone": {
        "vocabulary_size": 50, "filter_dim": 16, "encoder_num_layers": 2, "decoder_num_layers": 2, "hidden_dim": 16,
        "intermediate_dim": 32, "encoder_num_heads": 2, "decoder_num_heads": 2,
    },
    "BertBackbone": TEXT, "DistilBertBackbone": TEXT, "RobertaBackbone": TEXT, "XLMRobertaBackbone": TEXT,
    "AlbertBackbone": {**TEXT, "embedding_dim": 8}, "DebertaV3Backbone": TEXT,
    "ElectraBackbone": {**TEXT, "embedding_dim": 16, "vocab_size": 50}, "GPT2Backbone": TEXT, "OPTBackbone": TEXT,
    "BartBackbone": TEXT, "T5Backbone": TEXT, "BloomBackbone": TEXT, "GPTNeoXBackbone": TEXT,
    "FNetBackbone": {k: v for k, v in TEXT.items() if k != "num_heads"},
    "LlamaBackbone": GROUPED, "MistralBackbone": GROUPED, "QwenBackbone": GROUPED, "Phi3Backbone": GROUPED,
    "GemmaBackbone": {**GROUPED, "head_dim": 4},
    "FalconBackbone": {
        "vocabulary_size": 50, "num_layers": 2, "num_attention_heads": 2, "hidden_dim": 16, "intermediate_dim": 32,
    },
    "ViTBackbone": {
        "image_shape": (32, 32, 3), "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32,
    },
}  # fmt: skip
TASKS = {
    "BertTextClassifier": ("BertBackbone", {"num_classes": 3}), "BertMaskedLM": ("BertBackbone", {}),
    "RobertaTextClassifier": ("RobertaBackbone", {"num_classes": 3}), "DebertaV3MaskedLM": ("DebertaV3Backbone", {}),
    "FNetTextClassifier": ("FNetBackbone", {"num_classes": 3}), "XLMRobertaTextEmbedder": ("XLMRobertaBackbone", {}),
    "ViTImageClassifier": ("ViTBackbone", {"num_classes": 3}), "GPT2CausalLM": ("GPT2Backbone", {}),
    "GPTNeoXCausalLM": ("GPTNeoXBackbone", {}), "LlamaCausalLM": ("LlamaBackbone", {}),
    "GemmaCausalLM": ("GemmaBackbone", {}), "BartSeq2SeqLM": ("BartBackbone", {}), "T5Seq2SeqLM": ("T5Backbone", {}),
    "MoonshineAudioToText": ("MoonshineBackbone", {}),
}  # fmt: skip


def builders() -> dict[str, tuple[str, Callable[[], Any]]]:
    """By name: where a model is from, and how it is made."""
    result: dict[str, tuple[str, Callable[[], Any]]] = {name: ("speech", build) for name, build in SPEECH.items()}
    try:
        import keras_hub
    except ImportError:
        print("KerasHub is not installed: its backbones are left out")
    else:
        for name, options in BACKBONES.items():
            options = {k: v for k, v in options.items() if name == "ElectraBackbone" or k != "vocab_size"}
            if name == "ElectraBackbone":
                options = {k: v for k, v in options.items() if k != "vocabulary_size"}
            result[name] = "KerasHub", lambda name=name, options=options: getattr(keras_hub.models, name)(**options)
        for name, (backbone, options) in TASKS.items():
            result[name] = (
                "KerasHub, tasks",
                lambda name=name, made=result[backbone][1], options=options: getattr(keras_hub.models, name)(
                    backbone=made(), preprocessor=None, **options
                ),
            )
    for name, options in PICTURES.items():
        if hasattr(keras.applications, name):
            make = getattr(keras.applications, name)
            shape = (75, 75, 3) if name in ("InceptionV3", "Xception") else (32, 32, 3)
            result[name] = (
                "keras.applications",
                lambda make=make, shape=shape, options=options: make(
                    weights=None, include_top=False, input_shape=shape, **options
                ),
            )
    return result


def inputs_of(model: Any, batch: int = 2) -> Any:
    """A batch, nested as the model takes it."""
    random = np.random.default_rng(0)
    samples = any(tuple(tensor.shape[1:]) == (None, 1) for tensor in keras.tree.flatten(model.input))

    def one(tensor: Any) -> Any:
        name = tensor.name
        size = 400 if "audio" in name or (len(tensor.shape) == 2 and "float" in str(tensor.dtype)) else 16
        if samples and "encoder" in name:
            size = 4096
        shape = (batch, *(size if n is None else n for n in tensor.shape[1:]))
        if "int" in str(tensor.dtype) or "bool" in str(tensor.dtype):
            ones = "mask" in name
            most = 2 if "segment" in name else 5  # two segments in every model that has them
            return (np.ones(shape) if ones else random.integers(1, most, shape)).astype(str(tensor.dtype))
        return random.uniform(0, 1, shape).astype("float32")

    return keras.tree.map_structure(one, model.input)


def pruned(model: Any, amount: float, options: dict[str, Any]) -> tuple[Any, float]:
    """The model without that share of its parameters, or without less where most of it has to stay."""
    for less in (1, 3, 10):
        try:
            return prune(model, amount / less, **options), amount / less
        except SecateurError as problem:
            if "cannot be reached" not in str(problem) or less == 10:
                raise
    raise AssertionError


def tried(name: str, source: str, build: Callable[[], Any], amount: float) -> dict[str, Any]:
    """What became of one model."""
    started = time.process_time()
    model = build()
    random = np.random.default_rng(1)
    for variable in model.weights:  # norms and biases are not what they start as
        if "float" in str(variable.dtype) and len(variable.shape) == 1:
            value = np.abs(random.standard_normal(variable.shape)) * 0.3 + 0.5
            variable.assign(value if "bias" not in variable.path else value - 0.6)
    result = {"name": name, "source": source, "parameters": model.count_params()}
    x = inputs_of(model)
    options = {"criterion": "random", "data": None}
    try:
        small, amount = pruned(model, amount, options)
        result["amount"] = amount
    except SecateurError as problem:
        result["reason"] = str(problem)
        try:
            masked = prune(model, amount, mode="mask", **options)
            zeros = sum(int((np.asarray(keras.ops.convert_to_numpy(w)) == 0).sum()) for w in masked.weights)
            result |= {"outcome": "masks only", "zeros": zeros}
        except SecateurError as other:
            result["outcome"] = "refused"
            if str(other) != result["reason"]:
                result["reason"] += f"; as masks: {other}"
        return {**result, "seconds": round(time.process_time() - started, 1)}
    masked = prune(model, amount, mode="mask", **options)
    with no_gradients():
        first, second, whole = (keras.tree.flatten(m(x, training=False)) for m in (masked, small, model))
    worst = moved = 0.0
    for one, two, three in zip(first, second, whole, strict=True):
        a, b, c = (np.asarray(keras.ops.convert_to_numpy(value), np.float64) for value in (one, two, three))
        scale = np.maximum(1.0, np.abs(a))
        worst, moved = max(worst, float((np.abs(a - b) / scale).max())), max(moved, float(np.abs(a - c).max()))
    return {
        **result, "outcome": "pruned", "left": small.count_params(), "difference": worst, "change": moved,
        "seconds": round(time.process_time() - started, 1),
    }  # fmt: skip


def main() -> None:
    """Try what is not tried yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--amount", type=float, default=0.3)
    parser.add_argument("--only", default="", help="parts of names or sources, separated by commas")
    options = parser.parse_args()
    done = json.loads(options.out.read_text()) if options.out.exists() else {"models": []}
    head = {"backend": keras.backend.backend(), "keras": keras.__version__, "amount": options.amount}
    head["how"] = how()
    names = {one["name"] for one in done["models"]}
    for name, (source, build) in builders().items():
        if name in names or not any(part in name or part in source for part in options.only.split(",")):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = tried(name, source, build, options.amount)
            except (
                Exception
            ) as problem:  # the model itself does not run, or a fault of ours: it is written down as such
                text = " ".join(str(problem).split())
                result = {
                    "name": name,
                    "source": source,
                    "outcome": "failed",
                    "reason": f"{type(problem).__name__}: {text}",
                }
        done["models"].append(result)
        print({k: v if k != "reason" else str(v)[:200] for k, v in result.items()}, flush=True)
        write_json(options.out, {**head, "models": done["models"]}, indent=1)
        keras.utils.clear_session(free_memory=True)


if __name__ == "__main__":
    main()
