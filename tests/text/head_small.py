"""What a pinyin head would have heard in a clip, for tests."""

from __future__ import annotations

import numpy as np

from secateur.text.head_evidence import HeadEvidence
from secateur.text.pinyin_units import pinyin_units


def heard(text: str, sure: float = 8.0, seed: int = 0) -> HeadEvidence:
    """A head that hears the sounds of `text`, one unit in every third frame, `sure` nats above noise."""
    units = pinyin_units([text, "糖兰南方"])
    ids = units.encode(text)
    logits = np.random.default_rng(seed).standard_normal((3 * len(ids) + 2, units.outputs)).astype(np.float32)
    logits[:, 0] += sure
    for place, unit in enumerate(ids):
        logits[3 * place + 1, 0] -= sure
        logits[3 * place + 1, unit] += sure
    return HeadEvidence.of(logits - np.log(np.exp(logits).sum(1, keepdims=True)), units)
