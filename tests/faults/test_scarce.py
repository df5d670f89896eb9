"""A full disk, a folder that nobody may write to, no GPU, too little memory: one clear line each, nothing torn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")

from jobs import Zygote, torn, words  # noqa: E402
from small_ctc import small_ctc  # noqa: E402
from small_models import small_whisper  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.files import read_json, write_json  # noqa: E402
from secateur.base.progress import in_halves, out_of_memory  # noqa: E402
from secateur.data.bank import AudioBank  # noqa: E402
from secateur.decode.options import DecodingOptions  # noqa: E402
from secateur.families.ctc.task import log_probs_bank  # noqa: E402
from secateur.families.seq2seq.greedy import transcribe_bank  # noqa: E402
from secateur.models.device_session import TorchSession  # noqa: E402
from secateur.runtime.token_recogniser import WhisperRecogniser  # noqa: E402


def refused(forks: Zygote, command: list[str], out: Path, log: Path, **limits: Any) -> str:
    """The one line (after progress) of a command that ends with exit code 2 and leaves nothing torn."""
    found = forks.run(command, out, log, limits=limits)
    said = log.read_text()
    assert found["code"] == 2, said
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.startswith("secateur: ")]
    assert len(lines) == 1, said
    if out.is_dir():
        assert torn(out) == []
        assert not list(out.rglob(".*.tmp"))
    return lines[0]


@pytest.mark.parametrize(("job", "size"), [("train", 3_000), ("train", 60_000), ("prune", 40_000), ("export", 30_000)])
def test_a_full_disk(job: str, size: int, place: Path, forks: Zygote, tmp_path: Path) -> None:
    """No file may grow beyond `size` bytes: the system's answer is that of a full disk, at different files."""
    out = tmp_path / "runs" / "out"
    out.parent.mkdir()
    said = refused(forks, words(job, place, out), out, tmp_path / "log", file=size)
    assert "writing failed" in said and str(out.parent) in said
    assert [p.name for p in out.parent.iterdir()] == (["out"] if job != "export" else [])


def test_output_to_a_full_disk(place: Path) -> None:
    """/dev/full takes no byte."""
    command = [sys.executable, "-m", "secateur", "models", "show", str(place / "model")]
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert found.returncode == 2
    assert found.stderr.splitlines() == ["secateur: No space left on device"]


@pytest.mark.parametrize("job", ["train", "export", "study"])
def test_a_folder_that_may_not_be_written_to(job: str, place: Path, forks: Zygote, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    said = refused(forks, words(job, place, closed / "out"), closed / "out", tmp_path / "log", modes=True)
    assert "closed" in said and ("ermission denied" in said or "no right to write" in said)
    assert list(closed.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", ["train", "prune", "evaluate", "sensitivity", "study"])
def test_no_gpu(command: str, place: Path, forks: Zygote, tmp_path: Path) -> None:
    out = tmp_path / "place" / "out"
    out.parent.mkdir()
    if command in ("train", "prune"):
        line = [w if w != "cpu" else "cuda" for w in words(command, place, out)]
    elif command == "study":
        line = [w if w != "cpu" else "cuda:1" for w in words(command, place, out)]
    elif command == "evaluate":
        line = ["evaluate", str(place / "model"), str(place / "test.jsonl"), "--device", "cuda", "--out", str(out)]
    else:
        line = ["sensitivity", str(place / "model"), "--data", str(place / "dev.jsonl"), "--out", str(out),
                "--device", "cuda"]  # fmt: skip
    assert refused(forks, line, out, tmp_path / "log") == "secateur: no GPU was found here: use --device cpu"


def test_no_memory_at_all(place: Path, forks: Zygote, tmp_path: Path) -> None:
    """With a few MB to spare, whatever asks first is refused by the system."""
    command = ["evaluate", str(place / "model"), str(place / "test.jsonl"), "--device", "cpu"]
    assert "out of memory" in refused(forks, command, tmp_path / "out", tmp_path / "log", memory=6 << 20)


class Small:
    """A forward pass that a device with little memory runs: at most `rows` clips at once."""

    def __init__(self, forward: Any, rows: int, problem: Exception) -> None:
        self.forward, self.rows, self.problem, self.refused = forward, rows, problem, 0

    def __call__(self, x: Any, *rest: Any, **more: Any) -> Any:
        if len(x) > self.rows:
            self.refused += 1
            raise self.problem
        return self.forward(x, *rest, **more)


WORDS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    MemoryError(),
]


@pytest.mark.parametrize("problem", WORDS, ids=[type(w).__name__ + str(w)[:9] for w in WORDS])
def test_decoding_goes_on_in_halves_and_says_so(
    problem: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = small_whisper()
    noise = np.random.default_rng(0)
    clips = [(0.1 * noise.standard_normal(n)).astype(np.float32) for n in (9000, 9000, 8000, 12000, 9500)]
    bank = AudioBank(clips)
    wanted = transcribe_bank(model, tokenizer, bank, ["en"] * 5)
    small = Small(model.encoder.forward, 2, problem)
    monkeypatch.setattr(model.encoder, "forward", small)
    assert transcribe_bank(model, tokenizer, bank, ["en"] * 5) == wanted
    assert small.refused and "out of memory with 5 clips at once; continuing with 3" in capsys.readouterr().err
    small.rows = 0
    with pytest.raises(SecateurError, match="out of memory with one clip"):
        transcribe_bank(model, tokenizer, bank, ["en"] * 5)


def test_ctc_and_recognisers_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0)
    clips = [(0.1 * noise.standard_normal(9000 + 10 * n)).astype(np.float32) for n in range(4)]
    ctc = small_ctc("gru")
    wanted = log_probs_bank(ctc, AudioBank(clips))
    small = Small(ctc.forward, 1, WORDS[1])
    monkeypatch.setattr(ctc, "forward", small)
    found = log_probs_bank(ctc, AudioBank(clips))
    assert small.refused == 3  # of four, of two, of two
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(wanted, found, strict=True))
    model, tokenizer = small_whisper()
    recogniser = WhisperRecogniser(TorchSession(model), tokenizer)
    texts = [t.text for t in recogniser.transcribe_batch(clips, DecodingOptions(timestamps=False, vad="off"))]
    monkeypatch.setattr(model.encoder, "forward", Small(model.encoder.forward, 1, WORDS[0]))
    assert [t.text for t in recogniser.transcribe_batch(clips, DecodingOptions(timestamps=False, vad="off"))] == texts
    assert capsys.readouterr().err.count("out of memory") == 6


def test_other_errors_are_not_taken_for_it() -> None:
    assert not out_of_memory(RuntimeError("shape mismatch")) and not out_of_memory(SecateurError("bad_alloc"))
    with pytest.raises(KeyError):
        in_halves(lambda rows: [{}[r] for r in rows], [1, 2], "x")


def test_half_a_surrogate_pair_is_written_as_its_escape(tmp_path: Path) -> None:
    """JSON may name one, UTF-8 cannot hold it."""
    write_json(tmp_path / "a.json", {"text": "\ud83d"})
    assert read_json(tmp_path / "a.json") == {"text": "\ud83d"}
