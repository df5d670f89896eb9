"""Every number of a training run, in one frozen dataclass that TOML and the command line can fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..audio.augment import AugmentOptions
from ..features.specaugment import SpecAugmentOptions


@dataclass(frozen=True)
class TrainSettings:
    """Fine-tuning settings. `steps`, when given, overrides `epochs`: arms compared at equal steps use it."""

    epochs: float = 9.0
    steps: int | None = None
    batch_seconds: float = 160.0  # seconds of audio in a batch, padding included; all processes' clips together
    accumulate: int = 1  # pieces that each process hears its clips of a batch in: less memory, the same gradient
    learning_rate: float = 3e-5
    warmup: float = 0.1  # share of all steps
    final_rate: float = 0.0  # share of the learning rate that is left at the end of the cosine
    weight_decay: float = 0.01  # L2, decoupled (AdamW)
    l2_start: float = 0.0  # times the summed squared distance from the start's weights (L2-SP, arXiv 1802.01483)
    l1: float = 0.0  # times the mean absolute value of all weight matrices
    dropout: float = 0.0
    dropout_span: tuple[float, ...] = (0.0, 1.0)  # shares of the steps between which it is on: before pruning, or after
    label_smoothing: float = 0.0
    clip: float = 1.0  # largest gradient norm
    ema: float = 0.998  # decay of the averaged weights; 0 is off
    average_last: int = 0  # average the weights of the last so many validations; 0 is off
    blend: float = 1.0  # share of the tuned weights in the result, the rest is the start's (WiSE-FT, arXiv 2109.01903)
    style: Literal["sentence", "as-is"] = "as-is"  # "sentence": bare transcripts are learnt with capitals and full stop
    piece_dropout: float = (
        0.1  # with pruned vocabulary rows: chance that a token is learnt as the two it was merged from
    )
    distil: float = 0.7  # weight of the teacher's part of the loss, where there is a teacher
    distil_on: Literal["retain", "all"] = "retain"  # which clips the teacher speaks on: those to retain, or all
    temperature: float = 1.0  # of the teacher's distribution
    inner_ctc: float = 0.0  # CTC: share of the loss that half of a Conformer's blocks answer for alone
    helper: Literal["none", "pinyin"] = "none"  # a second task of the encoder while it trains: CTC over pinyin
    helper_weight: float = 0.3  # of its loss
    helper_units: Literal["parts", "numbers", "plain"] = "parts"  # initials and finals, syllables with tones, without
    helper_rate: float = 25.0  # its head's learning rate over the model's: it starts from nothing
    helper_kept: bool = False  # keep the head beside the checkpoint, for correction by sound
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 on a GPU, fp32 on a CPU
    select: Literal["last", "best"] = "last"  # which weights are the result: the last, or the best on dev
    patience: int = 0  # stop after so many validations without a better one; the result is the best on dev; 0 is off
    lora_rank: int = 0  # train only updates of this rank of all linear layers, and merge them; 0 is off
    lora_share: float = 0.0  # instead of a rank: share of the model's parameters that may be trained; 0 is off
    validate_every: float = 1.0  # epochs
    save_every: int = 200  # steps between states to resume from
    short_first: int = 0  # epochs at the start whose batches come from the shortest clips to the longest (SortaGrad)
    mask_after: float = 0.0  # share of the steps before SpecAugment begins: a network from nothing must first align
    seed: int = 0
    deterministic: bool = False
    tensorboard: bool = False  # also write the log for TensorBoard
    spec_augment: SpecAugmentOptions | None = SpecAugmentOptions()  # in TOML a table, or "none"
    augment: AugmentOptions | None = AugmentOptions()  # speed, and noise when there is a noise bank; or "none"


# What studies found best for a published model and hours of recordings (results/): held near its start it learns
# the new speakers as well, keeps what it knew, and needs no teacher for that.
FINE_TUNING = TrainSettings(learning_rate=4e-5, l2_start=0.01, distil=0.0)
