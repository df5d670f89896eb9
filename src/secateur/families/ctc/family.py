"""CTC models as one of the families."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...models.family import Family
from .config import CtcConfig
from .cost import count_macs, count_parameters, macs_by_part

if TYPE_CHECKING:
    from ...models.network import Recogniser


def _network() -> type[Recogniser]:
    from .model import CtcModel

    return CtcModel


def _read_text(path: Path, config: CtcConfig) -> Any:
    from ...text.units import read_units

    return read_units(path)


FAMILY = Family(
    config=CtcConfig, network=_network, parameters=lambda config: count_parameters(config)["total"],
    macs=lambda config, seconds, tokens, padded: count_macs(config, seconds)["total"],
    parts=lambda config, seconds, tokens: macs_by_part(config, seconds), text_file="units.json", read_text=_read_text,
)  # fmt: skip
