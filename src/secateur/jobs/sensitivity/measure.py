"""What a worker does with a piece of a map, here or on a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from .probe import Probe, ProbeSpec, make_probe
from .store import Piece

Answer = tuple[list[Any], float]  # losses or texts of each variant, and the seconds it took


def measure(probe: Probe, piece: Piece) -> Answer:
    """Do one piece."""
    start = time.perf_counter()
    if piece.phase == "decode":
        return list(probe.texts(piece.variants)), time.perf_counter() - start
    found = probe.losses(piece.variants, piece.phase).tolist()
    return found, time.perf_counter() - start


def make_measure(spec: ProbeSpec) -> Callable[[Piece], Answer]:
    """The same with a model of its own: what a worker on a cluster needs."""
    return partial(measure, make_probe(spec))
