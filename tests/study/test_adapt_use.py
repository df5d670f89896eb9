"""Exported models under conditions of real use: files, table, report, and a loud line where one got worse."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_models import small_whisper  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.data.manifest import Utterance  # noqa: E402
from secateur.evaluate.real_use import read_results  # noqa: E402
from secateur.export.job import ErrorRateGate, real_use_drift  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.export.tolerances import tolerances  # noqa: E402
from secateur.study.adapt import real_use  # noqa: E402
from secateur.study.report import _use_section  # noqa: E402
from secateur.study.use import arm_table  # noqa: E402


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two exported models, one of them another network, and four clips."""
    import soundfile

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("job")
    for name, seed in (("original", 0), ("pruned", 4)):
        export_onnx(*small_whisper(seed), folder / "exported" / name, "fp32")
    for i in range(4):
        time = np.arange(int(16000 * (0.4 + 0.05 * i))) / 16000
        soundfile.write(folder / f"{i}.wav", 0.3 * np.sin(2 * np.pi * (200 + 90 * i) * time), 16000)
    return folder


@pytest.fixture(scope="module")
def clips(out: Path) -> list[Utterance]:
    return [Utterance(f"c{i}", out / f"{i}.wav", 0.4 + 0.05 * i, "the cat sat", speaker=f"s{i % 2}") for i in range(4)]


def test_what_got_worse_is_said_and_kept(out: Path, clips: list[Utterance], capsys: pytest.CaptureFixture[str]) -> None:
    recipe: Any = SimpleNamespace(conditions=("pause-0.5", "nonspeech"), condition_clips=2)
    found = real_use(out, ["pruned", "original"], clips, recipe)
    assert list(found["use"]) == ["original", "pruned"]
    assert [line["name"] for line in found["use"]["pruned"]] == ["clean", "pause-0.5", "nonspeech"]
    assert [row[0] for row in found["use_table"][1]] == ["clean", "pause-0.5", "nonspeech"]
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WARNING: in real use")]
    assert len(said) == len(found["use_worse"])
    again = real_use(out, ["original", "pruned"], clips, recipe)  # from the files
    assert again["use_table"] == found["use_table"]
    kept = [(name, read_results(out / "use" / name)) for name in ("original", "pruned")]
    assert [list(results) for _, results in kept] == [["clean", "pause-0.5", "nonspeech"]] * 2
    page = _use_section(kept)
    assert "pause-0.5" in page and "pruned (B) against original (A)" in page and _use_section([]) == ""
    arms = {"original": [kept[0][1]], "dense": [kept[0][1]], "pruned": [kept[1][1], kept[1][1]]}
    table = arm_table(arms, "original", "dense")
    assert table.count("pruned") == 3 and "no worse" in table
    assert real_use(out, ["original", "pruned"], clips, SimpleNamespace(conditions=(), condition_clips=2)) == {}  # type: ignore[arg-type]


def test_the_gate_refuses_what_drifts_in_a_condition(out: Path, clips: list[Utterance], tmp_path: Path) -> None:
    from secateur.data.manifest import write_manifest

    dev = tmp_path / "dev.jsonl"
    write_manifest(dev, clips)
    model, text = small_whisper(0)
    gate = ErrorRateGate(dev, 1000.0, by_condition={"pause-0.5": 1.0})
    exported = out / "exported" / "original"
    paused = real_use_drift(model, text, exported, gate, 0.0)["conditions"]["pause-0.5"]
    assert paused["export"] == pytest.approx(paused["source"], abs=0.3)
    with pytest.raises(SecateurError, match=r"worse than its source in real use: nonspeech"):
        real_use_drift(model, text, exported, ErrorRateGate(dev, 1000.0, by_condition={"nonspeech": -101.0}), 0.0)


def test_tolerances_by_condition() -> None:
    assert tolerances(0.3) == (0.3, {})
    assert tolerances("0.2,pause=0.5,nonspeech=4") == (0.2, {"pause": 0.5, "nonspeech": 4.0})
    assert tolerances("prompt-words=1") == (0.2, {"prompt-words": 1.0})
    with pytest.raises(SecateurError, match="no condition 'pauze'"):
        tolerances("pauze=1")
    with pytest.raises(SecateurError, match="takes points"):
        tolerances("pause=much")
