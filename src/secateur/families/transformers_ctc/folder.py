"""Read and write Wav2Vec2ForCTC, HubertForCTC, WavLMForCTC and Wav2Vec2ConformerForCTC folders of `transformers`, with
their vocab.json."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ...base.extras import require
from ...base.files import Json, write_json
from ...base.tensors import PRECISIONS, dtype_of, write_sharded
from ...features.front_end import front_end
from ...models.checkpoint import WEIGHTS, empty_network, load_weights
from ...models.family import Storage
from ...text.tokenizer_units import VocabularyUnits
from ...weights.json_values import is_id, named_ids, one_id, read_table
from ..transformers_files import FP32, PRUNED_FORMAT, check_unmerged, class_values, own_config, waveform_extractor
from .config import CONFORMER, OWN_KEYS, SUPPORTED, HfCtcConfig
from .model import CLASSES, HfCtc
from .resize import NORM, multiplied_out, normed
from .widths import BlockWidths, LayerWidths

GATE = ".gate"
COUNT = ".num_batches_tracked"  # not read by anything
THEIR_TABLE, OUR_TABLE = "encoder.layers.0.attention.rel_attn_embed.", "encoder.positions."  # of WavLM, theirs and ours
# Names in older files of the parts of the weight-normed convolution.
RENAMED = {"conv.weight_g": f"conv.{NORM}0", "conv.weight_v": f"conv.{NORM}1"}
POSITION_CONV = "encoder.pos_conv_embed.conv."


def read_hf_ctc(folder: Path, state: Mapping[str, Tensor], name: str | None = None) -> tuple[HfCtc, VocabularyUnits]:
    """The network with the weights `state`, as float32, and its vocabulary; the blank becomes output 0.

    Raises:
        SecateurError: a variant that is not known here, no vocabulary, or weights that do not fit the config.
    """
    values, where = read_table(folder / "config.json"), str(folder / "config.json")
    blank = one_id(values, "pad_token_id", where) or 0
    text, order = _vocabulary(folder, blank, len(state.get("lm_head.bias", ())))
    front = read_table(folder / "preprocessor_config.json", optional=True)
    config: HfCtcConfig | None = own_config(values, where)
    if config is None:
        config = parse_hf_ctc(values, where, name or folder.name, len(order), front)
    model: HfCtc = empty_network(HfCtc, config, str(folder / "config.json"))
    expected = model.state_dict()
    ours = {}
    for theirs, value in state.items():
        for old, new in RENAMED.items():
            theirs = theirs.replace(old, new)
        theirs = theirs.replace(THEIR_TABLE, OUR_TABLE)
        if theirs.startswith("lm_head."):
            if len(value) != len(order):
                raise SecateurError(f"{folder}: {len(value)} outputs, but vocab.json has {len(order)} tokens")
            value = value[order]
        if not theirs.endswith(COUNT):
            ours[f"net.{theirs}"] = value
    mask_vector = f"net.{config.body}.masked_spec_embed"  # read in pre-training only; some files have it needlessly
    if mask_vector in ours and mask_vector not in expected:
        del ours[mask_vector]
    position_conv = f"net.{config.body}.{POSITION_CONV}"
    if not config.conformer and f"{position_conv}{NORM}0" in ours:
        ours[f"{position_conv}weight"] = multiplied_out(*(ours.pop(f"{position_conv}{NORM}{i}") for i in (0, 1)))
    ours |= {n: torch.ones(1) for n in expected if n.endswith(GATE)}
    load_weights(model, ours, str(folder / WEIGHTS))
    return model.eval(), text


def parse_hf_ctc(values: Json, where: str, name: str, units: int, preprocessor: Json | None = None) -> HfCtcConfig:
    """Our config of theirs (the values of config.json and of preprocessor_config.json).

    Raises:
        SecateurError: a variant that is not known here.
    """
    kind: Any = values.get("model_type")
    full = getattr(require("transformers", "transformers"), CLASSES[kind][1])(**values).to_dict()
    settings = {k: v for k, v in full.items() if k in values and k not in OWN_KEYS}
    settings |= {k: full[k] for k in SUPPORTED if k in full}
    heads, ffn, preprocessor_values = full["num_attention_heads"], full["intermediate_size"], preprocessor or {}
    layer: LayerWidths | BlockWidths = LayerWidths(heads, ffn)
    if kind == CONFORMER:
        layer = BlockWidths(ffn, heads, full["hidden_size"], ffn)
    try:
        return HfCtcConfig(
            units=units, kind=kind, head_size=full["hidden_size"] // heads,
            convs=tuple(full["conv_dim"]), settings=settings, name=name,
            layers=(layer,) * full["num_hidden_layers"],
            front_end=front_end(
                "waveform", int(preprocessor_values.get("sampling_rate", 16000)),
                normalise="mean_variance" if preprocessor_values.get("do_normalize", True) else "none",
            ),
        )  # fmt: skip
    except ValueError as problem:
        raise SecateurError(f"{where}: {problem}") from problem


def _vocabulary(folder: Path, blank: int, rows: int) -> tuple[VocabularyUnits, list[int]]:
    """The tokens of an output layer of `rows` rows, and these rows in our order: the blank first.

    Tokens that were added after the vocabulary was made have a file of their own, and often no row.
    """
    ids = read_table(folder / "vocab.json")
    if not ids or not all(map(is_id, ids.values())):
        raise SecateurError(f"{folder / 'vocab.json'}: not a table of tokens and numbers (of one language)")
    added = named_ids({"added": read_table(folder / "added_tokens.json", optional=True)}, "added", str(folder))
    added = {token: i for token, i in added.items() if i < rows and i not in ids.values()}
    ids = {**ids, **added}
    tokens = {i: token for token, i in ids.items()}
    if sorted(tokens) != list(range(len(ids))) or blank not in tokens:
        raise SecateurError(f"{folder / 'vocab.json'}: its numbers are not 0 to {len(ids) - 1} with the blank {blank}")
    order = [blank, *(i for i in sorted(tokens) if i != blank)]
    tokenizer_values = read_table(folder / "tokenizer_config.json", optional=True)
    special = {"<s>", "</s>", "<unk>", "<pad>", "[UNK]", "[PAD]", *added}
    for key in ("bos_token", "eos_token", "unk_token", "pad_token"):
        token = tokenizer_values.get(key)
        special.add(str(token.get("content") if isinstance(token, dict) else token))
    delimiter = tokenizer_values.get("word_delimiter_token", "|")
    named = tuple(sorted(special & set(ids)))
    return VocabularyUnits(tuple(tokens[i] for i in order[1:]), str(delimiter or "|"), named), order


def write_hf_ctc(folder: str | Path, model: HfCtc, text: Any, pruned: bool = False, storage: Storage = FP32) -> Path:
    """Write `model` as `from_pretrained` loads it: config.json, model.safetensors, vocab.json and what goes with them.

    `pruned`: for the classes of `secateur.families.pruned`, which have any widths.

    Raises:
        SecateurError: widths that differ between layers, or removed heads.
    """
    folder, config = Path(folder), model.config
    check_unmerged(config)
    if not config.uniform and not pruned:
        raise SecateurError(
            f"transformers builds only layers that are all alike, with all their heads: {PRUNED_FORMAT}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name.removeprefix("net.").replace(OUR_TABLE, OUR_TABLE if pruned else THEIR_TABLE): value.detach()
        for name, value in model.state_dict().items()
        if not name.endswith(GATE)
    }
    if not config.conformer and not pruned:
        parts = normed(state.pop(f"{config.body}.{POSITION_CONV}weight"))
        state |= {f"{config.body}.{POSITION_CONV}{part}": value for part, value in parts.items()}
    state |= {n.replace(".running_mean", COUNT): torch.tensor(0) for n in state if n.endswith(".running_mean")}
    write_sharded(folder, state, {"format": "pt"}, dtype_of(storage.precision), storage.largest)
    names = class_values(config.kind, CLASSES[config.kind][0], config, pruned)
    write_json(folder / "config.json", {**config.theirs(), **names, "dtype": PRECISIONS[storage.precision]})
    blank = "<pad>" if "<pad>" not in getattr(text, "tokens", ()) else "<blank>"
    tokens = getattr(text, "tokens", None) or [c if c != " " else "|" for c in text.characters]
    write_json(folder / "vocab.json", {blank: 0, **{token: i for i, token in enumerate(tokens, 1)}})
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "Wav2Vec2CTCTokenizer", "pad_token": blank, "unk_token": "<unk>",
        "word_delimiter_token": getattr(text, "delimiter", "|"),
    })  # fmt: skip
    extractor = waveform_extractor(config.front_end, attention_mask=not config.group_norm)
    write_json(folder / "preprocessor_config.json", extractor)
    return folder


write_pruned_hf_ctc = partial(write_hf_ctc, pruned=True)  # for the classes of `secateur.families.pruned`
