"""Write a Whisper as the one file that whisper.cpp reads (ggml, fp16).

All numbers little-endian: u32 magic; eleven i32 sizes; mel filters (i32 bins, i32 lines, fp32 values); the text tokens
(i32 count, then u32 length and bytes of each); then of every tensor i32 rank, i32 length of its name, i32 type (0 fp32,
1 fp16), its dimensions from the last to the first, its name, its values.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

from ...base.errors import SecateurError
from ...base.files import atomic_path
from ...features.filterbank import mel_filters
from ...models.family import Storage
from ...prune.low_rank import multiplied_out
from ...text.tokenizer import Tokenizer
from .model import Whisper
from .read_openai import NAMES
from .write_transformers import check_uniform

MAGIC = 0x67676D6C
KINDS = {"fp32": 0, "fp16": 1}  # the numbers of types, of the file and of a tensor
FP16 = Storage("fp16")
WINDOW = 30.0  # seconds; whisper.cpp supports no other
KEPT_FP32 = ("positions", "conv1.bias", "conv2.bias")  # kept in fp32, as vectors are


def their_name(ours: str) -> str:
    """OpenAI's parameter name for one of ours."""
    name = ours.replace("encoder.norm.", "encoder.ln_post.").replace("decoder.norm.", "decoder.ln.")
    if name.startswith("encoder."):
        name = name.replace(".attention", ".self_attention")
    for theirs, ours_part in NAMES[2:]:
        name = name.replace(ours_part, theirs)
    return name


def byte_values() -> dict[str, int]:
    """Which byte each character of a byte-level token stands for (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = [byte for byte in range(256) if byte not in printable]
    values = {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(shifted)}
    assert set(values) == set(ByteLevel.alphabet())
    return values


def write_ggml(path: str | Path, model: Whisper, tokenizer: Tokenizer, storage: Storage = FP16) -> Path:
    """Write the file that `whisper-cli -m` and pywhispercpp load.

    whisper.cpp pads every clip to 30 s; a model that was made for clips of their own length gets them padded there all
    the same.

    Raises:
        SecateurError: widths that differ between layers, another vocabulary, or a window that is not 30 s.
    """
    model = multiplied_out(model)
    path, config, front = Path(path), model.config, model.config.front_end
    heads, _, _ = check_uniform(config, "whisper.cpp")
    if config.frame_merging:
        raise SecateurError("frames are merged inside the encoder, which whisper.cpp cannot do; export to ONNX")
    if config.max_seconds != WINDOW or front.sample_rate != 16000:
        raise SecateurError(
            f"windows of {config.max_seconds:g} s at {front.sample_rate} Hz: whisper.cpp knows {WINDOW:g} s at 16000 "
            "Hz only; export to ONNX"
        )
    kind = KINDS[storage.precision]
    sizes = (
        config.vocabulary, config.audio_context, config.width, heads, len(config.encoder), config.text_context,
        config.width, heads, len(config.decoder), front.bins, kind,
    )  # fmt: skip
    filters = np.ascontiguousarray(mel_filters(front.sample_rate, front.window, front.bins).T, "<f4")
    values = byte_values()
    names = sorted(json.loads(tokenizer.definition)["model"]["vocab"].items(), key=lambda pair: pair[1])
    with atomic_path(path) as temporary, temporary.open("wb") as out:
        out.write(struct.pack("<I11i2i", MAGIC, *sizes, *filters.shape) + filters.tobytes())
        out.write(struct.pack("<i", len(names)))
        for name, _ in names:
            text = bytes(values[c] for c in name)
            out.write(struct.pack("<I", len(text)) + text)
        for ours, tensor in model.state_dict().items():
            array = tensor.detach().cpu().float().numpy()
            name = their_name(ours).encode()
            if ours.endswith(("conv1.bias", "conv2.bias")):
                array = array[:, None]
            small = array.ndim < 2 or ours.endswith(KEPT_FP32) or not kind
            array = np.ascontiguousarray(array, "<f4" if small else "<f2")
            out.write(struct.pack("<3i", array.ndim, len(name), 0 if small else kind))
            out.write(struct.pack(f"<{array.ndim}i", *reversed(array.shape)) + name + array.tobytes())
    return path
