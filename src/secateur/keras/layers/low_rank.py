"""LoRA and quantised layers: what is followed, and the one refusal of what is not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...base.extras import require
from ..channels import Channels, Ids

if TYPE_CHECKING:
    from keras import Layer, Model

FOLLOWED = ("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D", "Embedding")  # whose config keeps the rank of LoRA


def own_kernel(layer: Layer) -> Any:
    """The layer's kernel or table without its LoRA."""
    for name in ("_kernel", "_embeddings"):
        if getattr(layer, name, None) is not None:
            return getattr(layer, name)
    return layer.kernel if hasattr(layer, "kernel") else layer.embeddings


def bind_low_rank(net: Channels, layer: Layer, reads: Iterable[tuple[int, Ids]], writes: Ids) -> None:
    """The two factors of LoRA: one is read as the kernel is, the other writes the units with its last axis."""
    if not getattr(layer, "lora_enabled", False):
        return
    name = "embeddings" if hasattr(layer, "lora_embeddings_a") else "kernel"
    reads = list(reads)
    net.bind(getattr(layer, f"lora_{name}_a"), *reads, reads=[dim for dim, _ in reads])
    net.bind(getattr(layer, f"lora_{name}_b"), (1, writes))


def unfit(layer: Layer) -> str:
    """Why a Keras layer of any kind cannot lose units for what is in it; nothing where it can."""
    keras = require("keras", "keras")
    inside = [layer] if isinstance(layer, keras.Model) else [*layer._flatten_layers()]
    for one in inside:
        part = "" if one is layer else f" in '{one.name}'"
        if getattr(one, "quantization_mode", None):
            return f"is quantised ({one.quantization_mode}){part}: prune the model first, then quantise it"
        kept = one is layer or type(layer).__name__ in ("TimeDistributed", "SpectralNormalization")
        if getattr(one, "lora_enabled", False) and not (kept and type(one).__name__ in FOLLOWED):
            return f"has LoRA{part}, which its config does not keep: add it to the kernel first"
    return ""


def same_scale(model: Model, copy: Model) -> None:
    """Give the layers of a copy the scale of LoRA that Keras builds with its rank instead."""
    ours, theirs = (
        [one for one in some._flatten_layers() if getattr(one, "lora_enabled", False)] for some in (model, copy)
    )
    for old, new in zip(ours, theirs, strict=False):
        new.lora_alpha = old.lora_alpha
