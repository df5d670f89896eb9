"""One work item of a sensitivity map, on this machine or on a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from .probe import Probe, ProbeSpec, make_probe
from .store import WorkItem

Answer = tuple[list[list[float]], list[list[str]], float]  # losses and texts of each variant, and the seconds it took


def measure(probe: Probe, item: WorkItem) -> Answer:
    """Losses (and texts, on all clips) of the item's variants."""
    start = time.perf_counter()
    if item.part is None:
        losses, texts = probe.decoded(item.variants)
    else:
        losses, texts = probe.losses(item.variants, item.part), []
    return losses.tolist(), texts, time.perf_counter() - start


def make_measure(spec: ProbeSpec) -> Callable[[WorkItem], Answer]:
    """`measure` with a model of its own, for a worker on a cluster."""
    return partial(measure, make_probe(spec))
