"""Read a PEFT folder (adapter_config.json + adapter_model.safetensors): LoRA updates, merged into their base model.

W' = W + s B A with s = alpha / rank, or alpha / sqrt(rank) where the config says rslora (Hu et al. 2021, arXiv
2106.09685; Kalajdzievski 2023, arXiv 2312.03732); with DoRA every row of that gets a length of its own (Liu et al.
2024, arXiv 2402.09353). Names are those of the model's class in `transformers`, so the base has to be a folder of that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..base.errors import SecateurError
from ..base.files import Json
from ..models.checkpoint import stored_tensors
from ..models.family import TextCodec
from ..models.network import Network
from .hub import fetch_from_hub
from .json_values import read_table
from .transformers_layout import read_layout, weight_files

CONFIG, ADAPTER = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
PARTS = re.compile(r"(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(?:\.weight)?")
REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
# Settings whose other values change what is computed, with those that are known here.
KNOWN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",), "fan_in_fan_out": (False, None), "lora_bias": (False, None), "layer_replication": (None,),
    "megatron_config": (None,), "trainable_token_indices": (None,), "alora_invocation_tokens": (None,),
}  # fmt: skip


class Merged(Mapping[str, Tensor]):
    """The weights of a model with an adapter merged into them, each computed when it is asked for.

    Raises:
        SecateurError: an adapter of another model, or with parts that are not known here.
    """

    def __init__(self, base: Mapping[str, Tensor], adapter: Mapping[str, Tensor], settings: Json, where: str) -> None:
        self._base, self._adapter, self._settings, self._where = base, adapter, settings, where
        self._parts: dict[str, dict[str, str]] = {}  # names in the adapter by weight, then by part
        self._whole: dict[str, str] = {}  # parameters that the adapter has anew
        for name in adapter:
            plain = name.removeprefix(PREFIX).replace(".base_layer.", ".").replace(".modules_to_save.default.", ".")
            match = PARTS.fullmatch(plain)
            weight = f"{match[1]}.weight" if match else plain
            if weight not in base:
                raise SecateurError(f"{where}: '{name}' changes nothing that its base model has; name the right base")
            if match:
                self._parts.setdefault(weight, {})[match[2].removeprefix("lora_").removeprefix("embedding_")] = name
            else:
                self._whole[weight] = name
        for weight, parts in self._parts.items():
            if not {"A", "B"} <= parts.keys():
                raise SecateurError(f"{where}: half of the update of '{weight}' is missing")
            if not (base[weight].ndim == adapter[parts["A"]].ndim == adapter[parts["B"]].ndim == 2):
                raise SecateurError(f"{where}: the update of '{weight}' is no product of two matrices")

    def __getitem__(self, name: str) -> Tensor:
        if name in self._whole:
            return self._adapter[self._whole[name]]
        value = self._base[name]
        if name not in self._parts:
            return value
        parts = {part: self._adapter[stored].float() for part, stored in self._parts[name].items()}
        update = self._scale(name, len(parts["A"])) * (parts["B"] @ parts["A"])
        if "embedding" in self._parts[name]["A"]:
            update = update.T
        if update.shape != value.shape:
            shapes = f"{tuple(update.shape)} to a weight of {tuple(value.shape)}"
            raise SecateurError(f"{self._where}: an update of shape {shapes} ('{name}'); name the right base")
        merged = value.float() + update
        if "magnitude_vector" in parts:
            merged = merged * (parts["magnitude_vector"].flatten() / merged.norm(dim=1))[:, None]
        return merged.to(value.dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._base)

    def __len__(self) -> int:
        return len(self._base)

    def _scale(self, name: str, rank: int) -> float:
        """s of the weight `name`; a pattern for alpha matches a layer's name or the end of it."""
        layer, alpha = name.removesuffix(".weight"), self._settings.get("lora_alpha", 8)
        for pattern, value in (self._settings.get("alpha_pattern") or {}).items():
            if re.fullmatch(rf"(.*\.)?({pattern})", layer):
                alpha = value
                break
        return float(alpha) / (math.sqrt(rank) if self._settings.get("use_rslora") else rank)


def read_peft(folder: Path, name: str | None = None) -> tuple[Network, TextCodec]:
    """The model of any family with an adapter merged into it, and its text codec.

    Its base is the folder that adapter_config.json names, seen from here or from the adapter's folder, or owner/name on
    the model hub.

    Raises:
        SecateurError: another kind of adapter, a base that cannot be had, or an adapter that does not fit it.
    """
    where, settings = str(folder / CONFIG), read_table(folder / CONFIG)
    for key, values in KNOWN.items():
        if settings.get(key, values[0]) not in values:
            raise SecateurError(
                f"{where}: {key} {settings[key]!r} is not known here; merge the adapter with peft first"
            )
    if not (folder / ADAPTER).is_file():
        raise SecateurError(f"{folder}: no {ADAPTER} (a pickle is not read: save the adapter as safetensors)")
    base = _base(folder, settings.get("base_model_name_or_path"), where)
    weights = Merged(stored_tensors(*weight_files(base)), stored_tensors(folder / ADAPTER), settings, where)
    return read_layout(base, weights, name or folder.resolve().name)


def _base(folder: Path, named: object, where: str) -> Path:
    """The folder of the model that an adapter goes with."""
    if not isinstance(named, str) or not named:
        raise SecateurError(f"{where}: base_model_name_or_path is missing: write the folder of the base model there")
    for path in (Path(named).expanduser(), folder / named):
        if (path / "config.json").is_file():
            return path
    if REPOSITORY.fullmatch(named):
        return fetch_from_hub(named)
    raise SecateurError(f"{where}: its base model {named} is not here; write its folder as base_model_name_or_path")


class Peft:
    """See `models.family.Reader`."""

    kind = f"a PEFT folder with {CONFIG}"

    def recognises(self, path: Path) -> bool:
        """By the name of its config."""
        return (path / CONFIG).is_file()

    def read(self, path: Path, name: str | None, fetch: Callable[[str], Path]) -> tuple[Network, TextCodec]:
        """See `read_peft`."""
        return read_peft(path, name)
