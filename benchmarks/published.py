"""Folders of published models at their own sizes with random weights: where the real ones cannot be had.

    python benchmarks/published.py turbo large-v3 --out published

They have the files, names, types and pieces that the model hub has: what reads, prunes and exports them needs as much
memory and time as with the real weights. Their text is noise.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from secateur.base.files import write_json
from secateur.base.tensors import write_sharded
from secateur.text.tokenizer import Tokenizer

BUNDLED = Path(__file__).resolve().parent.parent / "src" / "secateur" / "data" / "bundled"

BLOCK = 70_000_000  # random numbers, of which every tensor takes a part: the largest has 66 million
WHISPERS = {  # width, layers of encoder and decoder, rows, mel bins
    "small": (768, 12, 12, 51865, 80), "medium": (1024, 24, 24, 51865, 80), "turbo": (1280, 32, 4, 51866, 128),
    "large-v3": (1280, 32, 32, 51866, 128), "distil-large-v3": (1280, 32, 2, 51866, 128),
}  # fmt: skip
WAV2VEC2: dict[str, dict[str, Any]] = {
    "wav2vec2-large": {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
        "vocab_size": 32, "pad_token_id": 0,
    },
}  # fmt: skip
WAV2VEC2["xls-r-300m"] = {
    **WAV2VEC2["wav2vec2-large"], "do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True,
}  # fmt: skip
LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]


@dataclass(frozen=True)
class Stored:
    """How the hub stores a model: its type, and the largest file in bytes."""

    dtype: torch.dtype = torch.float16
    most: int = 5 * 10**9


STORED = {
    "large-v3": Stored(most=10**9), "distil-large-v3": Stored(torch.bfloat16),
    "wav2vec2-large": Stored(torch.float32), "xls-r-300m": Stored(torch.float32),
    "moonshine-base": Stored(torch.float32), "parakeet-ctc-0.6b": Stored(torch.bfloat16),
}  # fmt: skip


class RandomTensors(Mapping[str, Tensor]):
    """A tensor of random numbers for every shape, all from one block: nothing but the block is in memory."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype, seed: int = 0) -> None:
        self._shapes = dict(shapes)
        generator = torch.Generator().manual_seed(seed)
        most = min(BLOCK, max(torch.Size(shape).numel() for shape in shapes.values()) + 10_000)
        self._block = (0.02 * torch.randn(most, generator=generator)).to(dtype)

    def __getitem__(self, name: str) -> Tensor:
        shape = torch.Size(self._shapes[name])
        start = hash_of(name) % (len(self._block) - shape.numel() + 1)
        values = self._block[start : start + shape.numel()].view(shape)
        if name.endswith("num_batches_tracked"):
            return torch.tensor(0)
        around_one = name.endswith((".weight", "running_var", "original0")) and len(shape) < 2
        return values.abs() + 1 if around_one else values

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)


def hash_of(name: str) -> int:
    """The same number in every process."""
    import zlib

    return zlib.crc32(name.encode())


