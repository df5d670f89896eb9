"""Every number of a training run, in one frozen dataclass that TOML, Python and the command line can fill."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from ..audio.augment_options import AugmentOptions
from ..base.errors import SecateurError
from ..base.options import Settings, option
from ..features.specaugment_options import SpecAugmentOptions
from .mix import MixSettings

L2_SP = 0.01  # for a pretrained start: new speakers are learned as well, and less of the old domain is forgotten
DISTILLATION = 0.7  # with a teacher that was named


def longest_option() -> Any:
    """The option that leaves long clips out: jobs and studies have one default."""
    return option(21.0, "Leave longer clips out of training.", unit="s", above=0)


@dataclass(frozen=True)
class TrainSettings(Settings):
    """How a model is trained. The defaults are what the studies found best for hours of recordings.

    `steps`, when given, overrides `epochs`: arms compared at equal steps use it. What depends on the start is decided
    in `resolved`.
    """

    epochs: float = option(
        9.0,
        "Pass over the training set this many times.",
        unit="epochs",
        above=0,
        elsewhere=("num_train_epochs", "num_epochs", "max_epochs"),
    )
    steps: int | None = option(
        None,
        "Take this many optimiser steps, whatever the number of epochs.",
        unit="steps",
        least=1,
        elsewhere=("max_steps", "num_steps", "iterations"),
    )
    batch_seconds: float = option(
        160.0,
        "Put this much audio, padding included, into a batch, over all processes together.",
        unit="s",
        above=0,
        elsewhere=("batch_size", "per_device_train_batch_size", "train_batch_size", "batch_bins", "max_duration"),
    )
    accumulate: int = option(
        1,
        "Split each process's batch into this many pieces: less memory, the same gradient.",
        unit="pieces",
        least=1,
        elsewhere=("gradient_accumulation_steps", "accum_grad", "accumulate_grad_batches"),
    )
    learning_rate: float = option(
        4e-5,
        "Set the peak learning rate (AdamW, cosine decay).",
        above=0,
        most=1,
        elsewhere=("lr", "base_lr", "max_lr", "peak_lr"),
    )
    warmup: float = option(
        0.1,
        "Raise the learning rate over this share of the steps.",
        unit="share",
        least=0,
        most=1,
        advanced=True,
        elsewhere=("warmup_steps", "warmup_ratio", "num_warmup_steps"),
    )
    final_rate: float = option(
        0.0, "End the cosine decay at this share of the learning rate.", unit="share", least=0, most=1, advanced=True
    )
    weight_decay: float = option(0.01, "Set AdamW's decoupled weight decay.", least=0, advanced=True)
    l2_sp: float | None = option(
        None,
        "Hold the weights near their start: times their squared distance from it (L2-SP, arXiv 1802.01483); "
        "left out: 0.01 for a pretrained model, 0 for a new one.",
        least=0,
        was=("l2_start",),
    )
    l1: float = option(0.0, "Add this times the mean absolute weight to the loss.", least=0, advanced=True)
    dropout: float = option(0.0, "Drop activations with this probability.", unit="probability", least=0, below=1)
    dropout_span: tuple[float, ...] = option(
        (0.0, 1.0), "Apply dropout between these shares of the steps: before pruning, say, or after.", unit="share",
        least=0, most=1, advanced=True, goes_with="dropout",
    )  # fmt: skip
    label_smoothing: float = option(
        0.0, "Smooth the targets by this much (token models).", least=0, below=1, advanced=True
    )
    gradient_clip: float = option(
        1.0,
        "Limit the gradient's norm to this.",
        above=0,
        advanced=True,
        was=("clip",),
        elsewhere=("max_grad_norm", "grad_clip", "gradient_clip_val", "clip_grad_norm"),
    )
    ema: float = option(
        0.998,
        "Average the weights exponentially with this decay, from the last removal on; 0 is off.",
        least=0,
        below=1,
    )
    average_last: int = option(
        0, "Average the weights of this many last validations; 0 is off.", unit="validations", least=0, advanced=True
    )
    four_bits: tuple[str, ...] = option(
        (),
        "Train the matrices of these names (patterns) as the four bits that `export --four-bits` stores.",
        advanced=True,
    )
    four_bits_from: float = option(
        0.6,
        "Begin with four bits after this share of the steps.",
        unit="share",
        least=0,
        below=1,
        advanced=True,
        goes_with="four_bits",
    )
    interpolation: float | Literal["dev"] = option(
        "dev", "Mix the result with the start (WiSE-FT, arXiv 2109.01903): this share of the trained weights, or dev: "
        "the share best on dev, where a rise on the rehearsal-dev sets above 0.5 points counts as much; without such "
        "sets, all.",
        unit="share", least=0, most=1, advanced=True, was=("blend", "interpolate"),
    )  # fmt: skip
    style: Literal["sentence", "as-is"] = option(
        "as-is", "Train on transcripts as they are, or on bare ones as sentences with capitals and full stop."
    )
    bpe_dropout: float = option(
        0.1, "Spell a token as the two it was merged from with this probability, where vocabulary rows are pruned.",
        unit="probability", least=0, most=1, advanced=True, was=("piece_dropout",),
    )  # fmt: skip
    distillation: float | None = option(
        None, "Weight the teacher's part of the loss by this; left out: 0.7 with a teacher that is named, else 0.",
        unit="share", least=0, most=1, was=("distil",),
        elsewhere=("distill", "kd_weight", "kd_alpha"),
    )  # fmt: skip
    distillation_on: Literal["rehearsal", "all"] = option(
        "rehearsal", "Distil on the clips of the rehearsal set, or on all.", was=("distil_on",)
    )
    distillation_temperature: float = option(
        1.0, "Soften the teacher's distribution by this temperature.", above=0, advanced=True, was=("temperature",)
    )
    mwer: float = option(
        0.0, "Train the last share of the steps by minimum word error rate on n-best lists (encoder-decoder models; "
        "arXiv 1712.01818); 0 is off.", unit="share", least=0, most=1,
    )  # fmt: skip
    mwer_beam: int = option(
        4,
        "Search n-best lists with this many hypotheses a clip (mwer).",
        unit="hypotheses",
        least=2,
        advanced=True,
        goes_with="mwer",
    )
    mwer_cross_entropy: float = option(
        0.1,
        "Weight the cross entropy beside the expected word errors by this (mwer).",
        least=0,
        advanced=True,
        goes_with="mwer",
    )
    intermediate_ctc: float = option(
        0.0, "Give this share of a Conformer's CTC loss to its middle block.", unit="share", least=0, most=1,
        advanced=True, was=("inner_ctc",),
    )  # fmt: skip
    auxiliary: Literal["none", "pinyin"] = option(
        "none", "Train an auxiliary CTC head on the encoder: pinyin, for Chinese.", was=("helper",)
    )
    auxiliary_weight: float = option(
        0.3,
        "Weight the auxiliary head's loss by this.",
        least=0,
        advanced=True,
        was=("helper_weight",),
        goes_with="auxiliary",
    )
    auxiliary_units: Literal["parts", "numbers", "plain"] = option(
        "parts",
        "Choose the auxiliary head's units: initials and finals, syllables with tone numbers, or without.",
        advanced=True,
        was=("helper_units",),
        goes_with="auxiliary",
    )
    auxiliary_rate: float = option(
        25.0, "Multiply the learning rate by this for the auxiliary head, which starts untrained.", above=0,
        advanced=True, was=("helper_rate",), goes_with="auxiliary",
    )  # fmt: skip
    auxiliary_saved: bool = option(
        False,
        "Save the auxiliary head beside the checkpoint, for correction by sound.",
        advanced=True,
        was=("helper_kept",),
        goes_with="auxiliary",
    )
    precision: Literal["auto", "fp32", "bf16"] = option(
        "auto", "Compute in this precision; auto is bf16 on a GPU and fp32 on a CPU.", advanced=True
    )
    optimizer: Literal["adamw", "adafactor"] = option(
        "adamw", "Train with AdamW, or with Adafactor, whose state takes a thousandth of the memory.", advanced=True
    )
    gradient_checkpointing: bool = option(
        False,
        "Compute layers again in the backward pass instead of keeping what they computed: less memory, a third "
        "more time.",
        advanced=True,
    )
    offload: bool = option(
        False, "Keep the average, the start and the original in the computer's memory, not the GPU's.", advanced=True
    )
    shard: bool = option(
        False,
        "Shard weights, gradients, optimiser state and averages over the processes of torchrun (FSDP), for "
        "models whose training one GPU does not hold.",
        advanced=True,
    )
    select: Literal["last", "best"] = option("last", "Return the last weights, or the best on the dev set.")
    patience: int = option(
        0,
        "Stop after this many validations without a better one and return the best; 0 is off.",
        unit="validations",
        least=0,
    )
    lora_rank: int = option(
        0,
        "Train only low-rank updates of this rank of all linear layers, and merge them (LoRA); 0 is off.",
        unit="rank",
        least=0,
        advanced=True,
    )
    lora_share: float = option(
        0.0, "Choose the LoRA rank so that this share of the parameters is trained; 0 is off.", unit="share", least=0,
        most=1, advanced=True,
    )  # fmt: skip
    validate_every: float = option(1.0, "Decode the dev set this often.", unit="epochs", above=0)
    save_every: int = option(200, "Save the state to resume from this often.", unit="steps", least=1, advanced=True)
    sortagrad: int = option(
        0, "Sort the batches from short to long clips in this many first epochs (SortaGrad).", unit="epochs", least=0,
        advanced=True, was=("short_first",),
    )  # fmt: skip
    spec_augment_start: float = option(
        0.0, "Begin SpecAugment after this share of the steps: a new network must align first.", unit="share", least=0,
        most=1, advanced=True, was=("mask_after",), goes_with="spec_augment",
    )  # fmt: skip
    seed: int = option(0, "Seed the order of clips, dropout and augmentation.")
    deterministic: bool = option(False, "Use only operations that give the same bits again.", advanced=True)
    tensorboard: bool = option(False, "Also write the log for TensorBoard.", advanced=True)
    spec_augment: SpecAugmentOptions | None = option(
        SpecAugmentOptions(), "Hide stretches of time and bands of frequency; none is off."
    )
    mix: MixSettings | None = option(
        MixSettings(), "Mix non-speech, pauses, prompts and timestamps into the examples; none is off."
    )
    augment: AugmentOptions | None = option(
        AugmentOptions(), "Change speed, room, noise, telephone band and level of clips; none is off."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.dropout_span) != 2 or self.dropout_span[0] >= self.dropout_span[1]:
            raise SecateurError(f"dropout_span must be two shares, the lower first, found {self.dropout_span}")
        if self.lora_rank and self.lora_share:
            raise SecateurError("lora_rank and lora_share exclude each other: give one of the two")
        if self.optimizer == "adafactor" and self.low_rank_updates:
            raise SecateurError("adafactor moves low-rank updates, which start at zero, too little: take adamw")

        if self.shard:
            names = ("four_bits", "l1", "lora_rank", "lora_share", "mwer")  # they read whole weights in every pass
            apart = [name for name in names if getattr(self, name)] + ["auxiliary"] * (self.auxiliary != "none")
            if apart:
                raise SecateurError(f"shard cannot go with {', '.join(apart)}: leave out one or the other")

    @property
    def low_rank_updates(self) -> bool:
        """Whether only low-rank updates are trained (LoRA)."""
        return bool(self.lora_rank or self.lora_share)

    def by_word_errors(self, step: int, total: int) -> bool:
        """Whether `step` (from 0) of `total` trains by minimum word error rate."""
        return self.mwer > 0 and step >= total - round(self.mwer * total)

    @property
    def share_trained(self) -> float:
        """The share of the trained weights (WiSE-FT) during the run; 1 where dev chooses it afterwards."""
        return 1.0 if self.interpolation == "dev" else self.interpolation

    def resolved(self, *, pretrained: bool, teacher: bool) -> TrainSettings:
        """Settings that are None, filled in by whether the start is pretrained and whether a teacher is named."""
        l2_sp = self.l2_sp if self.l2_sp is not None else L2_SP if pretrained else 0.0
        weight = self.distillation if self.distillation is not None else DISTILLATION if teacher else 0.0
        mix = None if self.mix is None else self.mix.resolved(pretrained)
        return replace(self, l2_sp=l2_sp, distillation=weight, mix=mix)
