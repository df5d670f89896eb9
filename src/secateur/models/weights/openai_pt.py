"""Read OpenAI's own `.pt` files: a zip with tensors and a pickle, of which nothing is executed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ...text.tokenizer import Tokenizer
from ..checkpoint import fit
from ..whisper.config import uniform
from ..whisper.model import Whisper

NAMES = (
    ("encoder.ln_post.", "encoder.norm."), ("decoder.ln.", "decoder.norm."), (".blocks.", ".layers."),
    (".cross_attn_ln.", ".cross_attention_norm."), (".cross_attn.", ".cross_attention."),
    (".attn_ln.", ".self_attention_norm."), (".attn.", ".self_attention."), (".mlp_ln.", ".ffn_norm."),
    (".mlp.0.", ".ffn.up."), (".mlp.2.", ".ffn.down."), ("positional_embedding", "positions"),
)  # fmt: skip
DIMENSIONS = (
    "n_mels", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer", "n_vocab", "n_text_ctx", "n_text_state",
    "n_text_head", "n_text_layer",
)  # fmt: skip


def our_name(theirs: str) -> str:
    """Our parameter name for one of OpenAI's."""
    for old, new in NAMES:
        theirs = theirs.replace(old, new)
    return theirs.replace(".self_attention", ".attention") if theirs.startswith("encoder.") else theirs


def read_openai(path: str | Path, known: Callable[[str], tuple[Whisper, Tokenizer]]) -> tuple[Whisper, Tokenizer]:
    """A Whisper from a `.pt` file, as float32.

    Such a file carries neither tokenizer nor special ids: `known("tiny.en")` or `known("base")` gives a checkpoint of
    the same vocabulary that has them.

    Raises:
        SecateurError: not such a file, one with anything but tensors in it, or one whose weights do not fit its sizes.
    """
    path = Path(path)
    try:
        # weights_only: a restricted unpickler that builds tensors and plain containers, and calls nothing else.
        values: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SecateurError(f"{path}: no such file") from None
    except Exception as problem:  # torch raises many kinds for what is not its file
        raise SecateurError(
            f"{path}: not an OpenAI Whisper file, or one with code in it (nothing was run)"
        ) from problem
    if not isinstance(values, dict) or not {"dims", "model_state_dict"} <= values.keys():
        raise SecateurError(f"{path}: no Whisper inside (dims and model_state_dict are missing)")
    dims = values["dims"]
    missing = [name for name in DIMENSIONS if not isinstance(dims.get(name), int)]
    if missing:
        raise SecateurError(f"{path}: dims lacks '{missing[0]}'")
    multilingual = dims["n_vocab"] >= 51865
    donor = "base" if multilingual else "tiny.en"
    if dims["n_vocab"] > 51865:
        raise SecateurError(
            f"{path}: its vocabulary of {dims['n_vocab']} has no known tokenizer here; use the hub's folder"
        )
    donor_model, tokenizer = known(donor)
    config = uniform(
        width=dims["n_audio_state"], heads=dims["n_audio_head"], ffn=4 * dims["n_audio_state"],
        encoder_layers=dims["n_audio_layer"], decoder_layers=dims["n_text_layer"], vocabulary=dims["n_vocab"],
        tokens=donor_model.config.tokens, audio_context=dims["n_audio_ctx"], text_context=dims["n_text_ctx"],
        bins=dims["n_mels"], name=path.stem,
    )  # fmt: skip
    state: dict[str, Tensor] = {our_name(name): tensor for name, tensor in values["model_state_dict"].items()}
    with torch.device("meta"):
        model = Whisper(config)
    fit(model, state, str(path))
    return model.eval(), tokenizer
