"""tiny.en in CTranslate2's layout and back, exactly; variables whose shapes no Whisper has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ctranslate2_files import (  # noqa: E402
    Variables,
    model_bin,
    small_uniform,
    stored_as,
    variables_of,
    write_folder,
)

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.families.whisper.read_ctranslate2 import read_ctranslate2  # noqa: E402
from secateur.families.whisper.vocabulary import special_names  # noqa: E402
from secateur.models.checkpoint import load_checkpoint  # noqa: E402
from secateur.weights.fetch import fetch  # noqa: E402


def test_tiny_en_through_fetch_is_the_same_to_the_bit(tiny_en: Path, tiny_en_model: Any, tmp_path: Path) -> None:
    model, tokenizer = tiny_en_model
    tokens, rows = model.config.tokens, model.config.vocabulary
    folder = tmp_path / "theirs"
    folder.mkdir()
    tied = {"decoder/projection/weight": "decoder/embeddings/weight"}
    (folder / "model.bin").write_bytes(model_bin(stored_as(variables_of(model), "float16"), tied))
    lists = {"suppress_ids": tokens.suppress, "suppress_ids_begin": tokens.suppress_at_start, "lang_ids": [50258]}
    (folder / "config.json").write_text(json.dumps({**lists, "alignment_heads": [[1, 0]]}))
    values = json.loads((tiny_en / "tokenizer.json").read_text(encoding="utf-8"))
    values["added_tokens"] = [
        {"id": i, "content": name, "special": True} for name, i in (special_names(rows) or {}).items()
    ]
    (folder / "tokenizer.json").write_text(json.dumps(values), encoding="utf-8")
    again, other = load_checkpoint(fetch(folder, tmp_path / "cache"))
    state = model.state_dict()
    assert again.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    assert again.config.tokens == tokens
    assert (again.config.encoder, again.config.decoder) == (model.config.encoder, model.config.decoder)
    assert other.encode("Hedges, cut twice.") == tokenizer.encode("Hedges, cut twice.")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("decoder/embeddings/weight", ()), ("encoder/position_encodings/encodings", ()), ("encoder/conv1/weight", (3,)),
        ("encoder/layer_1/self_attention/linear_0/weight", (1, 24)), ("decoder/layer_0/attention/linear_1/bias", (47,)),
        ("encoder/layer_norm/gamma", ()), ("encoder/layer_0/ffn/linear_0/weight", (0, 24)),
        ("decoder/layer_2/attention/linear_2/weight", (24, 1)), ("encoder/num_heads", (0,)),
    ],
)  # fmt: skip
def test_shapes_that_no_whisper_has(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    model, tokenizer = small_uniform()
    variables: Variables = variables_of(model)
    kind = variables[name][0]
    blob = model_bin({**variables, name: (kind, np.zeros(shape))})
    with pytest.raises(SecateurError, match=r"model\.bin") as caught:
        read_ctranslate2(write_folder(tmp_path, blob, tokenizer))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["[]", "3", '{"suppress_ids": 7}', '{"suppress_ids": ["a"]}', '{"lang_ids": 5}', '{"suppress_ids": [[1]]}', "{"],
)
def test_config_that_is_not_one(text: str, tmp_path: Path) -> None:
    model, tokenizer = small_uniform()
    folder = write_folder(tmp_path, model_bin(variables_of(model)), tokenizer)
    (folder / "config.json").write_text(text)
    with pytest.raises(SecateurError, match=r"config\.json"):
        read_ctranslate2(folder)
