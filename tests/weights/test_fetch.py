"""Names and paths: what comes first, what is kept, and two processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ctranslate2_files import model_bin, small_uniform, stored_as, variables_of, write_folder  # noqa: E402
from small_models import small_whisper  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.tensors import read_header  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.families.whisper.write_ggml import MAGIC  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.runtime.contents import find_model  # noqa: E402
from secateur.runtime.recogniser import Recogniser  # noqa: E402
from secateur.weights.cache import is_checkpoint, make_once  # noqa: E402
from secateur.weights.fetch import fetch, load_model  # noqa: E402
from secateur.weights.named import known_models  # noqa: E402


@pytest.fixture(scope="module")
def small() -> Any:
    return small_uniform()


@pytest.fixture
def foreign(small: Any, tmp_path: Path) -> Path:
    return write_folder(tmp_path / "theirs", model_bin(stored_as(variables_of(small[0]), "float16")), small[1])


def test_our_own_folder_is_returned_as_it_is(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "mine", *small_whisper())
    before = {f.name: f.stat().st_mtime_ns for f in folder.iterdir()}
    assert fetch(folder, tmp_path / "cache") == folder
    assert {f.name: f.stat().st_mtime_ns for f in folder.iterdir()} == before
    assert not (tmp_path / "cache").exists()


def test_a_known_name_wins_over_a_folder_of_that_name(
    tiny_en: Path, foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    foreign.rename(tmp_path / "tiny.en")
    assert fetch("tiny.en") == tiny_en
    other = fetch("./tiny.en", tmp_path / "cache")
    assert load_model(other)[0].config.width == 24
    assert fetch(Path("tiny.en"), tmp_path / "cache") == other  # a `Path` loses its ./


def test_parameters_of_the_registry_are_those_of_the_weights(tiny_en: Path) -> None:
    stored = sum(tensor.values for tensor in read_header(tiny_en / "model.safetensors").values())
    assert known_models()["tiny.en"].parameters == stored


def test_a_changed_folder_is_read_again(small: Any, foreign: Path, tmp_path: Path) -> None:
    first = fetch(foreign, tmp_path / "cache")
    assert fetch(foreign, tmp_path / "cache") == first
    weight = "encoder.conv1.weight"
    assert torch.equal(load_checkpoint(first)[0].state_dict()[weight], small[0].state_dict()[weight])
    changed, tokenizer = small_uniform(seed=1)
    write_folder(foreign, model_bin(stored_as(variables_of(changed), "float16")), tokenizer)
    second = fetch(foreign, tmp_path / "cache")
    assert second != first
    assert torch.equal(load_checkpoint(second)[0].state_dict()[weight], changed.state_dict()[weight])
    with pytest.raises(SecateurError, match=f"{foreign.name}: the model that .* has changed; name it again"):
        load_checkpoint(first)


def test_a_local_model_is_not_copied(foreign: Path, tmp_path: Path) -> None:
    kept = fetch(foreign, tmp_path / "cache")
    assert {file.name for file in kept.iterdir()} == {"config.json", "tokenizer.json", "reference.json"}
    (foreign / "model.bin").unlink()
    with pytest.raises(SecateurError, match="name it again"):
        load_checkpoint(kept)


@pytest.mark.usefixtures("own_cache")
def test_sixteen_bits_only_where_they_lose_nothing(foreign: Path, tmp_path: Path) -> None:
    def types(folder: Path) -> set[str]:
        out = tmp_path / "out" / folder.name
        assert main(["models", "fetch", str(folder), "--out", str(out)]) == 0
        return {tensor.type for tensor in read_header(out / "model.safetensors").values()}

    assert types(foreign) == {"F16"}
    model, tokenizer = small_uniform(seed=2)
    exact = write_folder(tmp_path / "exact", model_bin(variables_of(model)), tokenizer)
    assert types(exact) == {"F16"}  # stored as float32, which the values do not need
    with torch.no_grad():
        model.decoder.norm.bias.add_(1e-5)  # as after any training in float32
    trained = write_folder(tmp_path / "trained", model_bin(variables_of(model)), tokenizer)
    assert types(trained) == {"F32"}
    again = load_checkpoint(tmp_path / "out" / "trained")[0]
    assert torch.equal(again.decoder.norm.bias, model.decoder.norm.bias)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tiny.eng", "no model or folder 'tiny.eng' \\(did you mean 'tiny.en'\\?\\); see  secateur models list"),
        ("./nowhere", "no model or folder './nowhere'"),
        ("a/b/c", "no model or folder 'a/b/c'"),
        ("", "no model here|no model or folder"),
    ],
)
def test_unknown_names(name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SecateurError, match=words):
        fetch(name, tmp_path / "cache")


def test_an_absent_folder_beside_others_is_not_looked_for_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "seven" / "dense").mkdir(parents=True)
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "config.json").write_text("{}")
    for name, words in {
        "runs/eight": "no folder runs/eight; runs is there and holds seven",
        "runs/seven/pruned": "no folder runs/seven/pruned; runs/seven is there and holds dense",
        "made/pruned": "no folder made/pruned; made is itself a model: name that",
        "bundled": "the bundled model is called secateur-en: name that",
    }.items():
        with pytest.raises(SecateurError, match=f"^{words}$"):
            fetch(name, tmp_path / "cache")
        if name != "bundled":
            with pytest.raises(SecateurError, match=f"^{words}$"):
                find_model(name)
    assert "downloading" not in "".join(capsys.readouterr())


def test_what_is_written_for_other_programs_is_named(tmp_path: Path) -> None:
    ggml, sherpa = tmp_path / "ggml", tmp_path / "sherpa"
    ggml.write_bytes(MAGIC.to_bytes(4, "little") + bytes(60))
    sherpa.mkdir()
    for name in ("model.onnx", "tokens.txt"):
        (sherpa / name).write_bytes(b"x")
    for path, words in ((ggml, "a ggml file, for whisper.cpp"), (sherpa, "a folder for sherpa-onnx")):
        for read in (lambda p: fetch(p, tmp_path / "cache"), lambda p: Recogniser.load(p)):
            with pytest.raises(SecateurError, match=words):
                read(path)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("hello")
    for name, words in {"empty": "no model here", "pickled": "can run code", "notes.txt": "not a model"}.items():
        with pytest.raises(SecateurError, match=words):
            fetch(tmp_path / name, tmp_path / "cache")
    assert not [f for f in (tmp_path / "cache" / "models").iterdir() if f.is_dir()]


def test_a_cache_that_cannot_be_written_is_named(foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SecateurError, match="SECATEUR_CACHE"):
        fetch(foreign, tmp_path / "file")


def test_one_makes_it_while_others_wait(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    target, made = tmp_path / "models" / "one", []

    def make(scratch: Path) -> Path:
        made.append(scratch)
        time.sleep(0.3)
        return save_checkpoint(scratch / "ready", model, tokenizer)

    threads = [threading.Thread(target=make_once, args=(target, make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert is_checkpoint(target)
    assert not made[0].exists()


def test_a_killed_process_leaves_neither_lock_nor_half_a_model(tmp_path: Path) -> None:
    target = tmp_path / "models" / "one"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom secateur.weights.cache import make_once\n"
        "def make(scratch):\n"
        "    (scratch / 'ready').mkdir()\n"
        "    (scratch / 'ready' / 'config.json').write_text('{')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "make_once(Path(sys.argv[1]), make)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], env=os.environ.copy(), timeout=60)
    assert done.returncode == -9
    assert not target.exists()
    other = target.parent / ".one.en~abc"  # of another model, perhaps at work
    other.mkdir()
    model, tokenizer = small_whisper()
    folder = make_once(target, lambda scratch: save_checkpoint(scratch / "ready", model, tokenizer))
    assert {f for f in target.parent.iterdir() if f.is_dir()} == {target, other}
    assert load_checkpoint(folder)[0].config == model.config


def test_a_failed_attempt_leaves_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    target = tmp_path / "models" / "one"

    def fail(scratch: Path) -> Path:
        (scratch / "piece").write_bytes(b"1")
        raise SecateurError("out of reach")

    with pytest.raises(SecateurError, match="out of reach"):
        make_once(target, fail)
    assert not [f for f in target.parent.iterdir() if f.is_dir()]
    model, tokenizer = small_whisper()
    assert is_checkpoint(make_once(target, lambda scratch: save_checkpoint(scratch / "ready", model, tokenizer)))
