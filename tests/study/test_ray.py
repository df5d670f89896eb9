"""Bulk transcription, studies and sensitivity maps on a Ray cluster here: a worker that is killed costs its piece."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_cluster import cluster
from small_models import small_whisper
from test_study import STUDY

import secateur
from secateur.base.engine import RayEngine
from secateur.base.files import read_json
from secateur.cli import main
from secateur.data.manifest import read_manifest, write_manifest
from secateur.data.pack import pack
from secateur.models.checkpoint import save_checkpoint
from secateur.prune.sensitivity_map import SensitivitySettings
from secateur.runtime.bulk.run import BulkSettings, transcribe_all
from secateur.runtime.bulk.worker import TranscribeSpec
from secateur.sensitivity.probe import ProbeSpec
from secateur.sensitivity.run import run_map
from secateur.study.one import run_one
from secateur.study.runs import run_study
from secateur.study.settings import read_study

pytest.importorskip("ray")
BUNDLED = Path(secateur.__file__).parent / "data" / "bundled"
PIECES = BulkSettings(piece_clips=3)


@pytest.fixture(scope="module", autouse=True)
def workers() -> Iterator[None]:
    """One cluster for all tests."""
    with cluster():
        yield


def killing(monkeypatch: pytest.MonkeyPatch, ready: Callable[[], bool]) -> list[int]:
    """Kill the worker that has the first piece once `ready`; the list gets its process id."""
    killed: list[int] = []
    submit = RayEngine.submit

    def watched(engine: RayEngine[Any, Any], piece: Any) -> None:
        if not engine.busy() and not killed:
            victim = engine.ray.get(engine._idle[-1].process.remote())
            killed.append(victim)

            def kill() -> None:
                while not ready():
                    time.sleep(0.01)
                os.kill(victim, signal.SIGKILL)

            threading.Thread(target=kill).start()
        submit(engine, piece)

    monkeypatch.setattr(RayEngine, "submit", watched)
    return killed


def test_a_killed_worker_costs_its_piece_of_a_transcription(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_manifest(tmp_path / "some.jsonl", read_manifest(BUNDLED / "train.jsonl")[:12])
    shards = pack(tmp_path / "some.jsonl", tmp_path / "packed" / "t", clips=8, quiet=True).pattern
    transcribe_all([shards], TranscribeSpec(None), tmp_path / "local.jsonl", PIECES)
    started = time.monotonic()
    killed = killing(monkeypatch, lambda: time.monotonic() - started > 0.2)  # while it loads, or hears
    done = transcribe_all([shards], TranscribeSpec(None), tmp_path / "ray.jsonl", PIECES, "ray", workers=2)
    assert (done["heard"], done["failed"], done["pieces"], done["kept"]) == (12, 0, 4, 0)
    assert killed and "a worker died; its piece is repeated" in capsys.readouterr().err
    assert (tmp_path / "ray.jsonl").read_text() == (tmp_path / "local.jsonl").read_text()
    assert not (tmp_path / "ray.jsonl.pieces").exists()


def test_a_killed_worker_costs_its_piece_of_a_study(
    tmp_path: Path, speech: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if u.duration < 1.1]
    speakers, taught = sorted({u.speaker for u in clips}), sorted({u.text for u in clips})[:5]
    for name, who, count in (("train", speakers[:3], 8), ("dev", speakers[3:4], 4), ("test", speakers[4:], 6)):
        some = [u for u in clips if u.speaker in who and (u.text in taught) == (name != "test")]
        write_manifest(tmp_path / f"{name}.jsonl", some[:: len(some) // count][:count])
    save_checkpoint(tmp_path / "model", *small_whisper())
    (tmp_path / "study.toml").write_text(STUDY.format(model=tmp_path / "model").replace('robust = ["dense"]', ""))

    run_one(read_study(tmp_path / "study.toml"), "dense", 0, tmp_path, tmp_path / "local", "cpu")
    folder = tmp_path / "ray"
    killed = killing(monkeypatch, lambda: any(folder.glob("dense-*/metrics.jsonl")))
    assert run_study(tmp_path / "study.toml", tmp_path, folder, 1, ("dense",), (0,), engine="ray") == []
    assert killed and "a worker died; its piece is repeated" in capsys.readouterr().err
    spread, local = (read_json(out / "dense-0" / "summary.json") for out in (folder, tmp_path / "local"))
    assert [spread[key] for key in ("error", "steps", "flops")] == [local[key] for key in ("error", "steps", "flops")]


def test_a_killed_worker_costs_its_piece_of_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_checkpoint(tmp_path / "small", *small_whisper())
    dev = str(BUNDLED / "dev.jsonl")
    spec = ProbeSpec(str(folder), (dev,), screen=0, device="cpu", style="as-is", threads=1)
    settings = SensitivitySettings((0.5,), "decoder 0,encoder 1", decode=2)
    local = run_map(spec, settings, tmp_path / "local")
    killed: list[int] = []
    wait = RayEngine.run

    def run(engine: RayEngine[Any, Any], pieces: Any, done: Any, label: str) -> None:
        processes = [] if killed else engine.ray.get([worker.process.remote() for worker in engine.workers])

        def kill_once(piece: Any, answer: Any) -> None:
            done(piece, answer)
            if not killed:
                killed.append(processes[0])
                os.kill(processes[0], signal.SIGKILL)

        wait(engine, pieces, kill_once, label)

    monkeypatch.setattr(RayEngine, "run", run)
    spread = run_map(spec, settings, tmp_path / "ray", "ray", workers=1)
    assert killed and spread.sites == local.sites and spread.error == local.error


def test_what_a_worker_cannot_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    words = ["transcribe", str(BUNDLED / "dev.jsonl"), "--model", str(tmp_path / "broken")]
    words += ["--engine", "ray", "--workers", "1"]
    assert main([*words, "--out", str(tmp_path / "o.jsonl")]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("secateur: ") and "broken" in said and "Traceback" not in said
