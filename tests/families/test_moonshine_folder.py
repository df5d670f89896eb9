"""Moonshine's folders: published sizes, cut vocabularies, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from small_moonshine import WORDS, moonshine_folder  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.families.moonshine.cost import count_parameters  # noqa: E402
from secateur.families.moonshine.folder import parse_moonshine, read_pieces, write_moonshine  # noqa: E402
from secateur.prune.shrink import shrink  # noqa: E402
from secateur.prune.vocabulary import choose_rows, reduced_tokenizer  # noqa: E402
from secateur.text.tokens import Tokens  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402

TINY = {  # as in the config.json of UsefulSensors/moonshine-tiny
    "architectures": ["MoonshineForConditionalGeneration"], "attention_bias": False, "attention_dropout": 0.0,
    "bos_token_id": 1, "decoder_hidden_act": "silu", "decoder_num_attention_heads": 8, "decoder_num_hidden_layers": 6,
    "decoder_num_key_value_heads": 8, "decoder_start_token_id": 1, "encoder_hidden_act": "gelu",
    "encoder_num_attention_heads": 8, "encoder_num_hidden_layers": 6, "encoder_num_key_value_heads": 8,
    "eos_token_id": 2, "hidden_size": 288, "initializer_range": 0.02, "intermediate_size": 1152,
    "is_encoder_decoder": True, "max_position_embeddings": 194, "model_type": "moonshine",
    "pad_head_dim_to_multiple_of": 8, "partial_rotary_factor": 0.9, "rope_theta": 10000.0, "use_cache": True,
    "vocab_size": 32768,
}  # fmt: skip
BASE = {"hidden_size": 416, "intermediate_size": 1664, "encoder_num_hidden_layers": 8, "decoder_num_hidden_layers": 8,
        "partial_rotary_factor": 0.62}  # fmt: skip


@pytest.mark.parametrize(("changes", "millions", "size"), [({}, 27.1, 36), (BASE, 61.5, 52)])
def test_published_sizes(changes: dict[str, Any], millions: float, size: int) -> None:
    values = TINY | changes
    config = parse_moonshine(values, "config.json", "published", 32768, Tokens(start=1, end=2))
    assert count_parameters(config)["total"] / 1e6 == pytest.approx(millions, abs=0.05)
    assert (config.head_size, config.rotary, config.least, config.text_context) == (size, 32, 895, 194)
    with torch.device("meta"):
        theirs = transformers.MoonshineForConditionalGeneration(transformers.MoonshineConfig(**values))
    assert count_parameters(config)["total"] == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", {"encoder_hidden_act": "relu"}, "encoder_hidden_act 'relu' is not known here"),
        ("config.json", {"decoder_num_attention_heads": 2, "decoder_num_key_value_heads": 2}, "differ in heads"),
        ("config.json", {"rope_parameters": {"rope_type": "yarn"}}, "rotary positions of another kind"),
        ("config.json", {"intermediate_size": 0}, "intermediate_size is 0, expected a number"),
        ("config.json", {"intermediate_size": 55}, "has shape"),
        ("config.json", {"encoder_num_hidden_layers": 10**6}, "encoder_num_hidden_layers is 1000000, expected"),
        ("tokenizer.json", {"added_tokens": [{"id": 300, "content": "five", "special": False}]}, "beside the pieces"),
        ("config.json", {"eos_token_id": 9999}, "no start and end token"),
        ("tokenizer.json", {"model": {"vocab": {"a": 0}}}, "no BPE over pieces"),
    ],
)
def test_what_is_not_known_is_one_line(file: str, change: dict[str, Any], message: str, tmp_path: Path) -> None:
    moonshine_folder(tmp_path)
    values = json.loads((tmp_path / file).read_text(encoding="utf-8")) | change
    (tmp_path / file).write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(SecateurError, match=message):
        read_foreign(tmp_path)


def test_what_transformers_cannot_say_is_refused(tmp_path: Path) -> None:
    moonshine_folder(tmp_path / "hf")
    model, text = read_foreign(tmp_path / "hf")
    for keep, message in (
        ({"encoder.layers.1.attention.heads": [0, 1]}, "encoder.layers.1.attention has widths of its own"),
        ({"decoder.layers.0.ffn": list(range(20))}, "decoder.layers.0.ffn has widths of its own"),
        ({"encoder.conv1": list(range(30))}, "encoder.conv1 has 30 channels"),
    ):
        with pytest.raises(SecateurError, match=message):
            write_moonshine(tmp_path / "x", shrink(model, keep), text)


def test_a_cut_vocabulary_is_written_and_read(tmp_path: Path) -> None:
    moonshine_folder(tmp_path / "hf")
    model, text = read_foreign(tmp_path / "hf")
    keep = choose_rows(model.config, text, [" ".join(WORDS[:12])], frequent=4)
    small = shrink(model, keep)
    its_text = reduced_tokenizer(text, keep["vocabulary"], small.config)
    assert small.config.vocabulary == its_text.end + 2 < model.config.vocabulary
    write_moonshine(tmp_path / "cut", small, its_text)
    library = transformers.AutoTokenizer.from_pretrained(tmp_path / "cut")
    order = read_pieces(tmp_path / "cut" / "tokenizer.json", 0, 1, small.config.vocabulary)[1]
    for said in ("zero nine one", "Zoë 5"):
        ids = library(said)["input_ids"]
        assert ids == [0, *(order[i] for i in its_text.encode(said))]
        assert library.decode(ids, skip_special_tokens=True) == said
    again, _ = read_foreign(tmp_path / "cut")
    tokens, samples = torch.tensor([[3, 5, 7]]), torch.randn(1, 8000, 1)
    with torch.no_grad():
        assert torch.equal(again(samples, None, tokens), small(samples, None, tokens))
