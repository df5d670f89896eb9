"""What to prune, in frozen dataclasses that TOML, Python and the command line can fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..base.errors import SecateurError, nearest
from ..base.options import Settings, option

# Settings that some methods read and others do not: see `Method.reads`.
BY_METHOD = frozenset({
    "criterion", "map", "schedule", "kinds", "protect", "measure", "every", "pressure", "layer_drop", "scope",
    "pattern",
})  # fmt: skip
GLOBAL_KINDS = ("head", "query_key", "value", "ffn", "conv", "unit")  # what competes for a budget unless said otherwise
KINDS = ("head", "ffn", "query_key", "value", "conv", "unit")
RATIOS = ("latency", "parameters", "macs", "size")  # of the dense model's
COST = "cost"  # at most what another model takes: milliseconds of a short and of a long clip, bytes
WER = "wer"  # points of error rate that may be lost, before any tuning


@dataclass(frozen=True)
class PruneSettings(Settings):
    """What is removed, how it is chosen, and when. Removed vocabulary rows and contexts count as well.

    With `amounts` (name pattern or kind to share), groups lose fixed shares instead of competing for the budget.
    """

    method: str = option(
        "refit", "Prune by this method while the model trains.", choices="secateur.prune.method:METHODS"
    )
    remove: float | None = option(
        0.3,
        "Remove this share of the original model; none leaves it to amounts.",
        unit="share",
        least=0,
        below=1,
        elsewhere=("sparsity", "amount", "ratio", "pruning_ratio", "prune_ratio", "final_sparsity", "target_sparsity"),
    )
    measure: Literal["parameters", "weights", "macs"] = option(
        "parameters",
        "Count the share in parameters, in weights without embeddings and positions, or in multiply-accumulates.",
    )
    criterion: str = option(
        "taylor",
        "Rank units, or single weights, by this criterion; the lowest go first.",
        choices="secateur.prune.importance:CRITERIA secateur.prune.weights.scores:WEIGHT_CRITERIA",
    )
    map: str = option(
        "", "Read the sensitivity map (map.json) that the criterion sensitivity and the allocation search need."
    )
    schedule: str = option(
        "cubic",
        "Raise the amount from 0 to the final one along this curve.",
        choices="secateur.prune.schedule:SCHEDULES",
        advanced=True,
    )
    kinds: tuple[str, ...] = option(GLOBAL_KINDS, "Let these kinds of units compete for the budget.", advanced=True)
    amounts: dict[str, float] = option(
        factory=dict,
        help="Remove these shares by kind or name pattern instead: ffn=0.2,decoder.*.heads=0.5.",
        unit="share",
        advanced=True,
    )
    protect: float = option(0.9, "Take at most this share of any group.", unit="share", least=0, most=1, advanced=True)
    begin: float = option(
        0.02, "Prune for the first time after this share of the steps.", unit="share", least=0, most=1, advanced=True
    )
    end: float = option(
        0.5, "Reach the final amount after this share of the steps; the rest recovers.", unit="share", least=0, most=1
    )
    every: int = option(16, "Prune again after this many steps.", unit="steps", least=1, advanced=True)
    pressure: float = option(
        0.5,
        "Penalise units with a gradient of this norm, as a share of the loss's, at full strength (group-lasso).",
        unit="share",
        least=0,
        advanced=True,
    )
    layer_drop: float = option(
        0.2, "Skip a layer in a training step with this probability (layer-drop).", unit="probability", least=0,
        below=1, advanced=True,
    )  # fmt: skip
    scope: Literal["global", "layer", "row"] = option(
        "global", "Let single weights compete in the whole model, in their layer or in their row.", advanced=True
    )
    pattern: str = option("", "Keep N of every M consecutive inputs, as 2:4 does (single weights).", advanced=True)
    target: str = option(
        "",
        "Meet a target instead of a share: latency=0.5 of the dense model's, parameters=, macs=, size=; "
        "wer=+0.5 points; or cost=tiny.en: at most that model's milliseconds and bytes.",
    )
    allocate: Literal["uniform", "global", "search"] = option(
        "search",
        "Share a target out over groups evenly, by one ranking, or by searching for the smallest loss increase.",
        goes_with="target",
    )
    search_by: Literal["loss", "error"] = option(
        "loss",
        "Read the sensitivity map's change of loss, or of error rate, in the search.",
        advanced=True,
        was=("harm",),
        goes_with="map",
    )
    plan: str = option(
        "", "Remove the shares of an earlier run's allocation.json, instead of meeting a target.", advanced=True
    )
    precision: Literal["fp32", "fp16", "int8"] = option(
        "fp32",
        "Measure a target's latency and size on exports in this precision.",
        advanced=True,
        goes_with="target",
    )
    own: dict[str, Any] = option(
        factory=dict, help="Set what only the chosen method has (those of other packages): name=value.", advanced=True
    )
    seed: int = option(0, "Seed random scores.", advanced=True)
    sample_rate: int | None = option(
        None,
        "Lower the audio's sample rate to this; bins above half of it are removed.",
        unit="Hz",
        least=2000,
        advanced=True,
    )
    frame_shift_ms: float | None = option(
        None, "Set the frame shift to this, such as 12.5, 15 or 20.", unit="ms", above=0, advanced=True
    )
    merge_frames: tuple[str, ...] = option(
        (),
        "Merge frames into one inside the encoder: 0:2 pairs them after layer 0, input:2 before all; similar ones "
        "by 1.01 to 2: 0:1.5 leaves two of three.",
        advanced=True,
    )
    merge_kind: Literal["mean", "learned", "similar"] = option(
        "mean",
        "Merge frames by their mean, by learned weights per frame and channel that start at it, or only the "
        "most similar neighbours, for which nothing need be trained.",
        advanced=True,
        goes_with="merge_frames",
    )
    low_rank: dict[str, float] = option(
        factory=dict,
        help="Store these matrices as a product of two, with this share of their values, chosen by what "
        "they read: encoder.*.ffn.*=0.7,decoder.token_embedding=0.5.",
        unit="share",
        advanced=True,
    )
    width: float | None = option(
        None, "Keep this share of the residual stream's dimensions (d_model), rotated so that they hold what layers "
        "read most: 0.9 of 512 are 456. Whisper only; token rows keep theirs, see low_rank.", unit="share", above=0,
        most=1, advanced=True,
    )  # fmt: skip
    deltas: int | None = option(
        None, "Keep derivatives of cepstra or fbank up to this order only.", least=0, most=2, advanced=True
    )
    vocabulary: bool | str = option(
        True,
        "Keep the vocabulary rows that the training texts and frequent words need (yes), all (no), or, without "
        "any training, those that an alphabet can spell: script (of the languages), alphabet:LETTERS or text:FILE.",
    )
    languages: tuple[str, ...] = option(
        (),
        "Keep the rows of these languages; the default is those of the training clips.",
        advanced=True,
        goes_with="vocabulary",
    )
    frequent: int = option(
        4000, "Keep the most frequent tokens spelled with the texts' characters in any case.", unit="tokens", least=0,
        advanced=True, goes_with="vocabulary",
    )  # fmt: skip
    rows: int | None = option(
        None,
        "Keep at most this many text rows of the vocabulary, but always the frequent ones (prune.frequent).",
        unit="rows",
        least=1,
        advanced=True,
        goes_with="vocabulary",
    )
    timestamps: bool = option(
        True,
        "Keep the 1,501 rows of timestamp tokens, which long recordings and subtitles need.",
        advanced=True,
        goes_with="vocabulary",
    )
    audio_seconds: float | None = option(
        21.0, "Cut the audio context to this length; none keeps the original's.", unit="s", above=0
    )
    text_tokens: int | None = option(
        160, "Cut the text context to this length; none keeps the original's.", unit="tokens", least=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.begin > self.end:
            raise SecateurError(f"begin must be at most end, found {self.begin:g} and {self.end:g}")
        for pattern, share in self.amounts.items():
            if not 0 <= share < 1:
                hint = f"; {share:g} % is {share / 100:g}" if 1 < share <= 100 else ""
                raise SecateurError(f"amounts: '{pattern}' loses a share from 0 to below 1, found {share:g}{hint}")
        for pattern, share in self.low_rank.items():
            if not 0 < share <= 1:
                raise SecateurError(
                    f"low_rank: {pattern} keeps a share of its values from above 0 to 1, found {share:g}"
                )


@dataclass(frozen=True)
class ByErrorSettings(Settings):
    """How removals are chosen."""

    most: int = option(8, "Remove at most this many sites, one after the other.", least=1)
    tried: int = option(5, "Confirm the best of these many candidates a round on held-out clips.", least=1)
    gain: float = option(
        0.1, "Accept a removal that lowers the error on held-out clips by at least this.", unit="points", above=0
    )
    forget: float = option(
        0.2,
        "Refuse a removal that raises the error on any set to keep by more than this, in all.",
        unit="points",
        least=0,
    )
    clips: int = option(
        600, "Select on this many training clips, speakers taking turns; dev confirms.", unit="clips", least=8
    )
    kinds: tuple[str, ...] = option(("head", "ffn"), "Try sites of these kinds.", advanced=True)
    amounts: tuple[float, ...] = option(
        (0.05, 0.1), "Try these shares of every group of units, those first whose removal should lower the loss.",
        unit="share", above=0, below=1, advanced=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown:
            raise SecateurError(f"kinds: no '{unknown[0]}' can be removed by error (known: {', '.join(KINDS)})")


@dataclass(frozen=True)
class Target:
    """`value` is a share of what the dense model has or takes, above 0 and below 1; of `wer`, points (0.5 is 0.5 %); of
    `cost`, a share of what `model` (a name or folder) takes, 1."""

    measure: str
    value: float
    model: str = ""


def parse_target(text: str) -> Target:
    """A target as the command line and TOML say it.

    >>> parse_target("latency=0.5"), parse_target("wer=+0.5")
    (Target(measure='latency', value=0.5), Target(measure='wer', value=0.5))

    Raises:
        SecateurError: no such measure (with the nearest), no number, or a share that is not between 0 and 1.
    """
    measure, sign, value = text.partition("=")
    known = (*RATIOS, WER, COST)
    if measure == COST:
        if not value:
            raise SecateurError(f"target '{text}': name the model that must not be exceeded, such as cost=tiny.en")
        return Target(measure, 1.0, value)
    if measure not in known:
        raise SecateurError(
            f"target '{text}': expected one of {', '.join(known)} and a number{nearest(measure, known)}, "
            "such as latency=0.5"
        )
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not sign or not (number >= 0 if measure == WER else 0 < number < 1):
        expected = "points of error rate from 0 on" if measure == WER else "a share of the dense model's, from 0 to 1"
        raise SecateurError(f"target '{text}': {measure} takes {expected}, found '{value}'")
    return Target(measure, number)


def names_model(target: str) -> bool:
    """Whether a target is another model's cost."""
    return bool(target) and parse_target(target).measure == COST
