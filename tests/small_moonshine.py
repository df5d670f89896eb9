"""Small Moonshines of `transformers`' own class with random weights, as folders as they are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

TEXT = """zero one two three four five six seven eight nine we call it bear when so her the and of to a in that he was
mark his book has not all but little room"""
WORDS = TEXT.split()
SIZES: dict[str, Any] = {
    "hidden_size": 40, "intermediate_size": 56, "encoder_num_hidden_layers": 3, "decoder_num_hidden_layers": 2,
    "encoder_num_attention_heads": 4, "decoder_num_attention_heads": 4, "max_position_embeddings": 64,
    "pad_head_dim_to_multiple_of": 8, "partial_rotary_factor": 0.65, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1, "pad_token_id": 2,
}  # fmt: skip
EXTRA = 5  # rows that no text has, as published models have 768


def tokenizer_values(words: list[str] = WORDS, size: int = 360) -> dict[str, Any]:
    """A `tokenizer.json` in the layout of the published one: pieces, bytes, three special tokens first, others last."""
    from tokenizers import Tokenizer, models, normalizers, trainers

    library = Tokenizer(models.BPE())
    library.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    library.train_from_iterator([" ".join(words)] * 4, trainers.BpeTrainer(vocab_size=size - 259, show_progress=False))
    learnt = json.loads(library.to_str())["model"]
    merged = {a + b for a, b in learnt["merges"]}
    # Merges first, the most frequent first, then characters: so sentencepiece numbers them.
    pieces = sorted(learnt["vocab"], key=lambda piece: (piece not in merged, learnt["vocab"][piece]))
    names = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *pieces]
    special = ["<unk>", "<s>", "</s>", *(f"<<ST_{i}>>" for i in range(EXTRA))]
    numbers = [0, 1, 2, *range(len(names), len(names) + EXTRA)]
    # A second way to a piece, which comes later and so is never taken when the piece is spelled alone.
    rules = [*learnt["merges"], *other_ways(learnt["merges"], set(pieces))]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
            for i, name in zip(numbers, special, strict=True)
        ],
        "normalizer": json.loads(library.to_str())["normalizer"], "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": {name: i for i, name in enumerate(names)}, "merges": [" ".join(pair) for pair in rules],
        },
    }  # fmt: skip


def other_ways(merges: list[Any], pieces: set[str]) -> list[tuple[str, str]]:
    """Every other pair of pieces that joins to a merged piece, as files made from sentencepiece models list them."""
    known = {tuple(pair) for pair in merges}
    found = []
    for left, right in merges:
        whole = left + right
        for cut in range(1, len(whole)):
            pair = (whole[:cut], whole[cut:])
            if pair not in known and pair[0] in pieces and pair[1] in pieces:
                found.append(pair)
    return found


def moonshine_folder(folder: Path, seed: int = 0, **changes: Any) -> Any:
    """Write a model to `folder` as published ones are, and return the `transformers` module."""
    import transformers

    values = tokenizer_values()
    torch.manual_seed(seed)
    rows = len(values["model"]["vocab"]) + EXTRA
    config = transformers.MoonshineConfig(**{**SIZES, "vocab_size": rows, **changes})
    model = transformers.MoonshineForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # norms too are far enough from their start to show
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "do_normalize": False, "feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1,
        "padding_value": 0.0, "sampling_rate": 16000,
    }))  # fmt: skip
    return model
