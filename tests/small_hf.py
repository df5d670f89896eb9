"""Small models of `transformers`' own classes with random weights, as folders: what tests of the family run on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]
SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "conv_dim": [16, 20, 24], "conv_kernel": [10, 8, 4], "conv_stride": [8, 8, 5], "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4, "vocab_size": len(TOKENS), "pad_token_id": 0,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("Wav2Vec2", {}),
    "wav2vec2 large": ("Wav2Vec2", {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}),
    "hubert": ("Hubert", {"feat_proj_layer_norm": False}),
    "wavlm": ("WavLM", {"num_buckets": 12, "max_bucket_distance": 20}),
    "wavlm large": (
        "WavLM",
        {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "num_buckets": 12, "max_bucket_distance": 20},
    ),
    "conformer": ("Wav2Vec2Conformer", {"hidden_act": "swish", "conv_depthwise_kernel_size": 5}),
    "conformer rotary": (
        "Wav2Vec2Conformer",
        {
            "position_embeddings_type": "rotary",
            "feat_extract_norm": "layer",
            "conv_bias": True,
            "conv_depthwise_kernel_size": 5,
        },
    ),
    "hubert large": ("Hubert", {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}),
}


@torch.no_grad()
def move_from_start(model: torch.nn.Module) -> None:
    """Biases, norms and running statistics too are far enough from their start to show in the output."""
    for parameter in model.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.add_(0.2 * torch.rand_like(buffer))


def hf_folder(kind: str, folder: Path, tokens: list[str] = TOKENS, **changes: Any) -> Any:
    """Write a model to `folder` as published ones are, and return the `transformers` module."""
    import transformers

    name, own = KINDS[kind]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**{**SIZES, **own, **changes})
    model = getattr(transformers, f"{name}ForCTC")(config).eval()
    move_from_start(model)
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True, "sampling_rate": 16000}))
    return model
