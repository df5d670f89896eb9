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
    (Path(sys.argv[1]) / "hub.json").write_text(json.dumps(found))
