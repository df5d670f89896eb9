"""Our own CTC models as one of the families, and how far an output of theirs looks."""

from __future__ import annotations

from ...base.plugins import Lazy
from ..kinds import CtcFamily
from .config import TAPS, CtcConfig
from .cost import count_macs, count_parameters, macs_by_part


def receptive_field(config: CtcConfig) -> int | None:
    """The receptive field of an output, in frames of features to either side; None: the whole clip.

    Deltas, which widen it by two frames each, are counted.
    """
    if config.front_end.normalise != "none":
        return None
    if config.recurrent is not None or config.conformer is not None or config.trunk is not None:
        return None
    if config.merge_similar and config.frame_merging:  # which are similar, a clip as a whole says
        return None
    merges = iter(config.frame_merging)

    def wider(frames: int, stride: int) -> tuple[int, int]:
        """Both after the next merge."""
        factor = int(next(merges, 1))
        return frames + stride * (factor - 1), stride * factor

    frames, stride = 2 * config.front_end.deltas, 1
    for _ in config.subsampling.channels if config.subsampling is not None else ():
        frames, stride = frames + stride, 2 * stride
    if config.inception is not None:
        frames, stride = wider(frames + stride * config.inception.stride, stride * config.inception.stride)
        for block in config.inception.blocks:
            taps = [sum(n // 2 for n in TAPS[branch.kind]) + (branch.kind == "pool") for branch in block]
            frames, stride = wider(frames + stride * max(taps), stride)
    return frames


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
