"""The sensitivity probe of encoder-decoders: what comes before a changed layer is computed once for all variants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ...base.progress import out_of_memory, say
from ...data.bank import AudioBank, buckets
from ...data.manifest import Utterance
from ...decode.loops import cut_loops
from ...features.front_end import extractor
from ...models.groups import Group
from ...models.token_network import DecoderCache, TokenNetwork, encoder_inputs
from ...prune.importance import Evidence
from ...sensitivity.gates import Gates
from ...sensitivity.probe import EVIDENCE, ProbeSpec, band_limited, changed_features, in_turn, parts_of
from ...sensitivity.variants import BASELINE, Variant, merging_config
from ...text.clean import as_sentence
from ...text.tokenizer import Tokenizer
from ...train.targets import IGNORE, TokenBatch, token_batch
from .layers import frame_merges
from .prefix import Prefix, gather
from .sites import input_variants, kept_rows, retokenised
from .variant_greedy import CPU_ROWS, CUDA_ROWS, PREFIX_BYTES, Drafted, VariantLosses, matches_draft

CUDA_POSITIONS, CPU_POSITIONS = 1_200_000, 14_000  # encoder positions computed at a time

T = TypeVar("T")


class TokenProbe:
    """See `probe.Probe`."""

    def __init__(
        self, model: TokenNetwork, text: Tokenizer, utterances: list[Utterance], spec: ProbeSpec, device: torch.device
    ) -> None:
        self.model, self.text, self.utterances, self.device = model, text, utterances, device
        config = self.config = model.config
        self.rate = config.front_end.sample_rate
        self.bank = AudioBank.read(utterances, device, self.rate, label="reading audio")
        self.features = extractor(config.front_end).to(device)
        self.groups = {g.name: g for g in model.groups()}
        self.bf16 = device.type == "cuda" if spec.precision == "auto" else spec.precision == "bf16"
        self.prompt = config.tokens.prompt(utterances[0].language if config.tokens.multilingual else None)
        self.parts = parts_of(utterances, spec.screen)
        self.batch_seconds = spec.batch_seconds or (2400.0 if device.type == "cuda" else 240.0)
        self._prefixes: dict[tuple[int, ...], Prefix] = {}
        self.drafted = Drafted(self)
        self._bands: dict[float, AudioBank] = {}
        self.share = 1.0  # of the variants that should fit the device's memory at once
        self.targets = self._targets(spec.style)
        self.lengths = [len(row) - len(self.prompt) for row in self.targets]

    def batches(self, clips: Sequence[int]) -> list[list[int]]:
        """Clips in batches of similar length."""
        window = self.config.max_seconds
        seconds = [window if self.config.padded else min(self.utterances[c].duration, window) for c in clips]
        return [[clips[i] for i in batch] for batch in buckets(seconds, self.batch_seconds, None)]

    def _targets(self, style: str) -> list[list[int]]:
        """Token rows of all transcripts, as they are or as sentences; `auto`: whichever is likelier under the model."""
        room, tokens = self.config.text_context, self.config.tokens

        def rows(write: Callable[[str], str]) -> list[list[int]]:
            return [[*self.prompt, *self.text.encode(write(u.text)), tokens.end][:room] for u in self.utterances]

        candidates = {"as-is": rows(str), "sentence": rows(as_sentence)}
        if style == "auto":
            sums = {}
            for name, token_rows in candidates.items():
                self.targets = token_rows
                self._prefixes.clear()
                sums[name] = float(self.losses([BASELINE], 0).sum())
            self._prefixes.clear()
            style = min(sums, key=lambda name: sums[name])
        self.style = style
        return candidates[style]

    def inputs(self) -> list[Variant]:
        """See `Probe.inputs`."""
        return input_variants(self.config, self.text, self.groups.values())

    @torch.no_grad()
    def losses(self, variants: Sequence[Variant], part: int) -> Tensor:
        """See `Probe.losses`."""
        clips = self.parts[part]
        table = torch.zeros(len(variants), len(self.utterances))
        for batch in self.batches(clips):
            for result in self._fitting(self.ablated, variants, batch):
                table[torch.tensor(result.numbers)[:, None], torch.tensor(batch)] = result.losses.cpu()
        return table[:, clips]

    @torch.no_grad()
    def decoded(self, variants: Sequence[Variant]) -> tuple[Tensor, list[list[str]]]:
        """See `Probe.decoded`."""
        losses = torch.zeros(len(variants), len(self.utterances))
        texts, end = [[""] * len(self.utterances) for _ in variants], self.config.tokens.end
        batches = self.batches(range(len(self.utterances)))
        self._prefixes = {key: kept for key, kept in self._prefixes.items() if list(key) in batches}
        for batch in batches:
            for number, clip, loss, ids in self._fitting(self.drafted.rows, variants, batch):
                ids = cut_loops(ids[: ids.index(end)] if end in ids else ids)
                losses[number, batch[clip]], texts[number][batch[clip]] = loss, self.text.decode(ids).strip()
        return losses, texts

    def ablated(
        self, variants: Sequence[Variant], batch: list[int], draft: Sequence[Sequence[int]] | None = None
    ) -> Iterator[VariantLosses]:
        """Losses of a batch, some variants at a time; with a `draft`, also whether greedy decoding gives it."""
        tokens, prefix = self._tokens(batch), self.prefix(batch)
        for numbers, starts in self.batched_variants(variants, len(batch), prefix.encoder[0].shape[1]):
            chosen, times = [variants[i] for i in numbers], len(numbers)
            variant, first = chosen[0], starts[0] - len(self.config.encoder) - 1
            allowed = [kept_rows(v, self.config) if "vocabulary" in v.ablated else None for v in chosen]
            with self.computing(), self.gates(chosen, len(batch)) as gates:
                if allowed[0] is not None:
                    cache, kept = prefix.shared(), allowed[0]
                    other = self._tokens(batch, retokenised(self.text, kept, self.config))
                    losses = self._decoder_loss(prefix.shared(), other, kept=kept.to(self.device))
                elif variant.change:
                    with self._merging(variant):
                        cache = self.model.encode(*self.features_of(batch, variant))
                    losses = self._decoder_loss(cache, tokens)
                elif first < 0:
                    cache = prefix.encoded(self.model, starts, gates)
                    losses = self._decoder_loss(cache, tokens, times=times)
                else:
                    cache = prefix.shared()
                    losses = self._decoder_loss(
                        prefix.shared(), tokens, prefix.decoder[first].repeat(times, 1, 1), first, times
                    )
                same = None
                if draft is not None:
                    same = matches_draft(self.model, cache, times, self.prompt, draft, allowed)
            yield VariantLosses(numbers, losses, cache, same)

    def _decoder_loss(
        self, cache: DecoderCache, tokens: TokenBatch, hidden: Tensor | None = None, first: int = 0, times: int = 1,
        kept: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Negative log-likelihoods (times, clips), the decoder's layers from `first` on reading `hidden`."""
        decoder = self.model.decoder
        x = decoder.embed(tokens.inputs).repeat(times, 1, 1) if hidden is None else hidden
        for i in range(first, len(decoder.layers)):
            x = decoder.layers[i](x, cache.layers[i], cache.memory_mask, self.model.dropout)
        rows, steps = (tokens.labels != IGNORE).nonzero(as_tuple=True)
        hidden_at_labels = decoder.norm(x.view(times, -1, *x.shape[1:])[:, rows, steps]).flatten(0, 1)
        labels = tokens.labels[rows, steps].repeat(times)
        each = torch.empty(len(labels), device=self.device)
        chunk = 8192 if self.device.type == "cuda" else 512
        for i in range(0, len(labels), chunk):
            logits = decoder.logits(hidden_at_labels[i : i + chunk]).float()
            if kept is not None:
                logits = logits.masked_fill(~kept, -torch.inf)
            each[i : i + chunk] = F.cross_entropy(logits, labels[i : i + chunk], reduction="none")
        sums = torch.zeros(times, len(tokens.labels), device=self.device)
        return sums.index_add_(1, rows, each.view(times, -1))

    def prefix(self, batch: list[int]) -> Prefix:
        """The unchanged model on a batch, cached while memory allows."""
        key = tuple(batch)
        if key in self._prefixes:
            return self._prefixes[key]
        with self.computing(), torch.no_grad():
            computed = Prefix.of(self.model, *self.features_of(batch, BASELINE), self._tokens(batch).inputs)
        if sum(p.bytes for p in self._prefixes.values()) + computed.bytes < PREFIX_BYTES[self.device.type]:
            self._prefixes[key] = computed
        return computed

    def _fitting(
        self, work: Callable[[Sequence[Variant], list[int]], Iterator[T]], variants: Sequence[Variant], batch: list[int]
    ) -> list[T]:
        """The results of `work`; when memory runs out, with half as many variants at once."""
        while True:
            try:
                return list(work(variants, batch))
            except Exception as problem:
                if not out_of_memory(problem) or self.share < 0.02:
                    raise
                self.share /= 2
                say(f"sensitivity: out of memory; going on with {100 * self.share:.3g} % of the variants at once")
            self._prefixes.clear()
            torch.cuda.empty_cache()

    def batched_variants(
        self, variants: Sequence[Variant], clips: int, positions: int
    ) -> Iterator[tuple[list[int], list[int]]]:
        """Numbers of variants that can be rows of one batch, and the stages where they begin, in rising order."""
        cuda = self.device.type == "cuda"
        by_kind: dict[str, list[tuple[int, int]]] = {}
        encoders = len(self.config.encoder) + 1
        for number, variant in enumerate(variants):
            start = self.start(variant)
            alone = variant.change or "vocabulary" in variant.ablated
            kind = f"alone {number}" if alone else "encoder" if start < encoders else "decoder"
            by_kind.setdefault(kind, []).append((start, number))
        for kind, members in by_kind.items():
            if kind == "encoder":
                limit = (CUDA_POSITIONS if cuda else CPU_POSITIONS) // (clips * positions)
            else:
                limit = (CUDA_ROWS if cuda else CPU_ROWS) // clips
            members.sort()
            size = max(1, int(limit * self.share))
            for i in range(0, len(members), size):
                starts, numbers = zip(*members[i : i + size], strict=True)
                yield list(numbers), list(starts)

    def start(self, variant: Variant) -> int:
        """The first stage that a variant changes: 0 the convolutions, then encoder layers, then decoder layers."""
        names = [*variant.ablated, *variant.silenced]
        encoders, last = len(self.config.encoder), len(self.config.encoder) + len(self.config.decoder)
        if variant.site == BASELINE.site:
            return last
        starts = []
        for name in names:
            words = name.split(".")
            if name in ("encoder.layers", "decoder.layers"):
                number = min(variant.ablated[name])
                starts.append(1 + number + (encoders if words[0] == "decoder" else 0))
            elif words[0] == "vocabulary":
                starts.append(last)
            elif words[1] == "layers":
                starts.append(1 + int(words[2]) + (encoders if words[0] == "decoder" else 0))
            else:
                starts.append(0)
        return min(starts, default=0)

    def gates(self, variants: Sequence[Variant], clips: int) -> Gates:
        """Gates for a batch in which every variant has all clips, one variant after the other."""
        gates = Gates(self.model, self.groups, variants, self.device)
        gates.assign([i for i in range(len(variants)) for _ in range(clips)])
        return gates

    def _tokens(self, batch: list[int], rows: Callable[[list[int], int], list[int]] | None = None) -> TokenBatch:
        chosen = [self.targets[c] if rows is None else rows(self.targets[c], len(self.prompt)) for c in batch]
        return token_batch(chosen, len(self.prompt), self.config.tokens.end, self.device)

    def features_of(self, batch: list[int], variant: Variant) -> tuple[Tensor, Tensor | None]:
        """Features of a batch with the variant's change of the input, and how many frames are valid."""
        change = variant.change
        bank = self.bank
        if "sample_rate" in change:
            rate = change["sample_rate"]
            if rate not in self._bands:
                self._bands[rate] = band_limited(self.bank, self.rate, rate)
            bank = self._bands[rate]
        window = int(min(change.get("audio_seconds", self.config.max_seconds), self.config.max_seconds) * self.rate)
        audio, lengths = bank.gather(batch)
        features, frames = encoder_inputs(self.features, audio[:, :window], lengths.clamp_max(window), self.config)
        return changed_features(features, change, self.config.front_end), frames

    @contextmanager
    def _merging(self, variant: Variant) -> Iterator[None]:
        """The encoder merges frames where the variant says so."""
        encoder, change = self.model.encoder, variant.change
        if "merge_after" not in change:
            yield
            return
        before, after = encoder.merges, merging_config(self.config, change)
        encoder.merges = frame_merges(after.frame_merging, similar=after.merge_similar)
        try:
            yield
        finally:
            encoder.merges = before

    def computing(self) -> AbstractContextManager[object]:
        """Autocast to the precision of the map."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def evidence(self, groups: Sequence[Group]) -> Evidence:
        """See `Probe.evidence`."""

        def loss(batch: list[int]) -> Tensor:
            tokens = self._tokens(batch)
            with self.computing():
                logits = self.model(*self.features_of(batch, BASELINE), tokens.inputs)
            return F.cross_entropy(logits.float().transpose(1, 2), tokens.labels, ignore_index=IGNORE)

        return gather(self.model, groups, self.batches(in_turn(self.utterances)[:EVIDENCE]), loss)
