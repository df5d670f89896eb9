"""The weights of an exported Whisper, read back out of its graphs: to export it again, or to train it further.

int8 rounding is not undone; exported again in the same precision, the graphs are the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ...base.errors import SecateurError
from ...base.extras import require
from ...export.graph import Array
from ...export.precision import NIBBLE_ZERO, NIBBLES, ZERO
from ...runtime.contents import CONFIG, DECODER, ENCODER, TOKENIZER, read_contents
from ...text.tokenizer import Tokenizer
from .config import read_config
from .model import Whisper


def read_back(folder: str | Path) -> tuple[Whisper, Tokenizer]:
    """The model in an exported folder, and its tokenizer.

    Raises:
        SecateurError: not a Whisper's export, or one whose graphs hold other weights than its config says.
    """
    folder = Path(folder)
    if DECODER not in read_contents(folder).files:
        raise SecateurError(f"{folder}: only the weights of an exported Whisper can be read back")
    config = read_config(folder / CONFIG)
    to_array = require("onnx.numpy_helper", "train").to_array
    stored: dict[str, Array] = {}
    for file in (ENCODER, DECODER):
        graph = require("onnx", "train").load(folder / file).graph
        stored.update({tensor.name: to_array(tensor) for tensor in graph.initializer})
    model = Whisper(config)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    state: dict[str, Array] = {}
    for name in stored:
        state.update(_parameters(name, stored, shapes, config.attention_scale))
    wrong = next((name for name, shape in shapes.items() if name not in state or state[name].shape != shape), None)
    if wrong is not None:
        raise SecateurError(f"{folder}: '{wrong}' is not in the graphs as config.json describes it")
    model.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(state[name], np.float32)) for name in shapes})
    return model.eval(), Tokenizer.read(folder / TOKENIZER, config.tokens.end)


def _parameters(
    name: str, stored: dict[str, Array], shapes: dict[str, tuple[int, ...]], query_scale: float
) -> dict[str, Array]:
    """The parameters in the graph's weight `name`: those of one layer, or of several side by side; none in a scale."""
    if name.endswith((".scale", ".columns", ".bias")) and name.rpartition(".")[0] in stored:
        return {}
    layers = name.split("+")
    if f"{layers[0]}.weight" not in shapes:  # norms, positions
        return {name: _floats(name, stored)} if name in shapes else {}
    matrix, bias = _floats(name, stored), stored.get(f"{name}.bias")
    matrix = matrix if stored[name].dtype == np.uint8 else matrix.T  # (out, in)
    parts, start = {}, 0
    for layer in layers:
        shape = shapes[f"{layer}.weight"]
        rows, scale = slice(start, start + shape[0]), query_scale if layer.endswith(".query") else 1.0
        part = matrix[rows, : int(np.prod(shape[1:]))] / scale
        # A convolution is stored with its taps before its inputs.
        taps = part.reshape(len(part), *shape[:1:-1], shape[1]).swapaxes(1, -1) if len(shape) > 2 else part
        parts[f"{layer}.weight"] = taps
        if bias is not None and f"{layer}.bias" in shapes:
            parts[f"{layer}.bias"] = bias[rows] / scale
        start += shape[0]
    return parts


def _floats(name: str, stored: dict[str, Array]) -> Array:
    """The values of a weight, however it is stored: blocks of bytes (out, in), all others as they stand."""
    values = stored[name].astype(np.float32)
    if f"{name}.scale" not in stored:
        return values
    scale = stored[f"{name}.scale"].astype(np.float32)
    if stored[name].dtype == np.uint8 and stored[name].shape[-1] == NIBBLES // 2:
        pairs = np.stack([stored[name] & 15, stored[name] >> 4], -1).reshape(*scale.shape, NIBBLES)
        return ((pairs.astype(np.float32) - NIBBLE_ZERO) * scale[..., None]).reshape(len(values), -1)
    if stored[name].dtype == np.uint8:
        return ((values - ZERO) * scale[..., None]).reshape(len(values), -1)
    return values * scale
