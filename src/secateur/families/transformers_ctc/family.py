"""CTC models of `transformers` as one of the families."""

from __future__ import annotations

from ...base.plugins import Lazy
from ...models.family import LayoutReader
from ..kinds import CtcFamily
from .config import HfCtcConfig, widths_of
from .cost import count_parameters, macs_by_part

READ: Lazy[LayoutReader] = Lazy("secateur.families.transformers_ctc.folder:read_hf_ctc")

FAMILY = CtcFamily(
    name="hf_ctc",
    config=HfCtcConfig,
    network=Lazy("secateur.families.transformers_ctc.model:HfCtc"),
    parameters=count_parameters,
    macs=lambda config, seconds, tokens, padded: sum(macs_by_part(config, seconds).values()),
    parts=lambda config, seconds, tokens: macs_by_part(config, seconds),
    widths=widths_of,
    exporter=Lazy("secateur.families.transformers_ctc.graph:EXPORTER"),
    writers={
        "transformers": Lazy("secateur.families.transformers_ctc.folder:write_hf_ctc"),
        "transformers-pruned": Lazy("secateur.families.transformers_ctc.folder:write_pruned_hf_ctc"),
    },
    precisions=dict.fromkeys(("transformers", "transformers-pruned"), ("fp32", "fp16", "bf16")),
    layouts=dict.fromkeys(("wav2vec2", "hubert", "wavlm", "wav2vec2-conformer"), READ),
)