def whisper(name: str, folder: Path) -> dict[str, tuple[int, ...]]:
    """config.json and what else a Whisper's folder has; the shapes of its weights by their names."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    from secateur.families.whisper.vocabulary import openai_tokens, special_names
    from secateur.families.whisper.write_transformers import write_tokenizer

    width, encoder, decoder, rows, bins = WHISPERS[name]
    named = special_names(rows) or {}
    tokenizer = byte_pieces(folder, named["<|endoftext|>"])
    tokens, end = openai_tokens(rows, tokenizer), named["<|endoftext|>"]
    config = WhisperConfig(
        d_model=width, encoder_layers=encoder, decoder_layers=decoder, encoder_attention_heads=width // 64,
        decoder_attention_heads=width // 64, encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width, vocab_size=rows,
        num_mel_bins=bins, decoder_start_token_id=tokens.start, bos_token_id=end, eos_token_id=end, pad_token_id=end,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    values = {k: v for k, v in config.to_dict().items() if k not in ("suppress_tokens", "begin_suppress_tokens")}
    write_json(folder / "config.json", {**values, "architectures": ["WhisperForConditionalGeneration"]})
    write_json(folder / "generation_config.json", {
        "alignment_heads": [[decoder - 1, head] for head in range(0, width // 64, 3)],
        "begin_suppress_tokens": list(tokens.suppress_at_start), "suppress_tokens": list(tokens.suppress),
        "bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": tokens.start,
        "is_multilingual": True, "lang_to_id": {f"<|{language}|>": i for language, i in tokens.languages.items()},
        "task_to_id": {"transcribe": tokens.transcribe, "translate": tokens.translate},
        "max_initial_timestamp_index": 50, "max_length": 448, "no_timestamps_token_id": tokens.no_timestamps,
        "prev_sot_token_id": tokens.previous,
        "return_timestamps": False, "median_filter_width": 7,
    })  # fmt: skip
    write_tokenizer(folder, tokenizer, named, tokens.timestamps)
    write_json(folder / "preprocessor_config.json", {
        "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": bins, "sampling_rate": 16000,
        "hop_length": 160, "n_fft": 400, "chunk_length": 30, "n_samples": 480000, "nb_max_frames": 3000,
        "padding_side": "right", "padding_value": 0.0, "return_attention_mask": False,
        "processor_class": "WhisperProcessor",
    })  # fmt: skip
    shapes = shapes_of(lambda: WhisperForConditionalGeneration(config))
    shapes.pop("proj_out.weight", None)
    return shapes


def wav2vec2(name: str, folder: Path) -> dict[str, tuple[int, ...]]:
    """See `whisper`."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    config = Wav2Vec2Config(**WAV2VEC2[name])
    write_json(folder / "config.json", {**config.to_dict(), "architectures": ["Wav2Vec2ForCTC"]})
    write_json(folder / "vocab.json", {token: i for i, token in enumerate(LETTERS)})
    write_json(folder / "preprocessor_config.json", {"do_normalize": True, "sampling_rate": 16000})
    return shapes_of(lambda: Wav2Vec2ForCTC(config))


def parakeet(name: str, folder: Path) -> dict[str, tuple[int, ...]]:
    """See `whisper`. The tokenizer is learnt from words that are made up, until it has as many pieces."""
    from tokenizers import Tokenizer as Made
    from tokenizers import decoders, models, pre_tokenizers, trainers
    from transformers import ParakeetCTCConfig, ParakeetForCTC

    made = Made(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=1024, special_tokens=["<unk>"], show_progress=False)
    made.train_from_iterator(syllables(), trainer)
    made.add_special_tokens(["<pad>"])
    blank = made.token_to_id("<pad>")
    encoder = {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 8, "intermediate_size": 4096,
        "subsampling_factor": 8, "subsampling_conv_channels": 256, "conv_kernel_size": 9, "num_mel_bins": 80,
    }  # fmt: skip
    config = ParakeetCTCConfig(vocab_size=blank + 1, pad_token_id=blank, encoder_config=encoder)
    write_json(folder / "config.json", {**config.to_dict(), "architectures": ["ParakeetForCTC"]})
    made.save(str(folder / "tokenizer.json"))
    write_json(folder / "preprocessor_config.json", {"feature_size": 80, "sampling_rate": 16000})
    return shapes_of(lambda: ParakeetForCTC(config))


