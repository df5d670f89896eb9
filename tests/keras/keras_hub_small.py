"""Run by test_keras_hub in a process of its own: backbones of KerasHub, masked and shrunk by one plan."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
from keras_layers import unsettled
from keras_prune_small import numbers

from secateur.keras import prune

SIZES = {"vocabulary_size": 30, "num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32}
SPEECH = {"num_mels": 8, "max_encoder_sequence_length": 20, "max_decoder_sequence_length": 12}
GROUPED = SIZES | {"num_query_heads": 2, "num_key_value_heads": 1}
MOONSHINE = {
    "vocabulary_size": 30, "filter_dim": 16, "encoder_num_layers": 1, "decoder_num_layers": 1, "hidden_dim": 16,
    "intermediate_dim": 32, "encoder_num_heads": 2, "decoder_num_heads": 2,
}  # fmt: skip
IMAGES = {"image_shape": (16, 16, 3), "patch_size": 8, "num_layers": 1, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}
ONES, TOKENS = np.ones((2, 7), "int32"), np.random.default_rng(0).integers(1, 30, (2, 7))
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "BertBackbone": (SIZES, {"token_ids": TOKENS, "segment_ids": TOKENS % 2, "padding_mask": ONES}),
    "WhisperBackbone": (SIZES | SPEECH, {
        "encoder_features": np.random.default_rng(0).standard_normal((2, 20, 8)),
        "decoder_token_ids": TOKENS, "decoder_padding_mask": ONES,
    }),
    "MoonshineBackbone": (MOONSHINE, {
        "encoder_input_values": np.random.default_rng(0).standard_normal((2, 1200, 1)),
        "encoder_padding_mask": np.ones((2, 1200), bool), "decoder_token_ids": TOKENS, "decoder_padding_mask": ONES > 0,
    }),
    "GPTNeoXBackbone": (SIZES, {"token_ids": TOKENS, "padding_mask": ONES}),
    "LlamaBackbone": (
        {k: v for k, v in GROUPED.items() if k != "num_heads"}, {"token_ids": TOKENS, "padding_mask": ONES},
    ),
    "ViTBackbone": (IMAGES, np.random.default_rng(0).standard_normal((2, 16, 16, 3))),
}  # fmt: skip


def generated(model: Any, x: dict[str, Any], steps: int = 5) -> list[Any]:
    """The tokens that a greedy search writes after the first of each example."""
    head = next(one for one in model._flatten_layers() if type(one).__name__ == "ReversibleEmbedding")
    tokens = x["decoder_token_ids"][:, :1]
    for _ in range(steps):
        mask = np.ones_like(tokens, x["decoder_padding_mask"].dtype)
        result = model({**x, "decoder_token_ids": tokens, "decoder_padding_mask": mask}, training=False)
        scores = numbers(head(result["decoder_sequence_output"][:, -1:], reverse=True))
        tokens = np.concatenate([tokens, scores.argmax(-1)], axis=1)
    return list(tokens.tolist())


def tasks(folder: Path) -> dict[str, Any]:
    """Tasks around the backbones: they generate, learn and are loaded as before."""
    models, result = keras_hub.models, {}
    made = {
        "GPT2CausalLM": (models.GPT2Backbone(**SIZES, max_sequence_length=7), {"token_ids": TOKENS}, {}),
        "MoonshineAudioToText": (models.MoonshineBackbone(**MOONSHINE), CASES["MoonshineBackbone"][1], {}),
        "BertMaskedLM": (models.BertBackbone(**SIZES), CASES["BertBackbone"][1], {}),
        "BertTextClassifier": (models.BertBackbone(**SIZES), CASES["BertBackbone"][1], {"num_classes": 3}),
    }
    for name, (backbone, x, options) in made.items():
        model = unsettled(getattr(models, name)(backbone=backbone, preprocessor=None, **options))
        masks = {n: np.array([[1, 1, 1, 0, 0, 0, 0]] * 2, bool) for n in ("padding_mask", "decoder_padding_mask")}
        x = {n: np.asarray(v) for n, v in {**x, **masks, "mask_positions": TOKENS[:, :2] % 7}.items()}
        x = {n: x[n] for n in model.input}
        if hasattr(model, "sampler"):
            model.compile(sampler="greedy")
        masked, small = (prune(model, {"*": 0.3}, mode=mode, criterion="random") for mode in ("mask", "shrink"))
        small.save(folder / "task.keras")
        again = keras.saving.load_model(folder / "task.keras")
        if hasattr(model, "sampler"):
            again.compile(sampler="greedy")
        zeroed, *others = (numbers(one(x)) for one in (masked, small, again))
        small.fit(x, numbers(small(x)).argmax(-1), verbose=0)
        result[name] = {
            "difference": max(float(np.abs(one - zeroed).max()) for one in others),
            "classes": [type(one).__name__ for one in (small, again)],
            "left": small.count_params() / model.count_params(),
            "written": [
                {n: numbers(v).tolist() for n, v in one.generate(x, stop_token_ids=None).items()}
                for one in ((masked, again) if hasattr(model, "generate") else ())
            ],
        }  # fmt: skip
    return result


if __name__ == "__main__":
    found = {}
    for name, (options, x) in CASES.items():
        model = unsettled(getattr(keras_hub.models, name)(**options))
        masked, small = (prune(model, {"*": 0.3}, mode=mode, criterion="random") for mode in ("mask", "shrink"))
        small.save(Path(sys.argv[1]) / "small.keras")
        again = keras.saving.load_model(Path(sys.argv[1]) / "small.keras")
        whole, zeroed, *others = (
            [numbers(v).astype(float) for v in keras.tree.flatten(m(x))] for m in (model, masked, small, again)
        )
        found[name] = {
            "difference": max(
                float(np.abs(a - b).max()) for other in others for a, b in zip(zeroed, other, strict=True)
            ),
            "change": max(float(np.abs(a - b).max()) for a, b in zip(zeroed, whole, strict=True)),
            "left": small.count_params() / model.count_params(),
            "written": [generated(m, x) for m in (masked, small, again)] if "decoder_token_ids" in x else [],
        }
    (Path(sys.argv[1]) / "hub.json").write_text(json.dumps({"backbones": found, "tasks": tasks(Path(sys.argv[1]))}))
