"""The protocol of measuring a model family, and how a worker anywhere makes a probe from plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor

from ..base.device import pick_device
from ..base.errors import SecateurError
from ..data.manifest import Utterance, read_manifest
from ..models.family import Member, TextCodec
from ..models.groups import Group
from ..models.network import Network
from ..prune.importance import Evidence
from ..weights.fetch import load_model
from .variants import Variant

EVIDENCE = 32  # clips that units are ranked by


@dataclass(frozen=True)
class ProbeSpec:
    """Everything a worker needs to measure: it may be on another machine that sees the same files."""

    model: str
    data: tuple[str, ...]  # manifests
    limit: int | None = None  # clips of each manifest, spread over its speakers
    screen: int = 8  # clips that all variants are measured on; see `clips.parts_of`
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    style: Literal["auto", "as-is", "sentence"] = "auto"
    batch_seconds: float | None = None
    threads: int | None = None


class Probe(Protocol):
    """A model on its clips, in which sites can be ablated one at a time."""

    model: Network
    utterances: list[Utterance]
    lengths: list[int]  # tokens (or units) of every clip's transcript: what a loss is divided by
    parts: list[list[int]]  # numbers of clips; see `clips.parts_of`

    def losses(self, variants: Sequence[Variant], part: int) -> Tensor:
        """Summed negative log-likelihood of every transcript of a part: (variants, clips of the part)."""

    def decoded(self, variants: Sequence[Variant]) -> tuple[Tensor, list[list[str]]]:
        """Losses on all clips (variants, clips), and each variant's greedy hypothesis of every clip."""

    def evidence(self, groups: Sequence[Group]) -> Evidence:
        """The evidence of importance criteria, from the first `EVIDENCE` clips."""

    def inputs(self) -> list[Variant]:
        """Variants of this family's inputs and outputs that are in no maskable group."""


probe_of = Member[Callable[[Network, TextCodec, list[Utterance], ProbeSpec, torch.device], Probe]]("probe").of


def read_clips(spec: ProbeSpec) -> list[Utterance]:
    """The clips to measure on; with a limit, every speaker of a manifest gives as many as its turn allows.

    Raises:
        SecateurError: several languages, or a clip without transcript.
    """
    from .clips import in_turn

    utterances: list[Utterance] = []
    for path in spec.data:
        clips = [u for u in read_manifest(Path(path)) if u.text]
        utterances += [clips[i] for i in sorted(in_turn(clips)[: spec.limit or None])]
    languages = sorted({u.language for u in utterances})
    if len(languages) != 1:
        raise SecateurError(f"clips in one language are needed, found {', '.join(languages) or 'none'}")
    return utterances


def make_probe(spec: ProbeSpec) -> Probe:
    """Load the model and the clips.

    Raises:
        SecateurError: either cannot be read.
    """
    if spec.threads:
        torch.set_num_threads(spec.threads)
    device = pick_device(spec.device)
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)  # it plans anew for every shape
    model, text = load_model(spec.model)
    return probe_of(model.config)(model.to(device).eval(), text, read_clips(spec), spec, device)
