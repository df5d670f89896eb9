"""The toy as a family: it answers in every frame, and shares what CTC families share."""

from __future__ import annotations

from secateur.base.plugins import Lazy
from secateur.families.kinds import CtcFamily

from .config import ToyConfig, macs, parameters

FAMILY = CtcFamily(
    name="toy", config=ToyConfig, network=Lazy("toy_asr.network:ToyNetwork"), parameters=parameters,
    macs=lambda config, seconds, tokens, padded: sum(macs(config, seconds).values()),
    parts=lambda config, seconds, tokens: macs(config, seconds), exporter=Lazy("toy_asr.export:EXPORTER"),
)  # fmt: skip
