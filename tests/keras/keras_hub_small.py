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
ONES, TOKENS = np.ones((2, 7), "int32"), np.random.default_rng(0).integers(1, 30, (2, 7))
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "BertBackbone": (SIZES, {"token_ids": TOKENS, "segment_ids": TOKENS % 2, "padding_mask": ONES}),
    "WhisperBackbone": (SIZES | SPEECH, {
        "encoder_features": np.random.default_rng(0).standard_normal((2, 20, 8)),
        "decoder_token_ids": TOKENS, "decoder_padding_mask": ONES,
    }),
}  # fmt: skip

if __name__ == "__main__":
    found = {}
    for name, (options, x) in CASES.items():
        model = unsettled(getattr(keras_hub.models, name)(**options))
        masked, small = (prune(model, {"*": 0.3}, mode=mode, criterion="random") for mode in ("mask", "shrink"))
        whole, zeroed, shrunk = ([numbers(v) for v in keras.tree.flatten(m(x))] for m in (model, masked, small))
        found[name] = {
            "difference": max(float(np.abs(a - b).max()) for a, b in zip(zeroed, shrunk, strict=True)),
            "change": max(float(np.abs(a - b).max()) for a, b in zip(zeroed, whole, strict=True)),
            "left": small.count_params() / model.count_params(),
        }
    (Path(sys.argv[1]) / "hub.json").write_text(json.dumps(found))
