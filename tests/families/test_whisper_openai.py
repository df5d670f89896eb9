"""OpenAI's .pt files, written here from real weights: read exactly, and nothing in them is ever run."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.families.whisper.read_openai import read_openai  # noqa: E402
from secateur.weights.fetch import fetch, load_model  # noqa: E402

THEIRS = {
    "positions": "positional_embedding", "attention_norm": "attn_ln", "self_attention_norm": "attn_ln",
    "cross_attention_norm": "cross_attn_ln", "ffn_norm": "mlp_ln", "attention": "attn", "self_attention": "attn",
    "cross_attention": "cross_attn", "ffn": "mlp", "up": "0", "down": "2", "layers": "blocks",
}  # fmt: skip


def their_name(ours: str) -> str:
    """As openai/whisper's model.py calls it."""
    words = ours.split(".")
    if words[1] == "norm":
        words[1] = "ln_post" if words[0] == "encoder" else "ln"
    return ".".join(THEIRS.get(word, word) for word in words)


def contents(model: Any) -> dict[str, Any]:
    c = model.config
    heads = c.encoder[0].attention.heads
    dims = {
        "n_mels": c.front_end.bins, "n_audio_ctx": c.audio_context, "n_audio_state": c.width, "n_audio_head": heads,
        "n_audio_layer": len(c.encoder), "n_vocab": c.vocabulary, "n_text_ctx": c.text_context, "n_text_state": c.width,
        "n_text_head": heads, "n_text_layer": len(c.decoder),
    }  # fmt: skip
    return {"dims": dims, "model_state_dict": {their_name(n): v.half() for n, v in model.state_dict().items()}}


def absent(name: str) -> Path:
    raise SecateurError(f"{name} cannot be had")


@pytest.fixture(scope="module")
def real(tiny_en_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openai") / "mine.en.pt"
    torch.save(contents(tiny_en_model[0]), path)
    return path


def test_real_weights_come_back_exactly(real: Path, tiny_en: Path, tiny_en_model: Any) -> None:
    asked = []
    model, tokenizer = read_openai(real, lambda name: asked.append(name) or tiny_en)  # type: ignore[func-returns-value]
    before, old_tokenizer = tiny_en_model
    assert asked == ["tiny.en"]  # the tokenizer's donor
    state = before.state_dict()
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model.config.encoder == before.config.encoder
    assert model.config.name == "mine.en"
    # Special ids and suppress lists follow from the number of rows alone: the same that the published folder lists.
    assert model.config.tokens.prompt() == before.config.tokens.prompt()
    assert sorted(model.config.tokens.suppress) == sorted(before.config.tokens.suppress)
    assert set(model.config.tokens.suppress_at_start) == set(before.config.tokens.suppress_at_start)
    assert tokenizer.encode("Prune it.") == old_tokenizer.encode("Prune it.")


def test_tokenizer_beside_the_file_is_preferred(real: Path, tiny_en: Path, tmp_path: Path) -> None:
    path = tmp_path / real.name
    path.hardlink_to(real)
    shutil.copy(tiny_en / "tokenizer.json", tmp_path)
    _, tokenizer = read_openai(path, absent)
    assert tokenizer.decode(tokenizer.encode("no network needed")) == " no network needed"


def test_without_any_tokenizer_it_says_what_to_copy(real: Path) -> None:
    with pytest.raises(SecateurError, match=r"tokenizer\.json of any English Whisper"):
        read_openai(real, absent)


def test_fetch_refers_to_it_and_copies_nothing(real: Path, tiny_en: Path, tmp_path: Path) -> None:
    path = tmp_path / real.name
    path.hardlink_to(real)
    shutil.copy(tiny_en / "tokenizer.json", tmp_path)
    folder = fetch(str(path), tmp_path / "cache")
    stamp = (folder / "config.json").stat().st_mtime_ns
    assert fetch(str(path), tmp_path / "cache") == folder
    assert (folder / "config.json").stat().st_mtime_ns == stamp
    assert not list(folder.glob("*.safetensors"))
    assert load_model(folder)[0].config.width == 384
    assert [f.name for f in folder.parent.iterdir() if f.is_dir()] == [folder.name]  # no scratch folder is left


class Harmful:
    """Unpickling this makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, tiny_en_model: Any) -> None:
    sign = tmp_path / "it ran"
    values = {"dims": contents(tiny_en_model[0])["dims"], "model_state_dict": {}, "extra": Harmful(sign)}
    torch.save(values, tmp_path / "harmful.pt")
    with zipfile.ZipFile(tmp_path / "harmful.pt") as archive:  # the trap itself works
        inside = next(n for n in archive.namelist() if n.endswith("data.pkl"))
        assert b"touch" in archive.read(inside)
    pickle.loads(pickle.dumps(Harmful(tmp_path / "trap works")))
    assert (tmp_path / "trap works").exists()
    with pytest.raises(SecateurError, match="nothing was run") as caught:
        fetch(str(tmp_path / "harmful.pt"), tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not sign.exists()
    # The old format too, a bare pickle without a zip around it.
    (tmp_path / "bare.pt").write_bytes(pickle.dumps({"dims": Harmful(sign), "model_state_dict": {}}))
    with pytest.raises(SecateurError, match="nothing was run"):
        read_openai(tmp_path / "bare.pt", absent)
    assert not sign.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_vocab": 51000}, "51000 rows"),
        ({"n_text_state": 512}, "n_text_state and n_audio_state differ"),
        ({"n_audio_layer": 10**9}, "encoder layers is 1000000000"),
        ({"n_audio_head": 7, "n_text_head": 7}, "cannot be split into 7 heads"),
        ({"n_mels": "80"}, "bins is '80'"),
        ({"n_audio_ctx": 1400}, r"encoder\.positions"),
    ],
)
def test_sizes_that_cannot_be(
    change: dict[str, Any], words: str, tiny_en: Path, tiny_en_model: Any, tmp_path: Path
) -> None:
    values = contents(tiny_en_model[0])
    values["dims"] |= change
    weights = values["model_state_dict"]
    needed = ("encoder.positional_embedding", "encoder.blocks.0.mlp.0.weight")
    values["model_state_dict"] = {name: weights[name].clone() for name in needed}
    torch.save(values, tmp_path / "odd.pt")
    with pytest.raises(SecateurError, match=words):
        read_openai(tmp_path / "odd.pt", lambda _: tiny_en)


def test_other_files_are_named(tmp_path: Path, real: Path) -> None:
    (tmp_path / "cut.pt").write_bytes(real.read_bytes()[:100_000])
    (tmp_path / "empty.pt").write_bytes(b"")
    torch.save({"dims": [1], "model_state_dict": {}}, tmp_path / "list.pt")
    torch.save([1, 2], tmp_path / "other.pt")
    for name in ("cut", "empty", "list", "other", "missing"):
        with pytest.raises(SecateurError, match=rf"{name}\.pt"):
            read_openai(tmp_path / f"{name}.pt", absent)
