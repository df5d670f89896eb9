"""Read and write MoonshineForConditionalGeneration folders of `transformers`, without that library.

Text rows come first in a model here, then the end, the start, and rows that no text has; published files have the
special tokens first. They are put in order while reading, and back while writing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from torch import Tensor

from ...base.errors import SecateurError
from ...base.files import Json, read_json, write_json, write_text
from ...base.tensors import PRECISIONS, dtype_of, write_sharded
from ...features.front_end import front_end
from ...models.checkpoint import WEIGHTS, empty_network, load_weights, same_values
from ...models.family import Storage
from ...text.pieces_tokenizer import BYTE, SPACE, PieceTokenizer
from ...text.tokens import Tokens
from ...weights.json_values import MOST, is_id, one_id, read_table
from ..transformers_files import FP32, PRUNED_FORMAT, check_unmerged, class_values, own_config, waveform_extractor
from .config import GroupedAttentionWidths, MoonshineConfig, uniform
from .model import Moonshine

ROWS, TIED = "model.decoder.embed_tokens.weight", "proj_out.weight"
# Ours for theirs, on both sides, then on each.
PART_NAMES = {
    "mlp.fc1": "ffn.up", "mlp.fc2": "ffn.down", "q_proj": "query", "k_proj": "key", "v_proj": "value", "o_proj": "out",
    "embed_tokens": "token_embedding", "groupnorm": "conv1_norm", "layer_norm": "norm",
}  # fmt: skip
SIDE_NAMES = {
    "encoder": {
        "self_attn": "attention", "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm",
    },
    "decoder": {
        "self_attn": "self_attention", "encoder_attn": "cross_attention", "input_layernorm": "self_attention_norm",
        "post_attention_layernorm": "cross_attention_norm", "final_layernorm": "ffn_norm",
    },
}  # fmt: skip
SUPPORTED = {"encoder_hidden_act": "gelu", "decoder_hidden_act": "silu", "tie_word_embeddings": True}
LANGUAGES = ("ar", "es", "ja", "ko", "uk", "vi", "zh")  # of published ones, as the last part of their names


def our_name(theirs: str) -> str:
    """Our parameter name for one of theirs."""
    name = theirs.removeprefix("model.")
    side, _, rest = name.partition(".")
    for old, new in (SIDE_NAMES.get(side, {}) | PART_NAMES).items():
        rest = re.sub(rf"(?<![\w]){re.escape(old)}(?![\w])", new, rest)
    return f"{side}.{rest}"


def their_name(ours: str) -> str:
    """Their parameter name for one of ours."""
    side, _, rest = ours.partition(".")
    for old, new in (PART_NAMES | SIDE_NAMES[side]).items():
        if old != "layer_norm" or (side == "encoder" and rest == "norm.weight"):
            rest = re.sub(rf"(?<![\w]){re.escape(new)}(?![\w])", old, rest)
    return f"model.{side}.{rest}"


def read_moonshine(
    folder: Path, state: Mapping[str, Tensor], name: str | None = None
) -> tuple[Moonshine, PieceTokenizer]:
    """The network with the weights `state`, as float32, and its tokenizer.

    Raises:
        SecateurError: a variant that is not known here, no tokenizer, or weights that do not fit the config.
    """
    values, where = read_table(folder / "config.json"), str(folder / "config.json")
    if TIED in state and not (ROWS in state and same_values(state[TIED], state[ROWS])):
        raise SecateurError(f"{folder}: its output layer is not its token embedding, which is not known here")
    rows = len(state.get(ROWS, ()))
    start, end = one_id(values, "decoder_start_token_id", where), one_id(values, "eos_token_id", where)
    if start is None or end is None or not (0 <= start < rows and 0 <= end < rows):
        raise SecateurError(f"{where}: no start and end token among its {rows} rows")
    text, order = read_pieces(folder / "tokenizer.json", start, end, rows)
    language = (name or folder.name).rsplit("-", 1)[-1]
    special = Tokens(
        start=order.index(start),
        end=text.end,
        languages={language: order.index(start)} if language in LANGUAGES else {},
    )
    preprocessor_values = read_table(folder / "preprocessor_config.json", optional=True)
    config: MoonshineConfig | None = own_config(values, where)
    if config is None:
        config = parse_moonshine(values, where, name or folder.name, rows, special, preprocessor_values)
    model: Moonshine = empty_network(Moonshine, config, str(folder / "config.json"))
    ours = {our_name(theirs): value for theirs, value in state.items() if theirs != TIED}
    embedding = our_name(ROWS)
    ours[embedding] = ours[embedding][order]
    load_weights(model, ours, str(folder / WEIGHTS))
    return model.eval(), text


def parse_moonshine(
    values: Json, where: str, name: str, rows: int, tokens: Tokens, preprocessor: Json | None = None
) -> MoonshineConfig:
    """Our config of theirs (the values of config.json and of preprocessor_config.json).

    Raises:
        SecateurError: a variant that is not known here, or a size that is none.
    """
    for key, usual in SUPPORTED.items():
        if values.get(key, usual) != usual:
            raise SecateurError(f"{where}: {key} {values[key]!r} is not known here (known: {usual!r})")

    def size(key: str, default: int, most: int) -> int:
        value = values.get(key, default)
        value = default if value is None else value
        if not is_id(value) or not 1 <= value <= most:
            raise SecateurError(f"{where}: {key} is {value!r}, expected a number from 1 to {most}")
        return value

    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if not isinstance(rope, dict) or rope.get("rope_type", rope.get("type", "default")) != "default":
        raise SecateurError(f"{where}: rotary positions of another kind than the default: {rope}")
    width = size("hidden_size", 288, MOST["width"])
    (heads, pairs), others = (
        (
            count := size(f"{side}_num_attention_heads", 8, MOST["heads"]),
            size(f"{side}_num_key_value_heads", count, MOST["heads"]),
        )
        for side in ("encoder", "decoder")
    )
    if (heads, pairs) != others:
        raise SecateurError(f"{where}: encoder and decoder differ in heads, which transformers does not build either")
    if heads % pairs or (width % heads and not values.get("head_dim")):
        raise SecateurError(f"{where}: {heads} heads and {pairs} of keys and values do not fit a width of {width}")
    head_size = size("head_dim", width // heads, MOST["width"])
    rotary = {"partial_rotary_factor": 0.9, "rope_theta": 10000.0, **values, **rope}
    sampling_rate = (preprocessor or {}).get("sampling_rate", 16000)
    normalise = "mean_variance" if (preprocessor or {}).get("do_normalize", False) else "none"
    try:
        return uniform(
            width=width, heads=heads, queries=heads // pairs, head_size=head_size,
            ffn=size("intermediate_size", 1152, MOST["ffn"]),
            encoder_layers=size("encoder_num_hidden_layers", 6, MOST["encoder_layers"]),
            decoder_layers=size("decoder_num_hidden_layers", 6, MOST["decoder_layers"]),
            vocabulary=rows, tokens=tokens, rotary=int(head_size * float(rotary["partial_rotary_factor"])),
            rope_theta=float(rotary["rope_theta"]),
            text_context=size("max_position_embeddings", 512, MOST["text_context"]),
            bias=bool(values.get("attention_bias", False)),
            front_end=front_end("waveform", int(sampling_rate), normalise=normalise), name=name,
        )  # fmt: skip
    except (TypeError, ValueError) as problem:
        raise SecateurError(f"{where}: {problem}") from problem


def read_pieces(path: Path, start: int, end: int, rows: int) -> tuple[PieceTokenizer, list[int]]:
    """The tokenizer in a `tokenizer.json`, and the numbers that a model's `rows` have there, in our order.

    Raises:
        SecateurError: missing, or another kind of tokenizer.
    """
    if not path.is_file():
        raise SecateurError(f"{path}: no such file; copy the tokenizer.json of the same model there")
    values = read_json(path)
    try:
        model, added = values["model"], values.get("added_tokens") or ()
        text_token = next((t["content"] for t in added if not t.get("special")), None)
        if text_token is not None:
            raise ValueError(f"its text has a token beside the pieces: {text_token!r}")
        special = {int(t["id"]) for t in added}
        vocabulary: dict[str, int] = model["vocab"]
        if not model.get("byte_fallback") or SPACE not in vocabulary:
            raise ValueError("no BPE over pieces with bytes for the rest")
        names = {i: name for name, i in vocabulary.items() if i not in special | {start, end}}
        text = [i for i in sorted(names) if i < rows]
        if sum(bool(BYTE.fullmatch(names[i])) for i in text) != 256:
            raise ValueError("it has not all bytes")
        new = {old: i for i, old in enumerate(text)}
        definition = json.dumps({
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
            "normalizer": values.get("normalizer"), "pre_tokenizer": values.get("pre_tokenizer"),
            "post_processor": None, "decoder": values["decoder"],
            "model": {**model, "unk_token": None, "vocab": {names[i]: new[i] for i in text}},
        }, ensure_ascii=False)  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise SecateurError(f"{path}: not a tokenizer of a Moonshine ({problem})") from problem
    order = [*text, end, *([start] if start != end else [])]
    rest = set(range(rows)) - set(order)
    return PieceTokenizer(definition, len(text)), [*order, *sorted(rest)]


SHARED = "transformers cannot run a Moonshine whose heads share keys and values: export to ONNX"


def attentions(config: MoonshineConfig) -> list[GroupedAttentionWidths]:
    """All that a model has."""
    encoder = [e.attention for e in config.encoder]
    return encoder + [a for d in config.decoder for a in (d.self_attention, d.cross_attention)]


def check_uniform(config: MoonshineConfig) -> None:
    """Refuse widths that `transformers` cannot express: they must be equal in all layers of both sides.

    Raises:
        SecateurError: names the first part that differs.
    """
    first = config.encoder[0]
    channels = {
        "conv1": (config.convs[0], config.width),
        "conv2": (config.convs[1], 2 * config.width),
        "norm": (config.norm_channels, config.width),
    }
    for part, (now, usual) in channels.items():
        if now != usual:
            raise SecateurError(f"encoder.{part} has {now} channels, transformers knows only {usual}: {PRUNED_FORMAT}")
    if first.attention.queries != 1:
        raise SecateurError(SHARED)
    parts: list[tuple[str, object, object]] = []
    for side, layers in (("encoder", config.encoder), ("decoder", config.decoder)):
        for i, layer in enumerate(layers):
            for name, widths in vars(layer).items():
                parts.append((f"{side}.layers.{i}.{name}", widths, first.ffn if name == "ffn" else first.attention))
    for name, layer_widths, expected in parts:
        if layer_widths != expected:
            raise SecateurError(f"{name} has widths of its own, which transformers cannot say: {PRUNED_FORMAT}")


def write_moonshine(
    folder: str | Path, model: Moonshine, text: PieceTokenizer, pruned: bool = False, storage: Storage = FP32
) -> Path:
    """Write `model` as `from_pretrained` loads it, with the tokenizer and the feature extractor.

    `pruned`: for the classes of `secateur.families.pruned`, which have any widths.

    Raises:
        SecateurError: widths that differ between layers, or removed channels.
    """
    folder, config, tokens = Path(folder), model.config, model.config.tokens
    attention, ffn = config.encoder[0].attention, config.encoder[0].ffn
    check_unmerged(config)
    if not pruned:
        check_uniform(config)
    elif any(a.queries != 1 for a in attentions(config)):
        raise SecateurError(SHARED)
    # Theirs in order: the special tokens, all text rows, what no text has.
    others = [i for i in range(text.end, config.vocabulary) if i not in (tokens.end, tokens.start)]
    order = [*others[:1], tokens.start, tokens.end, *range(text.end), *others[1:]]
    their_ids = {ours: theirs for theirs, ours in enumerate(order)}
    state = {their_name(n): t.detach() for n, t in model.state_dict().items()}
    state[ROWS] = state[ROWS][order]
    folder.mkdir(parents=True, exist_ok=True)
    write_sharded(folder, state, {"format": "pt"}, dtype_of(storage.precision), storage.largest)
    ids = {"bos_token_id": their_ids[tokens.start], "eos_token_id": their_ids[tokens.end],
           "decoder_start_token_id": their_ids[tokens.start], "pad_token_id": their_ids[tokens.end]}  # fmt: skip
    sizes: Json = {}
    for side, layers in (("encoder", config.encoder), ("decoder", config.decoder)):
        sizes |= {
            f"{side}_num_hidden_layers": len(layers),
            f"{side}_num_attention_heads": attention.heads,
            f"{side}_num_key_value_heads": attention.heads,
        }
    share = config.rotary / config.head_size
    share = share if int(share * config.head_size) == config.rotary else (config.rotary + 0.5) / config.head_size
    write_json(folder / "config.json", {
        **class_values("moonshine", "MoonshineForConditionalGeneration", config, pruned), "hidden_size": config.width,
        "intermediate_size": ffn, "vocab_size": config.vocabulary, "max_position_embeddings": config.text_context,
        "head_dim": config.head_size, "partial_rotary_factor": share, "rope_theta": config.rope_theta,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": config.rope_theta, "partial_rotary_factor": share,
        },
        "attention_bias": config.bias, "is_encoder_decoder": True, "dtype": PRECISIONS[storage.precision],
        **SUPPORTED, **sizes, **ids,
    })  # fmt: skip
    write_json(folder / "generation_config.json", {"max_length": config.text_context, **ids})
    _write_tokenizer(folder, text, their_ids, tokens)
    write_json(folder / "preprocessor_config.json", waveform_extractor(config.front_end))
    return folder


write_pruned_moonshine = partial(write_moonshine, pruned=True)  # for the classes of `secateur.families.pruned`


def _write_tokenizer(folder: Path, text: PieceTokenizer, their_ids: dict[int, int], tokens: Tokens) -> None:
    """tokenizer.json with its special tokens, as `PreTrainedTokenizerFast` reads it."""
    named = {"<s>": their_ids[tokens.start], "</s>": their_ids[tokens.end]}
    others = sorted(set(their_ids.values()) - {their_ids[i] for i in range(text.end)} - set(named.values()))
    if others and others[0] == 0:
        named |= {"<unk>": others.pop(0)}
    named |= {f"<<ST_{i}>>": theirs for i, theirs in enumerate(others)}
    definition = json.loads(text.definition)
    model = definition["model"]
    model["vocab"] = {name: i for name, i in sorted(named.items(), key=lambda one: one[1]) if not name.startswith("<<")}
    model["vocab"] |= {name: their_ids[i] for name, i in json.loads(text.definition)["model"]["vocab"].items()}
    model["unk_token"] = "<unk>" if "<unk>" in named else None
    definition["added_tokens"] = [
        {"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for name, i in sorted(named.items(), key=lambda one: one[1])
    ]  # fmt: skip
    definition["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                 {"SpecialToken": {"id": "<s>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [named["<s>"]], "tokens": ["<s>"]}},
    }  # fmt: skip
    write_text(folder / "tokenizer.json", json.dumps(definition, ensure_ascii=False))
    roles = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    roles |= {"unk_token": "<unk>"} if "<unk>" in named else {}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **roles})
