"""What holds for every CTC network that is read from `transformers`: masked equals shrunk equals what is read back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from secateur.models.checkpoint import load_checkpoint, save_checkpoint
from secateur.models.groups import Group
from secateur.prune.shrink import mask, shrink


def frames_of(model: Any, batch: tuple[Any, Any]) -> Any:
    """All real frames of a batch's answers, one row after the other: (frames, outputs)."""
    with torch.no_grad():
        log_probs, frames = model(*batch)
    return torch.cat([row[:count] for row, count in zip(log_probs, frames.tolist(), strict=True)])


def half_of(groups: list[Group], seed: int = 2) -> dict[str, list[int]]:
    """Random units of each group that stay: about half."""
    random = torch.Generator().manual_seed(seed)
    plan = {}
    for i, group in enumerate(groups):
        stay = max(group.minimum, group.units // 2 + i % 2)
        plan[group.name] = sorted(torch.randperm(group.units, generator=random)[:stay].tolist())
    return plan


def check_masked_shrunk_reloaded(
    model: Any, text: Any, groups: list[Group], batch: tuple[Any, Any], count: Callable[[Any], int], folder: Path
) -> None:
    """Masking, shrinking and a way through files give the same frames; `count` counts parameters from a config."""
    plan = half_of(groups)
    masked = copy.deepcopy(model)
    mask(masked, plan)
    small = shrink(model, plan)
    wanted = frames_of(masked, batch)
    assert (wanted - frames_of(model, batch)).abs().max() > 1e-3  # it mattered
    assert torch.allclose(frames_of(small, batch), wanted, atol=1e-5)
    assert count(small.config) == sum(v.numel() for v in small.state_dict().values()) < count(model.config)
    save_checkpoint(folder / "small", small, text)
    again, read = load_checkpoint(folder / "small")
    assert torch.allclose(frames_of(again, batch), wanted, atol=1e-5)
    assert again.config == small.config and read == text
