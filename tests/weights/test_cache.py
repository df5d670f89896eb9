"""The cache refers to models where they are, keeps types, and shows and removes what it holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from small_hf import hf_folder  # noqa: E402
from small_models import small_whisper  # noqa: E402
from small_moonshine import moonshine_folder  # noqa: E402
from small_parakeet import parakeet_folder  # noqa: E402

from secateur.base.tensors import read_header  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint, shapes_only  # noqa: E402
from secateur.weights import cache  # noqa: E402
from secateur.weights.fetch import fetch, load_model  # noqa: E402

MAKERS = {
    "wav2vec2": lambda folder: hf_folder("wav2vec2 large", folder), "moonshine": moonshine_folder,
    "parakeet": lambda folder: parakeet_folder("parakeet", folder),
}  # fmt: skip


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def in_bf16(folder: Path) -> Path:
    state = load_file(folder / "model.safetensors")
    save_file({n: v.bfloat16() if v.is_floating_point() else v for n, v in state.items()}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("kind", MAKERS)
def test_what_is_shown_of_a_folder_needs_no_weight(
    kind: str, own_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MAKERS[kind](tmp_path / kind)
    in_bf16(tmp_path / kind)
    whole = load_model(tmp_path / kind)[0].state_dict()
    weights = tmp_path / kind / "model.safetensors"
    data = bytearray(weights.read_bytes())
    header = int.from_bytes(data[:8], "little")
    data[8 + header :] = b"\xff" * (len(data) - 8 - header)  # every value is NaN now
    weights.write_bytes(data)
    shown = answer(capsys, "models", "show", str(tmp_path / kind))
    assert shown["parameters"]["total"] == sum(value.numel() for value in whole.values())
    assert "BF16" in shown["types"]
    examined = answer(capsys, "doctor", str(tmp_path / kind))
    assert examined["parameters"] == shown["parameters"]["total"] and examined["prunable"]
    with shapes_only():
        shapes = load_model(tmp_path / kind)[0].state_dict()
    assert {n: tuple(v.shape) for n, v in shapes.items()} == {n: tuple(v.shape) for n, v in whole.items()}
    assert all(value.is_meta or value.numel() == 1 for value in shapes.values())


@pytest.mark.parametrize("kind", MAKERS)
def test_types_are_kept_and_nothing_is_copied(
    kind: str, own_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MAKERS[kind](tmp_path / kind)
    folder = in_bf16(tmp_path / kind)
    kept = fetch(folder)
    assert not list(kept.glob("*.safetensors"))
    loaded = load_checkpoint(kept)[0].state_dict()
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    out = answer(capsys, "models", "fetch", str(folder), "--out", str(tmp_path / "out"))["folder"]
    types = [tensor.type for tensor in read_header(Path(out) / "model.safetensors").values()]
    assert types.count("BF16") > 0.8 * len(types)
    again = load_checkpoint(out)[0].state_dict()
    assert all(torch.equal(again[name], value) for name, value in loaded.items())


def test_the_cache_is_listed_and_cleaned(own_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        hf_folder("wav2vec2", tmp_path / name)
        fetch(tmp_path / name)
    save_checkpoint(own_cache / "models" / "local-old-0123456789ab", *small_whisper())  # as earlier versions did
    save_checkpoint(own_cache / "models" / "tiny.en", *small_whisper())
    listed = {m["name"]: m for m in answer(capsys, "models", "cache", "list")["models"]}
    assert len(listed) == 4 and all(m["usable"] for m in listed.values())
    referring = [m for name, m in listed.items() if name.startswith(("local-one", "local-two"))]
    assert {m["refers_to"] for m in referring} == {str(tmp_path / "one"), str(tmp_path / "two")}
    shutil.rmtree(tmp_path / "one")
    cleaned = answer(capsys, "models", "cache", "clean")["models"]
    assert sorted(m["name"][:9] for m in cleaned) == ["local-old", "local-one"]
    assert {entry.name[:9] for entry in cache.entries()} == {"local-two", "tiny.en"}
    assert main(["models", "cache", "clean", "tiny.em"]) == 2
    assert "did you mean 'tiny.en'" in capsys.readouterr().err
    assert answer(capsys, "models", "cache", "clean", "tiny.en")["bytes"] > 1000
    assert len(answer(capsys, "models", "cache", "clean", "--all")["models"]) == 1
    assert cache.entries() == [] and (tmp_path / "two" / "model.safetensors").is_file()
    assert main(["models", "cache", "list", "two"]) == 2


def test_what_is_referred_to_or_stored_under_another_name_transcribes(own_cache: Path, tmp_path: Path) -> None:
    from secateur.runtime.recogniser import Recogniser

    hf_folder("wav2vec2", tmp_path / "theirs")
    (tmp_path / "theirs" / "model.safetensors").rename(tmp_path / "theirs" / "model.fp16.safetensors")
    samples = torch.randn(16000, generator=torch.Generator().manual_seed(0)).numpy() * 0.1
    texts = {
        Recogniser.load(folder).transcribe(samples).text for folder in (tmp_path / "theirs", fetch(tmp_path / "theirs"))
    }
    assert len(texts) == 1
