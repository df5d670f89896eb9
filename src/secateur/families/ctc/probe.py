"""The sensitivity probe of CTC models: a sequence of stages, of which those before a masked layer are computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ...base.progress import in_halves
from ...data.bank import AudioBank, buckets
from ...data.manifest import Utterance
from ...decode.ctc.words import greedy
from ...features.front_end import extractor
from ...models.frame_merging import MergingConfig
from ...models.groups import Group
from ...models.network import FrameNetwork
from ...prune.importance import Evidence
from ...prune.places import parameter_masks
from ...sensitivity.gates import ends
from ...sensitivity.probe import EVIDENCE, ProbeSpec, band_limited, changed_features, in_turn, parts_of, rate_variants
from ...sensitivity.variants import BASELINE, Variant, merge_variants, merging_config, zeroed
from ...text.units import Inventory
from ..seq2seq.layers import frame_merges
from ..seq2seq.prefix import gather
from .conformer import Conformer
from .frames import FrameMerges, MergedPass, valid_frames
from .inception import Inception
from .model import Section
from .recurrent import Recurrent
from .trunk import Trunk

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


State = tuple[Tensor, Tensor]
T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """`run(x, frames)` gives what the next stage reads, and its real frames; parameters are those under `prefixes`."""

    prefixes: tuple[str, ...]
    run: Step

    def holds(self, parameter: str) -> bool:
        """Whether a parameter belongs to this stage."""
        return parameter.startswith(self.prefixes)


def stages(model: FrameNetwork) -> list[Stage]:
    """All stages: features (batch, frames, inputs) in, logarithms of probabilities (batch, shorter, units) out."""
    sections = model.sections()
    merged = isinstance(model.config, MergingConfig) and model.config.frame_merging
    if not sections or merged:  # all of it is one stage
        return [Stage(("",), model)]
    row: list[Stage] = []
    for name, section in sections.items():
        split = SPLITS.get(name)
        if split is None:
            row.append(Stage((f"{name}.",), _one_stage(model, section)))
        else:
            row += split(model, section, name)
    return [
        *row,
        Stage(("output.",), lambda x, frames: (model.get_submodule("output")(x).float().log_softmax(-1), frames)),
    ]


def _one_stage(model: FrameNetwork, section: Section) -> Step:
    return lambda x, frames: section(x, frames, model.dropout, MergedPass(()))


def _inception(model: FrameNetwork, section: Inception, name: str) -> list[Stage]:
    stride, last = section.widths.stride, len(section.blocks) - 1

    def stem(x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        x = (x * valid_frames(frames, x.shape[1])[..., None]).transpose(1, 2)
        frames = (frames + stride - 1) // stride
        x = section.stem(x, frames)
        return x.transpose(1, 2) if last < 0 else x, frames

    def block(i: int) -> Step:
        def run(x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
            x = section.blocks[i](x, frames)
            return x.transpose(1, 2) if i == last else x, frames

        return run

    return [Stage((f"{name}.stem.",), stem), *(Stage((f"{name}.blocks.{i}.",), block(i)) for i in range(last + 1))]


def _recurrent(model: FrameNetwork, section: Recurrent, name: str) -> list[Stage]:
    def layer(i: int) -> Step:
        return lambda x, frames: (section.layers[i](x, frames), frames)

    return [Stage((f"{name}.layers.{i}.",), layer(i)) for i in range(len(section.layers))]


def _trunk(model: FrameNetwork, section: Trunk, name: str) -> list[Stage]:
    def embed(x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        limit = 2 * len(section.positions)
        x, frames = x[:, :limit], frames.clamp_max(limit)
        return section.embed(x, frames.clamp_min(1), model.dropout)[0], (frames + 1) // 2

    def layer(i: int) -> Step:
        def run(x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
            real = valid_frames(frames.clamp_min(1), x.shape[1])[:, None, None]
            return section.layers[i](x, real, model.dropout), frames

        return run

    first = tuple(f"{name}.{part}" for part in ("conv1.", "conv2.", "positions"))
    layers = [Stage((f"{name}.layers.{i}.",), layer(i)) for i in range(len(section.layers))]
    return [Stage(first, embed), *layers, Stage((f"{name}.norm.",), lambda x, frames: (section.norm(x), frames))]


def _conformer(model: FrameNetwork, section: Conformer, name: str) -> list[Stage]:
    def layer(i: int) -> Step:
        return lambda x, frames: (section.layers[i](x, *section.attention_mask(x, frames), model.dropout), frames)

    return [
        Stage((f"{name}.project.",), lambda x, frames: (section.project(x), frames)),
        *(Stage((f"{name}.layers.{i}.",), layer(i)) for i in range(len(section.layers))),
        Stage((f"{name}.norm.",), lambda x, frames: (section.norm(x), frames)),
    ]


SPLITS: dict[str, Callable[[FrameNetwork, Any, str], list[Stage]]] = {
    "trunk": _trunk,
    "inception": _inception,
    "recurrent": _recurrent,
    "conformer": _conformer,
}


class CtcProbe:
    """See `probe.Probe`. Both the loss and the texts come from one pass, so decoding costs what a loss costs."""

    style = "as-is"

    def __init__(
        self, model: FrameNetwork, text: Inventory, utterances: list[Utterance], spec: ProbeSpec, device: torch.device
    ) -> None:
        self.model, self.text, self.utterances, self.device = model, text, utterances, device
        self.front = model.config.front_end
        self.bank = AudioBank.read(utterances, device, self.front.sample_rate, label="reading audio")
        self.features = extractor(self.front).to(device)
        self.groups = {g.name: g for g in model.groups()}
        self.stages = stages(model)
        self.bf16 = device.type == "cuda" if spec.precision == "auto" else spec.precision == "bf16"
        self.targets = [text.encode(u.text) for u in utterances]
        self.lengths = [len(row) for row in self.targets]
        self.parts = parts_of(utterances, spec.screen)
        self.batch_seconds = spec.batch_seconds or (2400.0 if device.type == "cuda" else 120.0)
        self._states: dict[tuple[int, ...], list[State]] = {}
        self._bands: dict[float, AudioBank] = {}
        self._parameters = dict(model.named_parameters()) | dict(model.named_buffers())

    def batches(self, clips: Sequence[int]) -> list[list[int]]:
        """Clips in batches of similar length."""
        buckets_of = buckets([self.utterances[c].duration for c in clips], self.batch_seconds, None)
        return [[clips[i] for i in batch] for batch in buckets_of]

    def inputs(self) -> list[Variant]:
        """See `Probe.inputs`: rates, blocks of deltas, and dimensions that no group holds."""
        variants = rate_variants(self.front)
        variants += merge_variants(self.model.config)
        if self.front.by_sample:  # one input
            return variants
        kept, width = self.front.kept or tuple(range(self.front.dimensions)), self.front.statics
        for order, name in enumerate(("deltas", "delta-deltas")[: self.front.deltas], 1):
            removed = tuple(i for i, d in enumerate(kept) if d // width == order)
            if removed and "input" in self.groups:
                variants.append(Variant(name, "deltas", "input", name, 1.0, {"input": removed}))
        if "input" not in self.groups:  # with 2-D convolutions neighbours read a line as well: it is zeroed, not cut
            for i in range(self.front.inputs):
                variants.append(Variant(f"input[{i}]", "input", "input", "one input", 1.0, change={"input": float(i)}))
        return variants

    @torch.no_grad()
    def losses(self, variants: Sequence[Variant], part: int) -> Tensor:
        """See `Probe.losses`."""
        return self._measured(variants, self.parts[part], lambda log_probs, frames: [""] * len(frames))[0]

    @torch.no_grad()
    def decoded(self, variants: Sequence[Variant]) -> tuple[Tensor, list[list[str]]]:
        """See `Probe.decoded`."""

        def to_texts(log_probs: Tensor, frames: Tensor) -> list[str]:
            outputs = zip(log_probs.cpu().numpy(), frames.tolist(), strict=True)
            return [self.text.decode(greedy(row[:count])) for row, count in outputs]

        return self._measured(variants, range(len(self.utterances)), to_texts)

    def _measured(
        self, variants: Sequence[Variant], clips: Sequence[int], to_texts: Callable[[Tensor, Tensor], list[str]]
    ) -> tuple[Tensor, list[list[str]]]:
        """Losses (variants, clips), and the texts that `to_texts` gives for the outputs."""
        losses = torch.zeros(len(variants), len(self.utterances))
        texts = [[""] * len(self.utterances) for _ in variants]
        for batch in self.batches(clips):
            for number, variant in enumerate(variants):

                def decode(rows: list[int], variant: Variant = variant) -> list[tuple[float, str]]:
                    state = self._run(rows, variant)
                    return list(zip(self._losses(*state, rows).tolist(), to_texts(*state), strict=True))

                for clip, (loss, text) in zip(batch, self._fitting(decode, batch), strict=True):
                    losses[number, clip], texts[number][clip] = loss, text
        return losses[:, list(clips)], texts

    def evidence(self, groups: Sequence[Group]) -> Evidence:
        """See `Probe.evidence`."""

        def loss(batch: list[int]) -> Tensor:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                log_probs, frames = self.model(*self._features(batch, BASELINE))
            return self._losses(log_probs, frames, batch).sum() / max(sum(self.lengths[c] for c in batch), 1)

        return gather(self.model, groups, self.batches(in_turn(self.utterances)[:EVIDENCE]), loss)

    def _fitting(self, work: Callable[[list[int]], list[T]], batch: list[int]) -> list[T]:
        """The results of `work` on a batch, in halves when memory runs out."""

        def attempt(rows: Sequence[int]) -> list[T]:
            try:
                return work(list(rows))
            except Exception:
                self._states.clear()
                raise

        return in_halves(attempt, batch, "sensitivity")

    def _run(self, batch: list[int], variant: Variant) -> State:
        """The output of the model with the variant's site ablated."""
        if "merge_after" in variant.change:
            return self._merged(batch, variant)
        before = self._before(batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16), self._masked(variant) as changed:
            first = min((i for i, s in enumerate(self.stages) for p in changed if s.holds(p)), default=0)
            if variant.change or variant.site == BASELINE.site:
                state = self._features(batch, variant)
                first = 0
            else:
                state = before[first]
            for stage in self.stages[first:]:
                state = stage.run(*state)
        return state

    @contextmanager
    def _masked(self, variant: Variant) -> Iterator[list[str]]:
        """Ablate the variant's site inside `with`, and name the changed parameters."""
        kept = {name: zeroed(torch.ones(self.groups[name].units), units) > 0 for name, units in variant.ablated.items()}
        shapes = {n: tuple(p.shape) for n, p in self._parameters.items()}
        masks = parameter_masks(self.groups.values(), kept, shapes)
        for module in variant.silenced:
            for end in ends(self.model, module):
                masks |= {f"{end}.{p}": torch.zeros(()) for p in ("weight", "bias") if f"{end}.{p}" in shapes}
        raw = {name: self._parameters[name].clone() for name in masks}
        try:
            for name, mask in masks.items():
                self._parameters[name].mul_(mask.to(self.device))
            yield list(masks)
        finally:
            for name, value in raw.items():
                self._parameters[name].copy_(value)

    def _before(self, batch: list[int]) -> list[State]:
        """The inputs of all stages in the unchanged model, computed once a batch."""
        key = tuple(batch)
        if key not in self._states:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                states = [self._features(batch, BASELINE)]
                for stage in self.stages[:-1]:
                    states.append(stage.run(*states[-1]))
            self._states[key] = states
        return self._states[key]

    def _losses(self, log_probs: Tensor, frames: Tensor, batch: list[int]) -> Tensor:
        """Negative log-likelihood of every transcript (batch,); one that does not fit its frames counts as zero."""
        rows = [self.targets[c] for c in batch]
        targets = torch.tensor([unit for row in rows for unit in row], device=log_probs.device)
        lengths = torch.tensor([len(row) for row in rows], device=log_probs.device)
        with torch.autocast(self.device.type, enabled=False):
            return F.ctc_loss(
                log_probs.float().transpose(0, 1), targets, frames, lengths, reduction="none", zero_infinity=True
            )

    def _merged(self, batch: list[int], variant: Variant) -> State:
        """The output of the model that merges frames as the variant says."""
        after, merges = merging_config(self.model.config, variant.change), cast(FrameMerges, self.model.merges)
        autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)
        other = frame_merges(after.frame_merging, similar=after.merge_similar)
        with merges.replaced(other), self.model.on_first_grid(), autocast:
            return self.model(*self._features(batch, BASELINE))  # type: ignore[no-any-return]

    def _features(self, batch: list[int], variant: Variant) -> State:
        bank, rate = self.bank, variant.change.get("sample_rate")
        if rate is not None:
            if rate not in self._bands:
                self._bands[rate] = band_limited(self.bank, self.front.sample_rate, rate)
            bank = self._bands[rate]
        features, frames = self.features(*bank.gather(batch))
        return changed_features(features, variant.change, self.front), frames
