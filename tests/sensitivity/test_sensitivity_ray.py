"""Sensitivity maps on a Ray cluster of this machine: the same map, also when a worker is killed in the middle."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from small_cluster import cluster
from small_models import small_whisper

import secateur
from secateur.base.engine import RayEngine
from secateur.models.checkpoint import save_checkpoint
from secateur.sensitivity.probe import ProbeSpec
from secateur.sensitivity.run import SensitivitySettings, run_map

pytest.importorskip("ray")
DEV = Path(secateur.__file__).parent / "data" / "bundled" / "dev.jsonl"


def test_a_killed_worker_costs_its_piece_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_checkpoint(tmp_path / "small", *small_whisper())
    spec = ProbeSpec(str(folder), (str(DEV),), screen=0, device="cpu", style="as-is", threads=1)
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
    with cluster():
        spread = run_map(spec, settings, tmp_path / "ray", "ray", workers=2)
    assert killed and spread.sites == local.sites and spread.error == local.error
