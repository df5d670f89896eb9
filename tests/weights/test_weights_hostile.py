"""Damaged and lying model folders at the command line: exit code 2 and one line that names the file."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from secateur.cli import main  # noqa: E402
from secateur.families.whisper.write_transformers import write_transformers  # noqa: E402
from secateur.models.checkpoint import load_checkpoint  # noqa: E402

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def linked(source: Path, folder: Path) -> Path:
    """A copy whose JSON files may be edited in place; its weights are a link, to be replaced only."""
    folder.mkdir()
    (folder / WEIGHTS).hardlink_to(source / WEIGHTS)
    for file in source.glob("*.json"):
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def copied(tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never the cache itself."""
    return Path(shutil.copytree(tiny_en, tmp_path_factory.mktemp("copied") / "tiny.en"))


@pytest.fixture()
def ours(copied: Path, tmp_path: Path) -> Path:
    """A real checkpoint that a test may spoil."""
    return linked(copied, tmp_path / "ours")


@pytest.fixture(scope="module")
def written(tiny_en_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_transformers(tmp_path_factory.mktemp("written"), *tiny_en_model)


@pytest.fixture()
def theirs(written: Path, tmp_path: Path) -> Path:
    """A transformers folder that a test may spoil."""
    return linked(written, tmp_path / "theirs")


@pytest.fixture(autouse=True)
def own_cache(tiny_en: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))


