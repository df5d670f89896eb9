"""Whisper folders as people have them: tokens added, tables padded, weights under other names, generation configs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402
from small_models import small_tokenizer  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.export.job import storage_of, write_format  # noqa: E402
from secateur.families.whisper.config import uniform  # noqa: E402
from secateur.families.whisper.model import Whisper  # noqa: E402
from secateur.families.whisper.vocabulary import openai_tokens, special_names  # noqa: E402
from secateur.text.tokenizer import Tokenizer  # noqa: E402
from secateur.weights.fetch import load_model, read_foreign  # noqa: E402

pytestmark = pytest.mark.usefixtures("own_cache")
ROWS = 51865
TABLE = "model.decoder.embed_tokens.weight"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A Whisper with OpenAI's multilingual rows and four decoder layers, and its folder."""
    tokenizer = Tokenizer(small_tokenizer().definition, special_names(ROWS)["<|endoftext|>"])  # type: ignore[index]
    config = uniform(
        width=16, heads=2, ffn=24, encoder_layers=2, decoder_layers=4, vocabulary=ROWS, bins=128,
        tokens=openai_tokens(ROWS, tokenizer), audio_context=30, text_context=24,
    )  # fmt: skip
    config = replace(
        config, audio_context=50, alignment_heads=((2, 1), (3, 0)), generation={"max_length": 20, "beta": 1}
    )
    torch.manual_seed(0)
    model = Whisper(config).eval()
    folder = tmp_path_factory.mktemp("original") / "theirs"
    write_format("transformers", model, tokenizer, folder)
    return model, folder


def changed(folder: Path, target: Path, rows: int | None = None, **generation: Any) -> Path:
    """A copy with a token table of so many rows, and other fields in its generation config."""
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    if rows is not None:
        state = load_file(folder / "model.safetensors")
        more = torch.randn(rows - ROWS, state[TABLE].shape[1])
        save_file({**state, TABLE: torch.cat([state[TABLE], more])}, target / "model.safetensors")
        edit(target / "config.json", vocab_size=rows)
    edit(target / "generation_config.json", **generation)
    return target


def edit(path: Path, **values: Any) -> None:
    old = json.loads(path.read_text())
    path.write_text(json.dumps({**old, **values}))


def add_token(folder: Path, name: str, number: int, special: bool) -> None:
    values = json.loads((folder / "tokenizer.json").read_text())
    values["added_tokens"].append({**values["added_tokens"][-1], "id": number, "content": name, "special": special})
    (folder / "tokenizer.json").write_text(json.dumps(values))


@pytest.mark.parametrize("rows", [ROWS + 1, ROWS + 7, 51968])
def test_rows_without_tokens_are_padding(original: tuple[Any, Path], tmp_path: Path, rows: int) -> None:
    model, folder = original
    again, _ = read_foreign(changed(folder, tmp_path / "padded", rows))
    assert again.config.vocabulary == ROWS
    assert again.config.tokens == model.config.tokens and again.config.tokens.timestamp_count == 1501
    assert torch.equal(again.decoder.token_embedding.weight, model.decoder.token_embedding.weight)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tokens_after_the_timestamps_are_no_timestamps(original: tuple[Any, Path], tmp_path: Path, count: int) -> None:
    model, folder = original
    target = changed(folder, tmp_path / "added", ROWS + count, suppress_tokens=None)
    for i in range(count):
        add_token(target, f"<|noise{i}|>", ROWS + i, special=True)
    again, _ = read_foreign(target)
    assert again.config.vocabulary == ROWS + count
    assert again.config.tokens.timestamp_count == 1501
    assert again.config.tokens.languages == model.config.tokens.languages
    assert again.config.tokens.suppress == model.config.tokens.suppress  # as OpenAI's, not those of one language more


def test_added_words_are_refused_by_name(original: tuple[Any, Path], tmp_path: Path) -> None:
    target = changed(original[1], tmp_path / "words", ROWS + 1)
    add_token(target, "Kubernetes", ROWS, special=False)
    with pytest.raises(SecateurError, match=r"1 words were added .*'Kubernetes'"):
        read_foreign(target)


def test_every_generation_field_comes_out_again(original: tuple[Any, Path], tmp_path: Path) -> None:
    own = {
        "language": "hi",
        "task": "transcribe",
        "no_repeat_ngram_size": 3,
        "return_timestamps": True,
        "max_length": 9,
    }
    target = changed(original[1], tmp_path / "tuned", alignment_heads=[[0, 1], [3, 1]], **own)
    model, tokenizer = read_foreign(target)
    write_format("transformers", model, tokenizer, tmp_path / "out", storage_of("transformers", model.config, "fp16"))
    before, after = (json.loads((f / "generation_config.json").read_text()) for f in (target, tmp_path / "out"))
    assert {key: after[key] for key in before} == before
    write_format("ctranslate2", model, tokenizer, tmp_path / "ct2")
    assert json.loads((tmp_path / "ct2" / "config.json").read_text())["alignment_heads"] == [[0, 1], [3, 1]]


