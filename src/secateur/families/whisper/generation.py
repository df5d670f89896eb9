"""What a generation config says beyond the special tokens: kept with a model, and written with it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...base.errors import SecateurError
from ...base.files import Json
from ...base.progress import say

# Keys that follow from a model's own tokens, whichever rows it has.
OF_TOKENS = frozenset({
    "decoder_start_token_id", "suppress_tokens", "begin_suppress_tokens", "no_timestamps_token_id", "prev_sot_token_id",
    "is_multilingual", "bos_token_id", "eos_token_id", "pad_token_id", "lang_to_id", "task_to_id",
})  # fmt: skip
# Keys with ids of tokens, which mean others where rows were removed.
WITH_IDS = frozenset({
    "forced_decoder_ids", "forced_bos_token_id", "forced_eos_token_id", "bad_words_ids", "force_words_ids",
    "sequence_bias", "exponential_decay_length_penalty",
})  # fmt: skip
HEADS = "alignment_heads"
NOT_OURS = frozenset({"transformers_version", "_from_model_config", HEADS})


def usual(most: int) -> Json:
    """What is written of a model that says nothing else and whose texts have `most` tokens."""
    return {"max_length": most, "return_timestamps": False}


def other_fields(generation: Json, most: int) -> Json:
    """The fields of a generation config that no config here has a name for, but for those that say the usual."""
    plain = usual(most)
    return {
        key: value
        for key, value in generation.items()
        if key not in OF_TOKENS | NOT_OURS and not (key in plain and value == plain[key])
    }


def alignment_heads(values: object, layers: int, heads: int, where: str) -> tuple[tuple[int, ...], ...]:
    """Layer and head of every alignment head; those of layers that a distilled model has no longer are left out, and
    a note says so.

    Raises:
        SecateurError: not pairs of numbers.
    """
    if values is None:
        return ()
    pairs: list[Any] = values if isinstance(values, list) else [None]
    if not all(isinstance(p, list) and len(p) == 2 and all(type(n) is int and n >= 0 for n in p) for p in pairs):
        raise SecateurError(f"{where}: {HEADS} are not pairs of a layer and a head")
    inside = [pair for pair in pairs if pair[0] < layers and pair[1] < heads]
    if len(inside) < len(pairs):
        say(
            f"note: {where}: {len(pairs) - len(inside)} of {len(pairs)} {HEADS} are of layers or heads that the model "
            "does not have; they are left out"
        )
    return tuple((layer, head) for layer, head in inside)


def kept_heads(pairs: Sequence[tuple[int, ...]], keep: Mapping[str, list[int]]) -> tuple[tuple[int, ...], ...]:
    """The alignment heads that stay after surgery (`keep`: see `WhisperConfig.shrunk`), by their new numbers."""
    stay: list[tuple[int, ...]] = []
    for layer, head in pairs:
        layers = keep.get("decoder.layers")
        heads = keep.get(f"decoder.layers.{layer}.cross_attention.heads")
        if (layers is None or layer in layers) and (heads is None or head in heads):
            new = layer if layers is None else layers.index(layer), head if heads is None else heads.index(head)
            stay.append(new)
    return tuple(stay)


def written(fields: Mapping[str, object], pairs: Sequence[tuple[int, ...]], own: Json, most: int) -> Json:
    """A generation config: the kept `fields`, the alignment heads, and `own`, what the model's tokens say; texts have
    `most` tokens."""
    values = {**usual(most), **fields, **own}
    if isinstance(values["max_length"], int):
        values["max_length"] = min(values["max_length"], most)
    return {**values, HEADS: [list(pair) for pair in pairs]} if pairs else values
