"""`secateur train` with a profile of some steps near its end: steps.py OUT.json [options of train ...].

Under torchrun every process trains and the first writes: seconds of a step and of its parts on the host, the GPU's busy
share, and the kernels and host operations that take longest.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from secateur.base.files import read_json, write_json
from secateur.cli import main
from secateur.study import arm
from secateur.train import loop
from secateur.train.run import Callback

FIRST, STEPS = int(os.environ.get("PROFILED_FROM", "48")), 4  # profiled; timed apart, before them
TIMED = FIRST // 3
SHOWN = 30


class Profile(Callback):
    """Times steps without the profiler, then profiles a few."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.profiler: Any = None
        self.clock = 0.0

    def before_forward(self, step: int, total: int) -> None:
        if step == FIRST - TIMED and not self.clock:
            _wait()
            self.clock = time.perf_counter()
            _HOST.clear()
        if step == FIRST and self.profiler is None:
            _wait()
            self.found = {
                "step_ms": 1e3 * (time.perf_counter() - self.clock) / TIMED,
                "host_ms": {name: 1e3 * seconds / TIMED for name, seconds in _HOST.items()},
            }
            activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
            self.profiler = profile(activities=activities)
            self.profiler.__enter__()
            self.clock = time.perf_counter()

    def after_step(self, step: int, total: int) -> None:
        if step == FIRST + STEPS - 1:
            _wait()
            self.found["profiled_step_ms"] = 1e3 * (time.perf_counter() - self.clock) / STEPS
            self.profiler.__exit__(None, None, None)
            self.found |= _summary(self.profiler)


_HOST: dict[str, float] = defaultdict(float)


def _timed(owner: Any, name: str, label: str) -> None:
    """Add up the host's seconds in `owner.name`; the main thread's and the preparing thread's alike."""
    usual = getattr(owner, name)

    def call(*inputs: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        try:
            return usual(*inputs, **options)
        finally:
            _HOST[label] += time.perf_counter() - begin

    setattr(owner, name, call)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _summary(profiler: Any) -> dict[str, Any]:
    averages = profiler.key_averages()
    kernels = [e for e in averages if str(e.device_type).endswith("CUDA")]
    host = [e for e in averages if not str(e.device_type).endswith("CUDA")]
    busy = sum(e.self_device_time_total for e in kernels) / STEPS / 1e3
    collective = sum(e.self_device_time_total for e in kernels if "nccl" in e.key.lower()) / STEPS / 1e3
    return {
        "gpu_busy_ms": busy, "gpu_collectives_ms": collective, "kernels_a_step": sum(e.count for e in kernels) / STEPS,
        "kernels": [[e.key[:100], e.count / STEPS, e.self_device_time_total / STEPS / 1e3] for e in
                    sorted(kernels, key=lambda e: -e.self_device_time_total)[:SHOWN]],
        "host": [[e.key[:100], e.count / STEPS, e.self_cpu_time_total / STEPS / 1e3] for e in
                 sorted(host, key=lambda e: -e.self_cpu_time_total)[:SHOWN]],
    }  # fmt: skip


def run() -> int:
    out, options = Path(sys.argv[1]), sys.argv[2:]
    usual, spy = arm.train, Profile()
    _timed(loop.Prefetcher, "next", "waiting for the batch")
    _timed(loop.Gradients, "prepared", "preparing (on its thread)")
    _timed(loop.Gradients, "of", "forward, backward and sums (launching)")
    _timed(loop._Loop, "_optimiser_step", "whole step (launching)")
    arm.train = lambda model, job, settings: usual(  # type: ignore[assignment]
        model, replace(job, callbacks=[*job.callbacks, spy]), settings
    )
    code = main(["train", *options])
    if os.environ.get("RANK", "0") == "0" and spy.found:
        folder = Path(options[options.index("--out") + 1])
        log = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        if len(log) > 2:  # between the first validation and the last but one: without the start, them and the profile
            first, last = log[0], log[-2]
            spy.found["step_ms"] = 1e3 * (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])
        spy.found |= {"log": log, "summary": read_json(folder / "summary.json"), "torch": torch.__version__,
                      "device": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"}  # fmt: skip
        spy.found["ranks"] = [read_json(path) for path in sorted(folder.glob("masks-rank*.json"))]
        write_json(out, spy.found)
    return code


if __name__ == "__main__":
    sys.exit(run())
