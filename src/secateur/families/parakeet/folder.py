"""Read and write ParakeetForCTC folders of `transformers`, with their tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ...base.extras import require
from ...base.files import Json, read_json, write_json, write_text
from ...base.tensors import PRECISIONS, dtype_of, write_sharded
from ...features.front_end import FrontEnd, front_end
from ...models.checkpoint import WEIGHTS, empty_network, load_weights
from ...models.family import Storage, TextCodec
from ...text.tokenizer_units import TokenizerUnits
from ...weights.json_values import one_id, read_table
from ..transformers_ctc.folder import COUNT, GATE
from ..transformers_ctc.widths import BlockWidths
from ..transformers_files import FP32, PRUNED_FORMAT, check_unmerged, class_values, own_config
from .config import OWN_KEYS, SUPPORTED, ParakeetConfig
from .model import Parakeet

HEAD = "ctc_head."


def read_parakeet(
    folder: Path, state: Mapping[str, Tensor], name: str | None = None
) -> tuple[Parakeet, TokenizerUnits]:
    """The network with the weights `state`, as float32, and its tokenizer; the blank becomes output 0.

    Raises:
        SecateurError: a variant that is not known here, no tokenizer, or weights that do not fit the config.
    """
    values, where = read_table(folder / "config.json"), str(folder / "config.json")
    rows = len(state.get(f"{HEAD}bias", ()))
    blank = one_id(values, "pad_token_id", where)
    text = _tokenizer(folder, rows - 1 if blank is None else blank, rows)
    config: ParakeetConfig | None = own_config(values, where)
    if config is None:
        config = parse_parakeet(values, where, name or folder.name, rows, _extractor_values(folder))
    model: Parakeet = empty_network(Parakeet, config, str(folder / "config.json"))
    order = [text.blank, *(i for i in range(rows) if i != text.blank)]
    ours = {f"net.{n}": v[order] if n.startswith(HEAD) else v for n, v in state.items() if not n.endswith(COUNT)}
    ours |= {n: torch.ones(1) for n in model.state_dict() if n.endswith(GATE)}
    load_weights(model, ours, str(folder / WEIGHTS))
    return model.eval(), text


def parse_parakeet(
    values: Json, where: str, name: str, units: int, extractor_values: Json | None = None
) -> ParakeetConfig:
    """Our config of theirs (the values of config.json and of the feature extractor).

    Raises:
        SecateurError: a variant that is not known here.
    """
    encoder = values.get("encoder_config")
    if not isinstance(encoder, dict):
        raise SecateurError(f"{where}: no encoder_config, which a Parakeet has")
    full = require("transformers", "transformers").ParakeetEncoderConfig(**encoder).to_dict()
    settings = {k: v for k, v in full.items() if k in encoder and k not in (*OWN_KEYS, "hidden_size")}
    settings |= {k: full[k] for k in SUPPORTED}
    heads, ffn, width = full["num_attention_heads"], full["intermediate_size"], full["hidden_size"]
    stages = int(full["subsampling_factor"]).bit_length() - 1
    try:
        return ParakeetConfig(
            units=units, width=width, head_size=full.get("head_dim") or width // heads, name=name,
            convs=(full["subsampling_conv_channels"],) * stages, settings=settings,
            layers=(BlockWidths(ffn, heads, width, ffn),) * full["num_hidden_layers"],
            front_end=_front_end(extractor_values or {}, full["num_mel_bins"], where),
        )  # fmt: skip
    except ValueError as problem:
        raise SecateurError(f"{where}: {problem}") from problem


def _front_end(extractor_values: Json, bins: int, where: str) -> FrontEnd:
    window = int(extractor_values.get("win_length", 400))
    front = front_end(
        "nemo", int(extractor_values.get("sampling_rate", 16000)), bins=bins, window=window,
        hop=int(extractor_values.get("hop_length", 160)), preemphasis=float(extractor_values.get("preemphasis", 0.97)),
    )  # fmt: skip
    size = 1 << (window - 1).bit_length()
    if extractor_values.get("n_fft", size) != size or extractor_values.get("feature_size", bins) != bins:
        raise SecateurError(f"{where}: a transform of {size} and {bins} bins were expected of the feature extractor")
    return front


def _extractor_values(folder: Path) -> Json:
    """The feature extractor's values, which newer folders keep inside the processor's."""
    inside = read_table(folder / "processor_config.json", optional=True).get("feature_extractor")
    return inside if isinstance(inside, dict) else read_table(folder / "preprocessor_config.json", optional=True)


def _tokenizer(folder: Path, blank: int, rows: int) -> TokenizerUnits:
    """The tokenizer of an output layer of `rows` rows.

    Raises:
        SecateurError: no tokenizer.json, or one whose tokens do not say where words begin.
    """
    path = folder / "tokenizer.json"
    values = read_json(path)
    added = values.get("added_tokens", ()) if isinstance(values, dict) else ()
    special = {str(token["content"]) for token in added if isinstance(token, dict) and token.get("special")}
    named = tuple(sorted(special | {*TokenizerUnits.special}))
    text = TokenizerUnits(json.dumps(values, ensure_ascii=False), blank, rows, named)
    try:
        marked = any(text.begins())
    except Exception as problem:  # the library raises bare Exception on bad input
        raise SecateurError(f"{path}: not a tokenizer that can be read ({problem})") from problem
    if not marked:
        raise SecateurError(f"{path}: none of its tokens begins a word (with ▁), which is not known here")
    return text


def write_parakeet(
    folder: str | Path, model: Parakeet, text: TextCodec, pruned: bool = False, storage: Storage = FP32
) -> Path:
    """Write `model` as `from_pretrained` loads it: config.json, model.safetensors, tokenizer.json and the rest.

    `pruned`: for the classes of `secateur.families.pruned`, which have any widths.

    Raises:
        SecateurError: widths that differ between blocks, or other units than its tokenizer's.
    """
    folder, config = Path(folder), model.config
    check_unmerged(config)
    if not config.uniform and not pruned:
        raise SecateurError(
            "transformers builds only blocks that are all alike, their convolution as wide as the stream: "
            f"{PRUNED_FORMAT}"
        )
    if not isinstance(text, TokenizerUnits):
        raise SecateurError("transformers' Parakeet writes with a tokenizer.json, which this model has not")
    folder.mkdir(parents=True, exist_ok=True)
    state = their_state(model, text.blank)
    write_sharded(folder, state, {"format": "pt"}, dtype_of(storage.precision), storage.largest)
    write_json(folder / "config.json", {
        **class_values("parakeet_ctc", "ParakeetForCTC", config, pruned),
        "vocab_size": config.units, "pad_token_id": text.blank, "dtype": PRECISIONS[storage.precision],
        "encoder_config": {"model_type": "parakeet_encoder", **config.theirs()},
    })  # fmt: skip
    write_beside(folder, config, text)
    return folder


write_pruned_parakeet = partial(write_parakeet, pruned=True)  # for the classes of `secateur.families.pruned`


def their_state(model: Parakeet, blank: int) -> dict[str, Tensor]:
    """The weights under their names, the blank where it was."""
    order = [*range(1, blank + 1), 0, *range(blank + 1, model.config.units)]
    state = {}
    for name, value in model.state_dict().items():
        theirs = name.removeprefix("net.")
        if not name.endswith(GATE):
            value = value.detach().cpu()
            state[theirs] = (value[order] if theirs.startswith(HEAD) else value).contiguous()
        if name.endswith(".running_mean"):
            state[theirs.replace(".running_mean", COUNT)] = torch.tensor(0)
    return state


def write_beside(folder: Path, config: ParakeetConfig, text: TokenizerUnits) -> None:
    """The tokenizer and the feature extractor."""
    write_text(folder / "tokenizer.json", text.definition)
    front, blank = config.front_end, text.token(text.blank)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "ParakeetTokenizer", "pad_token": blank})
    write_json(folder / "preprocessor_config.json", {
        "feature_extractor_type": "ParakeetFeatureExtractor", "feature_size": front.bins,
        "sampling_rate": front.sample_rate, "hop_length": front.hop, "win_length": front.window,
        "n_fft": 1 << (front.window - 1).bit_length(), "preemphasis": front.preemphasis, "padding_value": 0.0,
        "return_attention_mask": True, "processor_class": "ParakeetProcessor",
    })  # fmt: skip
