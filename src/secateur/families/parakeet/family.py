"""Parakeet as one of the families."""

from __future__ import annotations

from ...base.plugins import Lazy
from ..kinds import CtcFamily
from .config import ParakeetConfig, widths_of
from .cost import count_parameters, macs_by_part

FAMILY = CtcFamily(
    name="parakeet",
    config=ParakeetConfig,
    network=Lazy("secateur.families.parakeet.model:Parakeet"),
    parameters=count_parameters,
    macs=lambda config, seconds, tokens, padded: sum(macs_by_part(config, seconds).values()),
    parts=lambda config, seconds, tokens: macs_by_part(config, seconds),
    widths=widths_of,
    exporter=Lazy("secateur.families.parakeet.graph:EXPORTER"),
    writers={
        "transformers": Lazy("secateur.families.parakeet.folder:write_parakeet"),
        "transformers-pruned": Lazy("secateur.families.parakeet.folder:write_pruned_parakeet"),
    },
    precisions=dict.fromkeys(("transformers", "transformers-pruned"), ("fp32", "fp16", "bf16")),
    layouts={"parakeet_ctc": Lazy("secateur.families.parakeet.folder:read_parakeet")},
)
