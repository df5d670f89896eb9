"""The runtime's session: states are values, rows can be picked, and broken folders are refused in one line."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_models import inputs, small_whisper

from secateur.base.errors import SecateurError
from secateur.export.onnx import export_onnx
from secateur.runtime.onnx_session import OnnxSession


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, tokenizer = small_whisper()
    return export_onnx(model, tokenizer, tmp_path_factory.mktemp("onnx") / "small", "fp32")


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def batch() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mel, frames, tokens = inputs(small_whisper()[0])
    return mel.numpy(), frames.numpy(), tokens.numpy()


def test_a_state_can_be_used_again(exported: Path) -> None:
    session = OnnxSession(exported, threads=1)
    mel, frames, tokens = batch()
    _, state = session.step(tokens[:, :3], session.encode(mel, frames))
    first, _ = session.step(tokens[:, 3:4], state)
    session.step(tokens[:, 5:6], state)
    again, _ = session.step(tokens[:, 3:4], state)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("rows", [[2, 0], [0, 0, 1], [1, 0, 2], [0, 1, 2]])
def test_picked_rows_go_on_as_they_would_have(exported: Path, rows: list[int]) -> None:
    session = OnnxSession(exported, threads=1)
    mel, frames, tokens = batch()
    _, state = session.step(tokens[:, :3], session.encode(mel, frames))
    everything, _ = session.step(tokens[:, 3:4], state)
    picked, _ = session.step(tokens[rows, 3:4], session.pick(state, np.array(rows)))
    np.testing.assert_allclose(picked, everything[rows], atol=1e-5)


def test_beams_of_one_clip_share_the_audio(exported: Path) -> None:
    session = OnnxSession(exported, threads=1)
    mel, frames, _ = batch()
    beams = session.pick(session.encode(mel, frames), np.array([0, 0, 1, 1]))
    assert session.pick(beams, np.array([1, 0, 3, 3])).audio is beams.audio
    assert session.pick(beams, np.array([2, 0, 1, 1])).audio is not beams.audio


def test_wrong_shapes_are_refused(exported: Path) -> None:
    session = OnnxSession(exported)
    mel, frames, _ = batch()
    with pytest.raises(SecateurError, match="reads 80"):
        session.encode(mel[:, :, :40], frames)
    with pytest.raises(SecateurError, match="cut the audio"):
        session.encode(np.zeros((1, 300, 80), np.float32), None)
    with pytest.raises(SecateurError, match="text context of 32"):
        session.step(np.zeros((3, 33), np.int64), session.encode(mel, frames))


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx", "config.json", "tokenizer.json"])
def test_a_truncated_file_is_named(copy: Path, name: str) -> None:
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SecateurError, match=rf"{name}: truncated .* copy or export it again"):
        OnnxSession(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "decoder.onnx").unlink()
    with pytest.raises(SecateurError, match=r"decoder\.onnx: no such file"):
        OnnxSession(copy)


def test_a_file_of_the_right_size_and_the_wrong_content_is_named(copy: Path) -> None:
    size = (copy / "encoder.onnx").stat().st_size
    (copy / "encoder.onnx").write_bytes(b"\x01" * size)
    with pytest.raises(SecateurError, match=r"encoder\.onnx: not an ONNX graph"):
        OnnxSession(copy)


def test_swapped_graphs_are_refused(copy: Path) -> None:
    record = json.loads((copy / "export.json").read_text())
    record["files"]["encoder.onnx"] = record["files"]["decoder.onnx"]
    (copy / "export.json").write_text(json.dumps(record))
    shutil.copy(copy / "decoder.onnx", copy / "encoder.onnx")
    with pytest.raises(SecateurError, match="not the graph"):
        OnnxSession(copy)


def test_another_version_and_a_foreign_folder_are_refused(copy: Path, tmp_path: Path) -> None:
    record = json.loads((copy / "export.json").read_text())
    (copy / "export.json").write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(SecateurError, match=r"format 99 .* export again"):
        OnnxSession(copy)
    (copy / "export.json").unlink()
    with pytest.raises(SecateurError, match="not an exported model"):
        OnnxSession(copy)
    with pytest.raises(SecateurError, match="no such model folder"):
        OnnxSession(tmp_path / "nothing")


def test_it_runs_without_torch_and_onnx(exported: Path) -> None:
    script = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = None\n"
        "import numpy as np\nfrom secateur.runtime.onnx_session import OnnxSession\n"
        "session = OnnxSession(sys.argv[1], 1)\n"
        "state = session.encode(np.zeros((1, 20, 80), np.float32), None)\n"
        "print(session.step(np.array([[1, 2]]), state)[0].shape[1] == session.config.vocabulary)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(exported)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps what is freed")
def test_the_bundled_model_keeps_no_more_memory_than_it_needs() -> None:
    script = (
        "from pathlib import Path\n"
        "from secateur.runtime.recogniser import Recogniser\n"
        "recogniser = Recogniser.load(threads=1)\n"
        "print(next(line for line in Path('/proc/self/status').read_text().splitlines() if 'VmRSS' in line).split()[1])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300_000  # kB; before freed memory was handed back: 590,000
