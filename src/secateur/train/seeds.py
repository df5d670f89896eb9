"""Seeds by purpose and step: a run resumes at any step, on any number of processes, without stored generator states."""

from __future__ import annotations

import numpy as np
import torch

SHARED, DROPOUT, AUGMENT, AFTER, SPEED = range(5)  # purposes of draws


def seed_for(purpose: int, seed: int, step: int, rank: int = 0, part: int = 0) -> int:
    """A 64-bit seed for one purpose, optimiser step, process and micro-batch."""
    return int(np.random.SeedSequence((purpose, seed, step, rank, part)).generate_state(1, np.uint64)[0])


def seed_torch(purpose: int, seed: int, step: int, rank: int = 0, part: int = 0) -> None:
    """Seed torch's global generators (CPU and GPUs), which dropout and callbacks draw from."""
    torch.manual_seed(seed_for(purpose, seed, step, rank, part))