def complaint(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a refused command says: one line on standard error, nothing on standard output."""
    capsys.readouterr()
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    line = err.strip().splitlines()
    assert len(line) == 1, err
    return line[0]


def edit(path: Path, **changes: Any) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    values |= changes
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not ...}), encoding="utf-8")


def replace(folder: Path, data: bytes) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).write_bytes(data)


def header(folder: Path, table: bytes, length: int | None = None) -> None:
    replace(folder, struct.pack("<Q", len(table) if length is None else length) + table + bytes(64))


def tensor(**changes: Any) -> bytes:
    stored = {"dtype": "F16", "shape": [8], "data_offsets": [0, 16]}
    return json.dumps({"decoder.norm.weight": stored | changes}).encode()


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated": (lambda f: replace(f, (f / WEIGHTS).read_bytes()[:1_000_000]), "model.safetensors"),
    "empty": (lambda f: replace(f, b""), "model.safetensors"),
    "header larger than the file": (lambda f: header(f, b"{}", 10**6), "model.safetensors"),
    "header beyond any memory": (lambda f: header(f, b"{}", 2**63), "model.safetensors"),
    "header that is no JSON": (lambda f: header(f, b"\xff{]"), "model.safetensors"),
    "header that is a list": (lambda f: header(f, b"[1, 2]"), "model.safetensors"),
    "deeply nested header": (lambda f: header(f, b'{"a":' * 50_000), "model.safetensors"),
    "tensor beyond the file": (lambda f: header(f, tensor(data_offsets=[0, 1 << 40])), "model.safetensors"),
    "offsets that are text": (lambda f: header(f, tensor(data_offsets=["0", "16"])), "model.safetensors"),
    "shape beyond any number": (lambda f: header(f, tensor(shape=[2**62, 2**62])), "model.safetensors"),
    "negative shape": (lambda f: header(f, tensor(shape=[-2, -4])), "model.safetensors"),
    "one tensor only": (lambda f: header(f, tensor()), "ours"),
    "another format": (lambda f: edit(f / CONFIG, format=99), "format 99"),
    "unknown key": (lambda f: edit(f / CONFIG, conv_chanels=384), "did you mean 'conv_channels'"),
    "missing key": (lambda f: edit(f / CONFIG, encoder=...), "missing key 'encoder'"),
    "wrong type": (lambda f: edit(f / CONFIG, width="wide"), "width"),
    "other family": (lambda f: edit(f / CONFIG, family="canary"), "canary"),
    "another width": (lambda f: edit(f / CONFIG, width=512), "ours"),
    "config cut short": (lambda f: (f / CONFIG).write_text('{"family": "whi'), "config.json"),
    "deeply nested config": (lambda f: (f / CONFIG).write_text("[" * 100_000), "config.json"),
    "config not UTF-8": (lambda f: (f / CONFIG).write_bytes(b"\xff\xfe{}"), "config.json"),
}


@pytest.mark.parametrize("name", list(SPOILT))
def test_spoilt_checkpoints(name: str, ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, words = SPOILT[name]
    spoil(ours)
    assert words in complaint(["models", "show", str(ours)], capsys)
    # What computes with the weights refuses the folder too.
    assert words in complaint(["export", str(ours), "--out", str(ours.parent / "onnx")], capsys)


FOREIGN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "other model": (lambda f: edit(f / CONFIG, model_type="bert"), "bert"),
    "no width": (lambda f: edit(f / CONFIG, d_model=...), "width is None"),
    "width as text": (lambda f: edit(f / CONFIG, d_model="384"), "width is '384'"),
    "absurd layers": (lambda f: edit(f / CONFIG, encoder_layers=10**9), "encoder layers is 1000000000"),
    "another width": (lambda f: edit(f / CONFIG, d_model=512, encoder_attention_heads=8, decoder_attention_heads=8),
                      "has shape"),
    "heads that do not divide": (lambda f: edit(f / CONFIG, encoder_attention_heads=7, decoder_attention_heads=7),
                                 "7 heads"),
    "suppress list of text": (lambda f: edit(f / "generation_config.json", suppress_tokens=["a"]), "suppress_tokens"),
    "generation config is a list": (lambda f: (f / "generation_config.json").write_text("[]"), "generation_config"),
    "tokenizer is a list": (lambda f: (f / "tokenizer.json").write_text("[]"), "tokenizer.json"),
    "tokenizer without model": (lambda f: (f / "tokenizer.json").write_text('{"added_tokens": []}'), "tokenizer"),
    "unigram": (lambda f: edit(f / "tokenizer.json", model={"type": "Unigram", "vocab": {}}), "Unigram"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer here"),
    "pickle only": (lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin"), "pickle"),
    "nothing": (lambda f: [file.unlink() for file in f.iterdir()], "no model here"),
    "weights elsewhere": (
        lambda f: ((f / WEIGHTS).unlink(),
                   (f / f"{WEIGHTS}.index.json").write_text('{"weight_map": {"a": "../../secret"}}')),
        "index.json"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(FOREIGN))
def test_spoilt_transformers_folders(name: str, theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, words = FOREIGN[name]
    spoil(theirs)
    assert words in complaint(["models", "fetch", str(theirs)], capsys)
    made = theirs.parent / "cache" / "models"
    assert [f for f in made.glob("*") if f.is_dir()] == []  # neither a half model nor a scratch folder stays


def test_weights_of_another_model_are_refused(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(theirs / WEIGHTS)
    state["model.decoder.layers.0.adapter.weight"] = torch.zeros(2)
    (theirs / WEIGHTS).unlink()
    save_file(state, theirs / WEIGHTS)
    assert "adapter" in complaint(["models", "fetch", str(theirs)], capsys)


def test_pieces_are_put_together(theirs: Path, tiny_en_model: Any, tmp_path: Path) -> None:
    """Large models come in several files and an index."""
    from safetensors.torch import load_file, save_file

    from secateur.weights.fetch import fetch

    state = load_file(theirs / WEIGHTS)
    (theirs / WEIGHTS).unlink()
    names = sorted(state)
    pieces = {name: f"model-0000{1 + (i > len(names) // 2)}-of-00002.safetensors" for i, name in enumerate(names)}
    for piece in set(pieces.values()):
        save_file({name: state[name] for name in names if pieces[name] == piece}, theirs / piece)
    (theirs / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": pieces}))
    model, _ = load_checkpoint(fetch(theirs))
    before = tiny_en_model[0].state_dict()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
