"""CTC models of `transformers` as one of the families."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...models.family import Family
from .config import HfCtcConfig
from .cost import count_parameters, macs_by_part

if TYPE_CHECKING:
    from ...models.network import Recogniser


def _network() -> type[Recogniser]:
    from .model import HfCtc

    return HfCtc


def _read_text(path: Path, config: HfCtcConfig) -> Any:
    from ...text.units import read_units

    return read_units(path)


FAMILY = Family(
    config=HfCtcConfig, network=_network, parameters=count_parameters,
    macs=lambda config, seconds, tokens, padded: sum(macs_by_part(config, seconds).values()),
    parts=lambda config, seconds, tokens: macs_by_part(config, seconds), text_file="units.json", read_text=_read_text,
)  # fmt: skip
