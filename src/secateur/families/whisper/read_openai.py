"""Read OpenAI's own `.pt` files: a zip with tensors and a pickle, of which nothing is executed."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ...base.files import Json, read_json
from ...models.checkpoint import empty_network, load_weights
from ...text.tokenizer import Tokenizer
from ...weights.tokenizer_files import FILES, read_tokenizer
from .model import Whisper
from .vocabulary import ENGLISH_ROWS, checked_uniform, is_multilingual, openai_tokens, special_names

MOST_ENTRIES = 100_000
MOST_PICKLE = 64 << 20  # bytes; the largest Whisper's has 200 kB
NAMES = (
    ("encoder.ln_post.", "encoder.norm."), ("decoder.ln.", "decoder.norm."), (".blocks.", ".layers."),
    (".cross_attn_ln.", ".cross_attention_norm."), (".cross_attn.", ".cross_attention."),
    (".attn_ln.", ".self_attention_norm."), (".attn.", ".self_attention."), (".mlp_ln.", ".ffn_norm."),
    (".mlp.0.", ".ffn.up."), (".mlp.2.", ".ffn.down."), ("positional_embedding", "positions"),
)  # fmt: skip
SIZES = {
    "width": "n_audio_state", "heads": "n_audio_head", "encoder_layers": "n_audio_layer",
    "decoder_layers": "n_text_layer", "vocabulary": "n_vocab", "audio_context": "n_audio_ctx",
    "text_context": "n_text_ctx", "bins": "n_mels",
}  # fmt: skip


def our_name(theirs: str) -> str:
    """Our parameter name for one of OpenAI's."""
    for old, new in NAMES:
        theirs = theirs.replace(old, new)
    return theirs.replace(".self_attention", ".attention") if theirs.startswith("encoder.") else theirs


def read_openai(path: str | Path, fetch: Callable[[str], Path]) -> tuple[Whisper, Tokenizer]:
    """A Whisper from a `.pt` file, as float32.

    Such a file carries no tokenizer: one is taken from the same folder, or from a checkpoint of the same vocabulary,
    whose folder `fetch("tiny.en")` or `fetch("base")` gives. Special ids follow from the number of rows.

    Raises:
        SecateurError: not such a file, one with anything but tensors in it, one whose weights do not fit its sizes, or
            no tokenizer for it.
    """
    path = Path(path)
    dims, weights = _contents(path)
    sizes = {ours: dims.get(theirs) for ours, theirs in SIZES.items()}
    rows = sizes["vocabulary"]
    if not isinstance(rows, int) or special_names(rows) is None:
        raise SecateurError(f"{path}: no Whisper has a vocabulary of {rows!r} rows")
    for ours, theirs in {"n_text_state": "n_audio_state", "n_text_head": "n_audio_head"}.items():
        if dims.get(ours) != dims.get(theirs):
            raise SecateurError(f"{path}: {ours} and {theirs} differ, which is not known here")
    up = weights.get("encoder.blocks.0.mlp.0.weight")
    sizes["ffn"] = None if up is None else up.shape[0]
    tokenizer = _tokenizer(path, rows, fetch)
    config = checked_uniform(sizes, openai_tokens(rows, tokenizer), path.stem, str(path))
    model = empty_network(Whisper, config, str(path))
    load_weights(model, {our_name(name): tensor for name, tensor in weights.items()}, str(path))
    return model.eval(), tokenizer


def _contents(path: Path) -> tuple[Json, dict[str, Tensor]]:
    """The file's two tables. weights_only: a restricted unpickler that builds tensors and calls nothing else."""
    _check_zip(path)
    try:
        values: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise SecateurError(f"{path}: no such file") from None
    except Exception as problem:  # torch raises many kinds for what is not its file
        raise SecateurError(
            f"{path}: not a whole OpenAI Whisper file, or one with code in it (nothing was run)"
        ) from problem
    dims, weights = (values.get("dims"), values.get("model_state_dict")) if isinstance(values, dict) else (None, None)
    if not isinstance(dims, dict) or not isinstance(weights, dict):
        raise SecateurError(f"{path}: no Whisper inside (dims and model_state_dict are missing)")
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()):
        raise SecateurError(f"{path}: model_state_dict holds something other than named tensors")
    size = path.stat().st_size
    for name, value in weights.items():
        plain = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
        # A stride of zero makes one number look like terabytes of them.
        if not plain or not value.is_floating_point() or not value.is_contiguous() or value.nbytes > size:
            raise SecateurError(f"{path}: '{name[:80]}' is no plain tensor that this file holds")
    if sum(value.nbytes for value in weights.values()) > 2 * size:
        raise SecateurError(f"{path}: its tensors are larger than the file")
    return dims, weights


def _check_zip(path: Path) -> None:
    """Nothing in it is packed, so that nothing grows when it is read."""
    try:
        with zipfile.ZipFile(path) as stored:
            entries = stored.infolist()
        unpacked = sum(entry.file_size for entry in entries) <= path.stat().st_size
        if len(entries) > MOST_ENTRIES or not unpacked or any(e.compress_type != zipfile.ZIP_STORED for e in entries):
            raise SecateurError(f"{path}: not an OpenAI Whisper file (its parts are packed, or more than it holds)")
        pickles = [e.file_size for e in entries if e.filename.endswith(".pkl")]
        if max(pickles, default=0) > MOST_PICKLE:
            raise SecateurError(f"{path}: not an OpenAI Whisper file (its table of contents is too large)")
    except FileNotFoundError:
        raise SecateurError(f"{path}: no such file") from None
    except (OSError, ValueError, NotImplementedError, LookupError, zipfile.BadZipFile, struct.error) as problem:
        raise SecateurError(f"{path}: not a whole OpenAI Whisper file ({problem}; nothing was run)") from problem


def _tokenizer(path: Path, rows: int, fetch: Callable[[str], Path]) -> Tokenizer:
    """One beside the file, or that of a known checkpoint with the same text rows."""
    end = (special_names(rows) or {})["<|endoftext|>"]
    if any((path.parent / name).is_file() for name in FILES):
        tokenizer, _ = read_tokenizer(path.parent, end)
        if tokenizer.end != end:
            raise SecateurError(f"{path.parent}: its tokenizer has {tokenizer.end} text rows, {path.name} has {end}")
        return tokenizer
    donor = "base" if is_multilingual(rows) else "tiny.en"
    try:
        folder = fetch(donor)
    except SecateurError as problem:
        kind = "English" if rows == ENGLISH_ROWS else "multilingual"
        raise SecateurError(
            f"{path}: such files carry no tokenizer; put the tokenizer.json of any {kind} Whisper beside it ({problem})"
        ) from problem
    return Tokenizer.read(folder / "tokenizer.json", int(read_json(folder / "config.json")["tokens"]["end"]))


class OpenAi:
    """See `models.family.Reader`."""

    kind = "an OpenAI .pt file"

    def recognises(self, path: Path) -> bool:
        """Whether it is a file that ends in .pt."""
        return path.is_file() and path.suffix == ".pt"

    def read(self, path: Path, name: str | None, fetch: Callable[[str], Path]) -> tuple[Whisper, Tokenizer]:
        """See `read_openai`; the file's own name is the model's."""
        return read_openai(path, fetch)


READER = OpenAi()
