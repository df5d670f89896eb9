"""What can be taken from a Whisper's input and output beside units of its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...decode.session import TokenConfig
from ...models.family import family_of
from ...models.groups import Group
from ...sensitivity.clips import rate_variants
from ...sensitivity.variants import Variant

VOCABULARY = (0.25, 0.5, 0.75)  # share of the text rows, the last learnt merges first
BLOCKS = 8  # of vocabulary rows, by the order in which merges were learnt
CONTEXT = (20, 15, 10, 5)  # seconds


def input_variants(config: Any, text: Any, groups: Iterable[Group]) -> list[Variant]:
    """Lower sampling and frame rates, less audio context, blocks of vocabulary rows."""
    groups, variants = list(groups), rate_variants(config.front_end)
    for seconds in CONTEXT:
        for group, kept in family_of(config).contexts(config, seconds, None).items():
            whole = next(g.units for g in groups if g.name == group)
            variants.append(
                Variant(
                    "audio_context", "audio_context", "input", "audio context", round(1 - len(kept) / whole, 3),
                    {group: tuple(range(len(kept), whole))}, change={"audio_seconds": float(seconds)},
                )
            )  # fmt: skip
    return variants + vocabulary_variants(config, text)


def vocabulary_variants(config: TokenConfig, text: Any) -> list[Variant]:
    """The rarest rows, and blocks of rows; what is merged from a row that goes, goes with it."""
    end, parents = config.tokens.end, text.parents()
    merged = sorted(parents)
    if len(merged) < 2 * BLOCKS:
        return []

    def gone(rows: Sequence[int]) -> tuple[int, ...]:
        lost = set(rows)
        for token in merged:  # parents were learnt before what is merged from them
            if parents[token][0] in lost or parents[token][1] in lost:
                lost.add(token)
        return tuple(sorted(lost))

    variants = []
    for share in VOCABULARY:
        rows = gone(merged[max(len(merged) - round(share * end), 0) :])
        variants.append(
            Variant("vocabulary", "vocabulary", "vocabulary", "rarest rows", share, {"vocabulary": rows})
        )  # fmt: skip
    size = -(-len(merged) // BLOCKS)
    for block in range(BLOCKS):
        rows = gone(merged[block * size : (block + 1) * size])
        variants.append(
            Variant(f"vocabulary[{block}]", "vocabulary", "vocabulary", f"block {block}", 1.0, {"vocabulary": rows})
        )
    return variants


def kept_rows(variant: Variant, config: TokenConfig) -> Tensor:
    """True (vocabulary,) where a row stays."""
    kept = torch.ones(config.vocabulary, dtype=torch.bool)
    kept[torch.tensor(variant.gone["vocabulary"], dtype=torch.long)] = False
    return kept


def retokenised(text: Any, kept: Tensor, config: TokenConfig) -> Callable[[list[int], int], list[int]]:
    """`(token row, prompt length) -> token row` that spells with the kept rows what the row said."""
    rows = [i for i in range(config.tokens.end) if bool(kept[i])]
    smaller = text.reduced(rows, config.tokens.end)

    def rewrite(row: list[int], prompt: int) -> list[int]:
        said = text.decode(row[prompt:-1]).strip()
        written = [rows[i] for i in smaller.encode(said)]
        return [*row[:prompt], *written, row[-1]][: config.text_context]

    return rewrite
