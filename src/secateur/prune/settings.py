"""What to prune, in one frozen dataclass that TOML and the command line can fill."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .budget import GLOBAL_KINDS


@dataclass(frozen=True)
class PruneSettings:
    """`remove` is the share of the original model that is gone at the end: vocabulary and contexts count too.

    With `amounts` (name pattern or kind to share), groups lose fixed shares instead of competing for the budget.
    """

    method: str = "gradual"  # how it goes while training: see prune/methods.py
    remove: float | None = 0.6
    measure: Literal["parameters", "weights", "macs"] = "parameters"  # weights: without embeddings and positions
    criterion: str = "taylor"
    map: str = ""  # criterion "sensitivity", allocate "search": the map.json that `secateur sensitivity` wrote
    schedule: str = "cubic"
    kinds: tuple[str, ...] = GLOBAL_KINDS
    amounts: dict[str, float] = field(default_factory=dict)
    protect: float = 0.9  # no group loses more than this share
    begin: float = 0.02  # of the training steps: the first pruning event
    end: float = 0.5  # of the training steps: the final amount is reached; the rest recovers
    every: int = 16  # steps between events
    pressure: float = 0.5  # group-lasso: norm of its gradient, as a share of the loss's, at full strength
    layer_drop: float = 0.2  # layer-drop: chance that a layer is skipped in a step
    scope: Literal["global", "layer", "row"] = "global"  # single weights: where they compete
    pattern: str = ""  # single weights: N:M, such as "2:4": N of every M consecutive inputs stay
    target: str = ""  # instead of remove: latency=0.5 (of the dense model), parameters=, macs=, size=, wer=+0.5 points
    allocate: Literal["uniform", "global", "search"] = "search"  # how a target is shared out over groups
    harm: Literal["loss", "error"] = "loss"  # allocate "search" with a map: which of its changes counts
    plan: str = ""  # instead of a target: the allocation.json of an earlier run, whose shares go again
    precision: Literal["fp32", "fp16", "int8"] = "fp32"  # of the exported models that latency and size are measured on
    seed: int = 0  # of random scores (what is drawn while training follows the training's seed)
    sample_rate: int | None = None  # Hz of the audio, below the model's: bins above half of it go
    frame_shift_ms: float | None = None  # from one frame to the next, above the model's: 12.5, 15, 20
    # frames merged into one inside the encoder: "0:2" after layer 0 in pairs, "input:2" before all
    merge_frames: tuple[str, ...] = ()
    merge_kind: Literal["mean", "learned"] = "mean"  # learned: weights per frame and channel that start at the mean
    deltas: int | None = None  # of cepstra or fbank: keep derivatives up to this order only
    vocabulary: bool = True  # keep only the rows that the training texts and frequent words need
    frequent: int = 4000  # most frequent tokens, spelled with the texts' characters, that stay in any case
    rows: int | None = None  # at most so many text rows; None keeps all that the texts use
    timestamps: bool = False  # keep the timestamp rows
    audio_seconds: float | None = 21.0  # audio context; None keeps the original's
    text_tokens: int | None = 160  # text context; None keeps the original's
