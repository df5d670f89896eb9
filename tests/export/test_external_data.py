"""Graphs whose weights are in a file beside them, and how large an export is before there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_ctc import small_ctc  # noqa: E402
from small_models import inputs, small_whisper  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.export import job, onnx, room, spool  # noqa: E402
from secateur.export.exporter import Source  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.export.parity import parity, source_steps  # noqa: E402
from secateur.export.precision import PRECISIONS  # noqa: E402
from secateur.families.whisper.read_onnx import read_back  # noqa: E402
from secateur.models.checkpoint import save_checkpoint  # noqa: E402
from secateur.runtime.contents import read_contents  # noqa: E402
from secateur.runtime.onnx_file import check_onnx  # noqa: E402
from secateur.runtime.onnx_session import OnnxSession, load_session  # noqa: E402


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every graph is a large one."""
    monkeypatch.setattr(onnx, "INSIDE", 0)
    monkeypatch.setattr(spool, "LEAST", 64)


@pytest.mark.parametrize("precision", [p for p in PRECISIONS if p != "int8-static"])
def test_the_runtime_computes_the_same_with_weights_inside_and_beside(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = small_whisper()
    inside = export_onnx(model, tokenizer, tmp_path / "inside", precision)
    monkeypatch.setattr(onnx, "INSIDE", 0)
    beside = export_onnx(model, tokenizer, tmp_path / "beside", precision)
    names = {"encoder.onnx.data", "decoder.onnx.data"}
    assert names <= set(read_contents(beside).files) and not names & set(read_contents(inside).files)
    features = inputs(model)[0].numpy()
    states = [OnnxSession(folder, threads=1).encode(features, None) for folder in (inside, beside)]
    assert all(np.array_equal(states[0].audio[name], value) for name, value in states[1].audio.items())
    assert (beside / "encoder.onnx").stat().st_size < (inside / "encoder.onnx").stat().st_size


def test_a_graph_without_a_limit_is_whole_and_read_back(outside: None, tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    folder = export_onnx(model, tokenizer, tmp_path / "out", "fp32")
    again, _ = read_back(folder)
    assert all(torch.allclose(again.state_dict()[n], v, atol=1e-6) for n, v in model.state_dict().items())
    export_onnx(model, tokenizer, folder, "int8")  # an earlier export is replaced, with what is beside it
    mels = [mel[:count].numpy() for mel, count in zip(*inputs(model)[:2], strict=True)]
    assert parity(source_steps(model, mels), OnnxSession(folder, threads=1)).agreement > 0.8


def test_a_file_that_is_not_the_one_beside_is_refused(outside: None, tmp_path: Path) -> None:
    import onnx as library

    folder = export_onnx(*small_whisper(), tmp_path / "out", "fp32")
    path, data = folder / "encoder.onnx", folder / "encoder.onnx.data"
    check_onnx(path)
    whole, model = data.read_bytes(), library.load(path, load_external_data=False)
    data.write_bytes(whole[:-1])
    with pytest.raises(SecateurError, match=r"encoder.onnx.data is cut short"):
        load_session(path, 1)
    data.unlink()
    with pytest.raises(SecateurError, match=r"its weights in encoder.onnx.data are missing"):
        load_session(path, 1)
    data.write_bytes(whole)
    for key, value in (
        ("location", "decoder.onnx.data"), ("location", "../out/encoder.onnx.data"), ("location", str(data)),
        ("offset", "-1"), ("offset", str(len(whole))), ("length", "1e3"), ("length", "8"), ("checksum", "0"),
    ):  # fmt: skip
        spoilt = library.ModelProto()
        spoilt.CopyFrom(model)
        tensor = next(t for t in spoilt.graph.initializer if t.external_data)
        entry = next((e for e in tensor.external_data if e.key == key), None) or tensor.external_data.add(key=key)
        entry.value = value
        path.write_bytes(spoilt.SerializeToString())
        with pytest.raises(SecateurError, match="not an ONNX graph that is run here"):
            check_onnx(path)


def test_ctc_graphs_have_their_weights_beside_them_as_well(outside: None, tmp_path: Path) -> None:
    class NoText:
        def write(self, path: Path) -> None:
            path.write_text("{}")

    model = small_ctc("conformer")
    folder = export_onnx(model, NoText(), tmp_path / "out", "int8")  # type: ignore[arg-type]
    assert (folder / "network.onnx.data").is_file()


def test_one_model_is_read_when_it_is_needed_and_not_kept(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model", *small_whisper(), half=True)
    source = Source.of_files(str(tmp_path / "model"))
    assert source.read() is not source.read()
    assert {value.dtype for value in source.for_writing().state_dict().values()} == {torch.float16}
    report = job.export_checked(source, source.text, tmp_path / "out", "fp32")
    assert report["parity"]["agreement"] == 1 and report["parity"]["max_difference"] < 1e-3


def test_the_size_is_known_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = small_whisper()
    save_checkpoint(tmp_path / "model", model, tokenizer)
    total = sum(value.numel() for value in model.state_dict().values())
    for precision, each in (("fp32", 4), ("fp16", 2)):
        assert room.export_bytes(model.config, precision) == each * total
    words = ["export", str(tmp_path / "model"), "--out", str(tmp_path / "out"), "--precision", "fp16"]
    monkeypatch.setattr(room, "available_memory", lambda: 1000)
    assert main([*words, "--check"]) == 0
    shown = capsys.readouterr()
    assert "note: this export takes about 0.6 GB of memory" in shown.err and "about 0 MB" in shown.out
    monkeypatch.setattr(room, "free_bytes", lambda path: total)
    assert main(words) == 2
    assert "GB of the disk are free" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_what_an_export_is_compared_with_is_not_always_float32() -> None:
    from secateur.families.whisper.config import uniform
    from secateur.text.tokens import Tokens

    def whisper(width: int, layers: int, decoder: int) -> object:
        return uniform(
            width=width, heads=width // 64, ffn=4 * width, encoder_layers=layers, decoder_layers=decoder,
            vocabulary=51866, tokens=Tokens(start=1, end=0), bins=128,
        )  # fmt: skip

    base, turbo = whisper(512, 6, 6), whisper(1280, 32, 4)
    assert [room.control_precision(c, "int8") for c in (base, turbo)] == ["fp32", "int8"]  # type: ignore[arg-type]
    assert room.export_bytes(turbo, "fp16") == pytest.approx(1.6e9, rel=0.02)  # type: ignore[arg-type]
