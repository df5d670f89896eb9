"""Small CTC models with a different width everywhere, and seeded inputs: what tests of the family run on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from secateur.base.files import write_json
from secateur.families.ctc.config import (
    BranchWidths,
    ConformerBlockWidths,
    ConformerWidths,
    CtcConfig,
    DirectionWidths,
    InceptionWidths,
    RecurrentWidths,
    Streaming,
    SubsamplingWidths,
    TrunkWidths,
)
from secateur.families.ctc.frames import BatchNorm
from secateur.families.ctc.model import CtcModel
from secateur.families.whisper.config import AttentionWidths, EncoderWidths
from secateur.features.front_end import front_end

INCEPTION = InceptionWidths(
    stem=9, stride=2,
    blocks=(
        (
            BranchWidths("one", (5,)), BranchWidths("three", (6, 8)), BranchWidths("five", (4, 7, 10)),
            BranchWidths("pool", (3,)),
        ),
        (BranchWidths("pool", (11,)), BranchWidths("five", (8, 5, 6)), BranchWidths("one", (4,))),
    ),
)  # fmt: skip
RECURRENT = RecurrentWidths("gru", (DirectionWidths(11, 14), DirectionWidths(13, 9)))
CONFORMER = ConformerWidths(
    width=16, kernel=5, farthest=4, attention_scale=6**-0.5,
    layers=(
        ConformerBlockWidths(20, AttentionWidths(3, 6, 5), 12, 17),
        ConformerBlockWidths(14, AttentionWidths(2, 8, 7), 15, 24),
        ConformerBlockWidths(18, AttentionWidths(4, 5, 6), 10, 13),
    ),
)  # fmt: skip
PLAIN = CtcConfig(units=7, front_end=front_end("fbank", bins=19), name="small")
TRUNK = TrunkWidths(
    width=16, convs=12, context=24, attention_scale=6**-0.5,
    layers=(
        EncoderWidths(AttentionWidths(3, 6, 5), 20), EncoderWidths(AttentionWidths(2, 8, 7), 14),
        EncoderWidths(AttentionWidths(4, 5, 6), 18),
    ),
)  # fmt: skip
CONFIGS = {
    "trunk": replace(PLAIN, trunk=TRUNK),
    "subsampling": replace(PLAIN, subsampling=SubsamplingWidths((5, 7))),
    "inception": replace(PLAIN, inception=INCEPTION),
    "gru": replace(PLAIN, recurrent=RECURRENT),
    "lstm": replace(PLAIN, recurrent=replace(RECURRENT, cell="lstm")),
    "conformer": replace(PLAIN, conformer=CONFORMER),
    "subsampled gru": replace(PLAIN, subsampling=SubsamplingWidths((6,)), recurrent=RECURRENT),
    "subsampled conformer": replace(PLAIN, subsampling=SubsamplingWidths((4, 6)), conformer=CONFORMER),
    "everything": replace(
        PLAIN, subsampling=SubsamplingWidths((5,)), inception=INCEPTION, recurrent=replace(RECURRENT, cell="lstm"),
        conformer=CONFORMER,
    ),
    "streaming": replace(
        PLAIN, subsampling=SubsamplingWidths((5,)), inception=INCEPTION, conformer=CONFORMER, streaming=Streaming(3, 5),
        recurrent=RecurrentWidths("lstm", (DirectionWidths(11, 0), DirectionWidths(13, 0))),
    ),
}  # fmt: skip


class NoText:
    """A stand-in for the text codec, where only the network counts."""

    def encode(self, text: str) -> list[int]:
        return []

    def decode(self, ids: list[int]) -> str:
        return ""

    def write(self, path: Path) -> None:
        write_json(path, {})


def small_ctc(kind: str, seed: int = 0) -> CtcModel:
    """A model whose every value, running statistics included, is far enough from its start to show in the output."""
    return moved_from_start(CONFIGS[kind], seed)


def moved_from_start(config: CtcConfig, seed: int) -> CtcModel:
    """As `small_ctc`, of any widths."""
    torch.manual_seed(seed)
    model = CtcModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, BatchNorm):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.2, 1.5)
    return model


def inputs(model: CtcModel, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """A padded batch, with noise in its padding: features (3, 41, inputs), frames (3,)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 41, model.config.front_end.inputs, generator=generator), torch.tensor([41, 26, 3])


@torch.no_grad()
def outputs(model: CtcModel, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """The real frames of all rows, one row after the other: (frames, units)."""
    log_probs, frames = model(*batch)
    return torch.cat([row[:count] for row, count in zip(log_probs, frames.tolist(), strict=True)])
