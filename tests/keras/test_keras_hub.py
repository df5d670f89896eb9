"""Backbones of KerasHub, whose classes make their own graphs, are pruned where KerasHub is installed."""

from __future__ import annotations

import json
from pathlib import Path

from keras_runs import needs, ran

needs("keras", "torch", "keras_hub")


def test_the_shrunk_backbone_is_the_masked_one(tmp_path: Path) -> None:
    ran("keras_hub_small.py", "torch", tmp_path)
    found = json.loads((tmp_path / "hub.json").read_text())
    assert len(found) == 6
    for one in found.values():
        assert one["difference"] < 1e-5 < 1e-2 < one["change"]
        assert one["left"] < 0.95
    for name in ("WhisperBackbone", "MoonshineBackbone"):
        masked, *others = found[name]["written"]
        assert others == [masked, masked] and len({*masked[0]}) > 1
