"""Read a `transformers` Whisper folder (config.json, model.safetensors, tokenizer.json), without transformers.

A table may have more rows than there are tokens (padded to a multiple of 8 or 64 for speed), and a fine-tuned model may
have tokens after the last timestamp. Nothing can be said by a row without a token; it is cut when the model is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ...base.errors import SecateurError
from ...base.files import Json
from ...base.progress import say
from ...models.checkpoint import WEIGHTS, empty_network, load_weights, same_values
from ...text.tokenizer import Tokenizer
from ...text.tokens import Tokens
from ...weights.json_values import is_id, named_ids, one_id, read_table, some_ids
from ...weights.tokenizer_files import END, added_tokens, read_tokenizer
from .config import parse_config
from .generation import alignment_heads, other_fields
from .model import Whisper
from .vocabulary import LANGUAGES, TIMESTAMPS, checked_uniform, is_multilingual, openai_tokens, special_names

LAYER = {
    "self_attn_layer_norm": "self_attention_norm",
    "self_attn": "self_attention",
    "encoder_attn_layer_norm": "cross_attention_norm",
    "encoder_attn": "cross_attention",
    "final_layer_norm": "ffn_norm",
    "fc1": "ffn.up",
    "fc2": "ffn.down",
}
LEAF = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "out"}
TOP = {
    "embed_positions.weight": "positions",
    "embed_tokens.weight": "token_embedding.weight",
    "layer_norm.weight": "norm.weight",
    "layer_norm.bias": "norm.bias",
}
TIED = "proj_out.weight"
SIZES = {
    "width": "d_model", "heads": "encoder_attention_heads", "ffn": "encoder_ffn_dim",
    "encoder_layers": "encoder_layers", "decoder_layers": "decoder_layers", "vocabulary": "vocab_size",
    "audio_context": "max_source_positions", "text_context": "max_target_positions", "bins": "num_mel_bins",
}  # fmt: skip


TABLE = "decoder.token_embedding.weight"
FIRST_TIME, NO_TIMES = "<|0.00|>", "<|notimestamps|>"


def our_name(theirs: str) -> str | None:
    """Our parameter name for one of theirs; None for the output layer, which is the token embedding.

    Raises:
        KeyError: no part of a Whisper is called that.
    """
    name = theirs.removeprefix("model.")
    if name == TIED:
        return None
    side, _, rest = name.partition(".")
    if not rest.startswith("layers."):
        return f"{side}.{TOP.get(rest, rest)}"
    _, number, part, *leaf = rest.split(".")
    ours = LAYER[part]
    if side == "encoder":
        ours = ours.replace("self_attention", "attention")
    return ".".join([side, "layers", number, ours, *[LEAF.get(x, x) for x in leaf]])


def special_tokens(
    config: Json, generation: Json, added: dict[str, int], rows: int, tokenizer: Tokenizer, where: str
) -> Tokens:
    """The special ids of a checkpoint with `rows` token rows.

    From its generation config, its config (older folders keep suppress lists there), and its added tokens (name to
    id); what they leave out is as OpenAI numbered it, where the number of rows is OpenAI's.

    Raises:
        SecateurError: nothing says which tokens start and end a text.
    """
    added = {name: i for name, i in added.items() if is_id(i) and 0 <= i < rows}
    published = published_rows(rows, added)
    standard = special_names(published)
    ids = added if "<|startoftranscript|>" in added else (standard or added)
    start = ids.get("<|startoftranscript|>", one_id(config, "decoder_start_token_id", where))
    end = ids.get(END, one_id(config, "eos_token_id", where))
    if start is None or end is None:
        raise SecateurError(f"{where}: neither tokenizer nor config names the start and end tokens")
    languages = {name[2:-2]: i for name, i in named_ids(generation, "lang_to_id", where).items() if 0 <= i < rows}
    multilingual = bool(generation.get("is_multilingual", languages or is_multilingual(published)))
    if multilingual and not languages:
        languages = {name: ids[f"<|{name}|>"] for name in LANGUAGES if f"<|{name}|>" in ids}
    no_timestamps = ids.get("<|notimestamps|>", one_id(generation, "no_timestamps_token_id", where))
    timestamps = None if no_timestamps is None or no_timestamps + 1 >= rows else no_timestamps + 1
    count = 0 if timestamps is None else times_from(timestamps, rows, added)
    timestamps = timestamps if count else None

    def listed(key: str) -> tuple[int, ...] | None:
        newer, older = some_ids(generation, key, where), some_ids(config, key, where)
        newer = older if newer is None else newer
        return None if newer is None else tuple(i for i in newer if 0 <= i < rows)

    suppress, at_start = listed("suppress_tokens"), listed("begin_suppress_tokens")
    if standard is not None and (suppress is None or at_start is None):
        usual = openai_tokens(published, tokenizer)
        suppress = usual.suppress if suppress is None else suppress
        at_start = usual.suppress_at_start if at_start is None else at_start
    return Tokens(
        start=start, end=end, no_timestamps=no_timestamps, timestamps=timestamps,
        timestamp_count=count, transcribe=ids.get("<|transcribe|>"),
        translate=ids.get("<|translate|>"), previous=ids.get("<|startofprev|>"),
        no_speech=ids.get("<|nospeech|>", ids.get("<|nocaptions|>")), multilingual=multilingual,
        languages=languages if multilingual else {}, suppress=suppress or (), suppress_at_start=at_start or (),
    )  # fmt: skip


def _state(folder: Path, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights `theirs` under our names.

    Raises:
        SecateurError: a name that no Whisper has, or an output layer of its own.
    """
    embedding = theirs.get("model.decoder.embed_tokens.weight")
    if TIED in theirs and (embedding is None or not same_values(theirs[TIED], embedding)):
        raise SecateurError(f"{folder}: its output layer is not its token embedding, which is not known here")
    state: dict[str, Tensor] = {}
    for name, value in theirs.items():
        try:
            ours = our_name(name)
        except (KeyError, ValueError):
            raise SecateurError(f"{folder}: unknown parameter '{name}'; this is not a plain Whisper") from None
        if ours is not None:
            state[ours] = value
    return state


