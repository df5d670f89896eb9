"""Our own CTC models as one of the families."""

from __future__ import annotations

from ...base.plugins import Lazy
from ..frames import CtcFamily
from .config import CtcConfig
from .cost import count_macs, count_parameters, macs_by_part
from .receptive_field import receptive_field

FAMILY = CtcFamily(
    name="ctc",
    config=CtcConfig,
    network=Lazy("secateur.families.ctc.model:CtcModel"),
    parameters=lambda config: count_parameters(config)["total"],
    macs=lambda config, seconds, tokens, padded: count_macs(config, seconds)["total"],
    parts=lambda config, seconds, tokens: macs_by_part(config, seconds),
    receptive_field=receptive_field,
    exporter=Lazy("secateur.families.ctc.export:EXPORTER"),
    writers={"sherpa": Lazy("secateur.families.ctc.write_sherpa:write_sherpa")},
)
