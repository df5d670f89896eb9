"""Sites of an encoder-decoder beside the units of its layers: input rates, contexts, vocabulary rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...decode.session import TokenConfig
from ...models.family import family_of
from ...models.groups import Group
from ...sensitivity.probe import rate_variants
from ...sensitivity.variants import Variant, merge_variants
from ...text.tokenizer import Tokenizer

VOCABULARY = (0.25, 0.5, 0.75)  # share of the text rows, the last learned merges first
BLOCKS = 8  # of vocabulary rows, by the order in which merges were learned
CONTEXT = (20, 15, 10, 5)  # seconds


def input_variants(config: Any, text: Tokenizer, groups: Iterable[Group]) -> list[Variant]:
    """Lower sampling and frame rates, less audio context, blocks of vocabulary rows."""
    groups, variants = list(groups), rate_variants(config.front_end)
    for seconds in CONTEXT:
        for group, kept in family_of(config).contexts(config, seconds, None).items():
            units = next(g.units for g in groups if g.name == group)
            variants.append(
                Variant(
                    "audio_context", "audio_context", "input", "audio context", round(1 - len(kept) / units, 3),
                    {group: tuple(range(len(kept), units))}, change={"audio_seconds": float(seconds)},
                )
            )  # fmt: skip
    return variants + merge_variants(config) + vocabulary_variants(config, text)


def vocabulary_variants(config: TokenConfig, text: Tokenizer) -> list[Variant]:
    """The rarest rows, and blocks of rows; tokens that are merged from an ablated row are ablated with it."""
    end, parents = config.tokens.end, text.parents()
    merged = sorted(parents)
    if len(merged) < 2 * BLOCKS:
        return []

    def with_dependents(rows: Sequence[int]) -> tuple[int, ...]:
        removed = set(rows)
        for token in merged:  # parents come before the tokens merged from them
            if parents[token][0] in removed or parents[token][1] in removed:
                removed.add(token)
        return tuple(sorted(removed))

    variants = []
    for share in VOCABULARY:
        rows = with_dependents(merged[max(len(merged) - round(share * end), 0) :])
        variants.append(Variant("vocabulary", "vocabulary", "vocabulary", "rarest rows", share, {"vocabulary": rows}))
    size = -(-len(merged) // BLOCKS)
    for block in range(BLOCKS):
        rows = with_dependents(merged[block * size : (block + 1) * size])
        variants.append(
            Variant(f"vocabulary[{block}]", "vocabulary", "vocabulary", f"block {block}", 1.0, {"vocabulary": rows})
        )
    return variants


def kept_rows(variant: Variant, config: TokenConfig) -> Tensor:
    """True (vocabulary,) where a row stays."""
    kept = torch.ones(config.vocabulary, dtype=torch.bool)
    kept[torch.tensor(variant.ablated["vocabulary"], dtype=torch.long)] = False
    return kept


def retokenised(text: Tokenizer, kept: Tensor, config: TokenConfig) -> Callable[[list[int], int], list[int]]:
    """`(token row, prompt length) -> token row` that spells the same text with the kept rows."""
    rows = [i for i in range(config.tokens.end) if bool(kept[i])]
    smaller = text.reduced(rows, config.tokens.end)

    def rewrite(row: list[int], prompt: int) -> list[int]:
        text_of_row = text.decode(row[prompt:-1]).strip()
        written = [rows[i] for i in smaller.encode(text_of_row)]
        return [*row[:prompt], *written, row[-1]][: config.text_context]

    return rewrite