def moonshine(name: str, folder: Path) -> dict[str, tuple[int, ...]]:
    """See `whisper`. The 32,768 rows are three special tokens, bytes, pieces, and 768 that no text has."""
    from transformers import MoonshineConfig, MoonshineForConditionalGeneration

    pieces = list(dict.fromkeys(["▁", *"abcdefghijklmnopqrstuvwxyz", *(f"▁{word}" for line in syllables() for word in
                                line.split())]))  # fmt: skip
    names = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *pieces][: 32768 - 768]
    special = ["<unk>", "<s>", "</s>", *(f"<<ST_{i}>>" for i in range(32768 - len(names)))]
    numbers = [0, 1, 2, *range(len(names), 32768)]
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "post_processor": None, "pre_tokenizer": None,
        "added_tokens": [{"id": i, "content": name, **plain} for i, name in zip(numbers, special, strict=True)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": {name: i for i, name in enumerate(names)}, "merges": [],
        },
    })  # fmt: skip
    config = MoonshineConfig(
        vocab_size=32768, hidden_size=416, intermediate_size=1664, encoder_num_hidden_layers=8,
        decoder_num_hidden_layers=8, encoder_num_attention_heads=8, decoder_num_attention_heads=8,
        pad_head_dim_to_multiple_of=8, partial_rotary_factor=0.62, max_position_embeddings=194, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=1, pad_token_id=2,
    )  # fmt: skip
    write_json(folder / "config.json", {**config.to_dict(), "architectures": ["MoonshineForConditionalGeneration"]})
    write_json(folder / "preprocessor_config.json", {
        "do_normalize": False, "feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1,
        "padding_value": 0.0, "sampling_rate": 16000,
    })  # fmt: skip
    shapes = shapes_of(lambda: MoonshineForConditionalGeneration(config))
    shapes.pop("proj_out.weight", None)
    return shapes


def byte_pieces(folder: Path, rows: int) -> Tokenizer:
    """Byte-level pieces as Whisper has them: of the bundled transcripts, then of words that are made up, `rows` in all.
    Published ones cannot be had everywhere, and what is written and read is as large."""
    from tokenizers import Tokenizer as Made
    from tokenizers import decoders, models, pre_tokenizers, trainers

    made = Made(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=rows, initial_alphabet=alphabet, show_progress=False, min_frequency=1)
    texts = [json.loads(line)["text"] for line in (BUNDLED / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    numbers = (f" {i:05}" for i in range(0, 40000, 3))
    made.train_from_iterator([*(f" {t}" for t in texts * 100), *(f" {t}" for t in syllables()), *numbers], trainer)
    if made.get_vocab_size() != rows:
        raise RuntimeError(f"{made.get_vocab_size()} pieces were learnt, not {rows}")
    made.save(str(folder / "tokenizer.json"))
    return Tokenizer.read(folder / "tokenizer.json", rows)


def syllables() -> list[str]:
    """30,000 words that nobody says."""
    parts = [c + v for c in "bcdfghjklmnprstvwz" for v in "aeiou"]
    words = [a + b for a in parts for b in parts] + [
        a + b + c for a in parts[:30] for b in parts[:30] for c in parts[:30]
    ]
    return [" ".join(words[i : i + 20]) for i in range(0, len(words), 20)]


def shapes_of(build: Callable[[], Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a network's weights."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in build().state_dict().items()}


BUILDERS: dict[str, Callable[[str, Path], dict[str, tuple[int, ...]]]] = {
    **dict.fromkeys(WHISPERS, whisper), **dict.fromkeys(WAV2VEC2, wav2vec2), "parakeet-ctc-0.6b": parakeet,
    "moonshine-base": moonshine,
}  # fmt: skip


def write_published(name: str, folder: Path) -> Path:
    """Write the model `name` (of `BUILDERS`) to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = STORED.get(name, Stored())
    shapes = BUILDERS[name](name, folder)
    write_sharded(folder, RandomTensors(shapes, stored.dtype), {"format": "pt"}, most=stored.most)
    values = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**values, "dtype": str(stored.dtype).removeprefix("torch.")})
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=list(BUILDERS))
    parser.add_argument("--out", type=Path, required=True, help="a folder of this name is written into it")
    arguments = parser.parse_args()
    for name in arguments.models:
        print(write_published(name, arguments.out / name))
