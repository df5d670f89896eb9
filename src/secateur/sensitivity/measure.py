"""What a worker does with a piece of a map, here or on a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from .probe import Probe, ProbeSpec, make_probe
from .store import Piece

Answer = tuple[list[list[float]], list[list[str]], float]  # losses and texts of each variant, and the seconds it took


def measure(probe: Probe, piece: Piece) -> Answer:
    """Do one piece."""
    start = time.perf_counter()
    if piece.part is None:
        losses, texts = probe.heard(piece.variants)
    else:
        losses, texts = probe.losses(piece.variants, piece.part), []
    return losses.tolist(), texts, time.perf_counter() - start


def make_measure(spec: ProbeSpec) -> Callable[[Piece], Answer]:
    """The same with a model of its own: what a worker on a cluster needs."""
    return partial(measure, make_probe(spec))
