"""A Ray cluster of this machine that is content with little memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def cluster() -> Iterator[None]:
    """Two workers, a small store of objects, and nobody who kills workers because others use the machine's memory."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        patch.setenv("RAY_worker_niceness", "0")  # of 15, they wait minutes for whoever else computes
        ray.init(
            num_cpus=2, object_store_memory=80 << 20, log_to_driver=False, include_dashboard=False,
            configure_logging=False,
        )  # fmt: skip
        try:
            yield
        finally:
            ray.shutdown()
