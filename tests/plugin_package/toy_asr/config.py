"""The toy's config: two widths."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from secateur.features.front_end import FrontEnd, front_end
from secateur.models.family import FORMAT


@dataclass(frozen=True)
class ToyConfig:
    """One hidden layer on three frames side by side, and a CTC output."""

    units: int
    hidden: int = 40
    front_end: FrontEnd = front_end("toy-bands")
    name: str = "toy"
    family: str = "toy"
    format: int = FORMAT

    @property
    def max_seconds(self) -> float:
        return math.inf

    @property
    def subsampled(self) -> int:
        return 1

    def with_front_end(self, front_end: FrontEnd) -> ToyConfig:
        return replace(self, front_end=front_end)

    def shrunk(self, keep: dict[str, list[int]]) -> ToyConfig:
        return replace(self, hidden=len(keep["up"]) if "up" in keep else self.hidden)


def parameters(config: ToyConfig) -> int:
    return (3 * config.front_end.inputs + 1) * config.hidden + (config.hidden + 1) * config.units


def macs(config: ToyConfig, seconds: float) -> dict[str, int]:
    frames = config.front_end.frames(round(seconds * config.front_end.sample_rate))
    return {"layers": frames * config.hidden * (3 * config.front_end.inputs + config.units)}