def _read_pruned(folder: Path, values: Json, state: Mapping[str, Tensor]) -> tuple[Whisper, Tokenizer]:
    """A Whisper written by `write_pruned`, whose config.json has our config."""
    where = str(folder / "config.json")
    config = parse_config(values["secateur"], f"{where}: secateur")
    tokenizer, _ = read_tokenizer(folder, config.tokens.end)
    model: Whisper = empty_network(Whisper, config, where)
    load_weights(model, _state(folder, state), str(folder / WEIGHTS))
    return model.eval(), tokenizer


def read_whisper(folder: Path, state: Mapping[str, Tensor], name: str | None = None) -> tuple[Whisper, Tokenizer]:
    """A Whisper and its tokenizer from a `transformers` folder with the weights `state`, as float32.

    Raises:
        SecateurError: a variant that is not known here, or weights that do not fit the config.
    """
    where = str(folder / "config.json")
    values = read_table(folder / "config.json")
    if "secateur" in values:
        return _read_pruned(folder, values, state)
    for key, usual in {"scale_embedding": False, "activation_function": "gelu"}.items():
        if values.get(key, usual) != usual:
            raise SecateurError(f"{where}: {key} {values[key]!r} is not known here (known: {usual!r})")
    for ours, others in {"attention_heads": "heads", "ffn_dim": "FFN units"}.items():
        if values.get(f"encoder_{ours}") != values.get(f"decoder_{ours}"):
            raise SecateurError(f"{where}: encoder and decoder differ in {others}, which is not known here")
    generation = read_table(folder / "generation_config.json", optional=True)
    tokenizer, added = read_tokenizer(folder, one_id(values, "eos_token_id", where))
    sizes = {ours: values.get(theirs) for ours, theirs in SIZES.items()}
    ours_state = _state(folder, state)
    if isinstance(sizes["vocabulary"], int):
        sizes["vocabulary"] = named_rows(folder, sizes["vocabulary"], tokenizer, added)
        ours_state = cut_rows(ours_state, sizes["vocabulary"], values["vocab_size"])
    rows = sizes["vocabulary"] if isinstance(sizes["vocabulary"], int) else 0
    config = checked_uniform(
        sizes, special_tokens(values, generation, added, rows, tokenizer, where), name or folder.name, where
    )
    heads = alignment_heads(
        generation.get("alignment_heads"),
        len(config.decoder),
        config.decoder[0].cross_attention.heads,
        str(folder / "generation_config.json"),
    )
    config = replace(config, alignment_heads=heads, generation=other_fields(generation, config.text_context))
    model: Whisper = empty_network(Whisper, config, where)
    load_weights(model, ours_state, str(folder / WEIGHTS))
    return model.eval(), tokenizer


def times_from(first: int, rows: int, added: Mapping[str, int]) -> int:
    """How many timestamps there are from the row `first` on: those that the tokenizer names one after the other; where
    it names none, as many as OpenAI has, if there are as many rows."""
    ids = {i: name for name, i in added.items()}
    count = 0
    while ids.get(first + count) == f"<|{count * 0.02:.2f}|>":
        count += 1
    return count or min(rows - first, TIMESTAMPS)


def published_rows(rows: int, added: Mapping[str, int]) -> int:
    """The rows that the published model has which one with `rows` rows came from: those up to the last timestamp, as
    far as the tokenizer says where that is."""
    before = added.get(NO_TIMES, added.get(FIRST_TIME, 0) - 1)
    end = before + 1 + TIMESTAMPS
    names = special_names(end) if 0 < before < rows else None
    if names is None or any(names.get(name, i) != i for name, i in added.items() if i < end):
        return rows
    return end


def named_rows(folder: Path, rows: int, tokenizer: Tokenizer, added: Mapping[str, int]) -> int:
    """How many of the first of `rows` rows have a token; the others are padding, and a note says so.

    Raises:
        SecateurError: text was added as tokens of its own, which the tokenizers here cannot spell.
    """
    extra = {name: token for name, token in added_tokens(folder).items() if token.id >= tokenizer.end}
    spelled = [name for name, token in extra.items() if not token.special and not name.startswith("<|")]
    if spelled:
        shown = ", ".join(repr(name[:30]) for name in spelled[:3])
        raise SecateurError(
            f"{folder}: {len(spelled)} words were added to its tokenizer ({shown}), which is not known here; train on "
            "without them, or take the model that it was made of"
        )
    vocabulary = json.loads(tokenizer.definition)["model"]["vocab"]
    ids = [*vocabulary.values(), *added.values(), *(token.id for token in extra.values())]
    last = max((i for i in ids if isinstance(i, int)), default=rows - 1)
    if not any(name == FIRST_TIME for name in added):
        # Older tokenizers do not list timestamps, which follow the last token that they list.
        before = added.get(NO_TIMES)
        last = max(last, rows - 1 if before is None else min(rows - 1, before + TIMESTAMPS))
    if last + 1 < rows:
        say(f"note: {folder}: {rows - last - 1} of {rows} rows of its token table have no token; they are left out")
        return last + 1
    return rows


def cut_rows(state: dict[str, Tensor], rows: int, stored: int) -> dict[str, Tensor]:
    """`state` with the first `rows` of the `stored` rows of the token table."""
    table = state.get(TABLE)
    if table is None or rows >= stored or len(table) != stored:
        return state
    return {**state, TABLE: table[:rows]}
