"""A small Parakeet of `transformers`' own classes with random weights, as a folder with a real tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from small_hf import move_from_start

WORDS = ["zero one two three four five six seven eight nine the cat sat on the mat and then it ran home again"]
SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "subsampling_conv_channels": 12, "conv_kernel_size": 5, "num_mel_bins": 80,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "parakeet": {},
    "parakeet without biases": {"attention_bias": False, "convolution_bias": False, "scale_input": False,
                                "subsampling_factor": 4, "num_mel_bins": 128},
}  # fmt: skip


def tokenizer(pieces: int = 40) -> Any:
    """BPE with a mark before each word, as a converted SentencePiece model has it, and the blank after all tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=pieces, special_tokens=["<unk>"], show_progress=False)
    made.train_from_iterator(WORDS, trainer)
    made.add_special_tokens(["<pad>"])
    return made


def parakeet_folder(kind: str, folder: Path, **changes: Any) -> Any:
    """Write a model to `folder` as published ones are, and return the `transformers` module."""
    import transformers

    torch.manual_seed(0)
    made = tokenizer()
    blank = made.token_to_id("<pad>")
    encoder = {**SIZES, **KINDS[kind], **changes}
    config = transformers.ParakeetCTCConfig(vocab_size=blank + 1, pad_token_id=blank, encoder_config=encoder)
    model = transformers.ParakeetForCTC(config).eval()
    move_from_start(model)
    model.save_pretrained(folder)
    made.save(str(folder / "tokenizer.json"))
    extractor = {"feature_size": encoder["num_mel_bins"], "sampling_rate": 16000}
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    return model