def test_alignment_heads_follow_the_layers_and_heads_that_stay(original: tuple[Any, Path], tmp_path: Path) -> None:
    config = original[0].config
    assert config.shrunk({"decoder.layers": [0, 3]}).alignment_heads == ((1, 0),)
    assert config.shrunk({"decoder.layers.2.cross_attention.heads": [1]}).alignment_heads == ((2, 0), (3, 0))
    distilled = changed(original[1], tmp_path / "distilled", alignment_heads=[[25, 3], [1, 1]])
    assert read_foreign(distilled)[0].config.alignment_heads == ((1, 1),)
    wrong = changed(original[1], tmp_path / "wrong", alignment_heads=[["a", 1]])
    with pytest.raises(SecateurError, match="not pairs of a layer and a head"):
        read_foreign(wrong)


def test_an_output_layer_of_its_own_is_refused_and_a_copy_of_the_table_is_not(
    original: tuple[Any, Path], tmp_path: Path
) -> None:
    model, folder = original
    state = load_file(folder / "model.safetensors")
    target = changed(folder, tmp_path / "tied")
    save_file({**state, "proj_out.weight": state[TABLE].clone()}, target / "model.safetensors")
    assert torch.equal(read_foreign(target)[0].decoder.norm.bias, model.decoder.norm.bias)
    save_file({**state, "proj_out.weight": state[TABLE] + 1}, target / "model.safetensors")
    with pytest.raises(SecateurError, match="output layer is not its token embedding"):
        read_foreign(target)


@pytest.mark.parametrize(
    "names",
    [
        ["model.fp16.safetensors"], ["model.bf16.safetensors"], ["model.non_ema.safetensors"],
        ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ["model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors"],
    ],
)  # fmt: skip
def test_weights_under_the_names_that_the_hub_has(original: tuple[Any, Path], tmp_path: Path, names: list[str]) -> None:
    model, folder = original
    target = changed(folder, tmp_path / "named")
    state = {name: value.half() for name, value in load_file(target / "model.safetensors").items()}
    (target / "model.safetensors").unlink()
    where = {name: names[i % len(names)] for i, name in enumerate(state)}
    for file in names:
        save_file({name: value for name, value in state.items() if where[name] == file}, target / file)
    if ".fp16-" in names[0]:
        (target / "model.safetensors.index.fp16.json").write_text(json.dumps({"weight_map": where}))
    again = load_model(target)[0]
    assert torch.equal(again.decoder.norm.weight, model.decoder.norm.weight.half().float())
    assert {value.dtype for value in again.state_dict().values()} == {torch.float32}


def test_pieces_that_are_missing_are_counted(original: tuple[Any, Path], tmp_path: Path) -> None:
    target = changed(original[1], tmp_path / "half")
    (target / "model.safetensors").rename(target / "model-00001-of-00003.safetensors")
    with pytest.raises(SecateurError, match="1 of 3 pieces of its weights are here"):
        read_foreign(target)


@pytest.mark.parametrize(("precision", "kind"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_folders_in_pieces_and_sixteen_bits_load_in_transformers(
    original: tuple[Any, Path], tmp_path: Path, precision: str, kind: Any
) -> None:
    transformers = pytest.importorskip("transformers")
    model, folder = original
    tokenizer = read_foreign(folder)[1]
    storage = storage_of("transformers", model.config, precision, largest=1e-3)  # one megabyte
    write_format("transformers", model, tokenizer, tmp_path / "out", storage)
    assert len(list((tmp_path / "out").glob("model-*.safetensors"))) > 1
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path / "out", dtype="auto")
    assert theirs.dtype == kind
    assert torch.equal(theirs.model.decoder.embed_tokens.weight, model.decoder.token_embedding.weight.to(kind))
    assert theirs.generation_config.alignment_heads == [[2, 1], [3, 0]]
    again, _ = read_foreign(tmp_path / "out")
    assert again.config.alignment_heads == model.config.alignment_heads


def test_a_precision_that_a_format_lacks_is_refused(original: tuple[Any, Path]) -> None:
    with pytest.raises(SecateurError, match="ggml does not store bf16: it has fp16, fp32"):
        storage_of("ggml", original[0].config, "bf16")
