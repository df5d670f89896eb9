"""Write what low-rank tuning changed as a PEFT folder, an adapter of its base: a few megabytes instead of a model.

Every changed matrix W' = W + B A is taken apart again by singular values (Eckart and Young 1936): those above the edge
of noise are the update's, the rest is the rounding of a file of 16 bits (edge: Marchenko and Pastur 1967). Names are
those of the model's class in `transformers`, as `weights.peft` reads them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..base.errors import SecateurError
from ..base.files import write_json
from ..base.progress import say, track
from ..models.checkpoint import stored_tensors
from ..models.family import Storage, TextCodec, family_of
from ..models.network import Network
from ..weights.fetch import load_model
from ..weights.peft import ADAPTER, CONFIG, PREFIX
from ..weights.transformers_layout import weight_files

ROUNDING = 3e-4  # of a weight, root mean square, in files of 16 bits
HIGHEST = 0.25  # of full rank; an update above it is no low-rank one


def write_peft(target: Path, model: Network, text: TextCodec, base: str) -> Path:
    """Write the adapter that makes `model` of the model `base` into the new folder `target`.

    Raises:
        SecateurError: a model with other widths than its base, with changes that are not of low rank, or without any;
            a family without a form in `transformers`.
    """
    known = family_of(model.config)
    original, its_text = load_model(base)
    if "transformers" not in known.writers or original.config.family != model.config.family:
        raise SecateurError(
            f"an adapter of {base}: both must be of one family that transformers has; {known.name} here"
        )
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        folders = Path(scratch) / "tuned", Path(scratch) / "base"
        for folder, network, codec in zip(folders, (model, original), (text, its_text), strict=True):
            known.writers["transformers"]()(folder, network, codec, storage=Storage("fp32"))
        tuned, before = (stored_tensors(*weight_files(folder)) for folder in folders)
        factors = _factors(tuned, before, base)
    target.mkdir(parents=True)
    rank = max(len(a) for a, _ in factors.values())
    tensors: dict[str, Tensor] = {}
    for name, (a, b) in factors.items():  # one rank for all: zeros change nothing
        tensors[f"{PREFIX}{name}.lora_A.weight"] = torch.nn.functional.pad(a, (0, 0, 0, rank - len(a)))
        tensors[f"{PREFIX}{name}.lora_B.weight"] = torch.nn.functional.pad(b, (0, rank - len(a)))
    save_file({name: value.contiguous() for name, value in tensors.items()}, target / ADAPTER, {"format": "pt"})
    write_json(target / CONFIG, {
        "peft_type": "LORA", "task_type": None, "base_model_name_or_path": _place_of(base, original), "r": rank,
        "lora_alpha": rank, "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": False, "inference_mode": True,
        "target_modules": sorted(factors),
    })  # fmt: skip
    say(f"rank {rank} holds what changed in {len(factors)} matrices")
    return target


def _factors(tuned: Mapping[str, Tensor], base: Mapping[str, Tensor], where: str) -> dict[str, tuple[Tensor, Tensor]]:
    """A (rank, in) and B (out, rank) of every matrix that changed, by the name of its layer."""
    factors: dict[str, tuple[Tensor, Tensor]] = {}
    for name in track(tuned, "adapter", len(tuned)):
        after, before = tuned[name].double(), base[name].double() if name in base else None
        if before is None or after.shape != before.shape:
            raise SecateurError(
                f"'{name}' is not as wide as in {where}: an adapter needs all widths of its base, export what was "
                "pruned as a model of its own"
            )
        noise, update = ROUNDING * float(before.norm()), after - before
        if not update.any():
            continue
        rank, values = 0, torch.zeros(0)
        if update.ndim == 2 and name.endswith(".weight"):
            u, values, v = torch.linalg.svd(update, full_matrices=False)
            edge = noise * (update.shape[0] ** -0.5 + update.shape[1] ** -0.5)
            rank = int((values > edge).sum())
        left = float(values[rank:].norm() if rank else update.norm())
        if left > 2 * noise or rank > HIGHEST * len(values):
            raise SecateurError(f"'{name}' changed by more than an update of low rank: tune with --training.lora-rank")
        if not rank:
            continue
        factors[name.removesuffix(".weight")] = v[:rank].float(), (u[:, :rank] * values[:rank]).float()
    if not factors:
        raise SecateurError(f"nothing differs from {where}: name the model that tuning started from")
    return factors


def _place_of(base: str, original: Network) -> str:
    """What the adapter says of its base: a folder's path, or the repository of a published model."""
    if (Path(base) / "config.json").is_file():
        return str(Path(base).resolve())
    published = family_of(original.config).published()
    return published[base].hub if base in published else base
