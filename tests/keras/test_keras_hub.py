"""Backbones of KerasHub, whose classes make their own graphs, and tasks around them, where KerasHub is installed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from keras_runs import needs, ran

needs("keras", "torch", "keras_hub")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("hub")
    ran("keras_hub_small.py", "torch", folder)
    return dict(json.loads((folder / "hub.json").read_text()))


def test_the_shrunk_backbone_is_the_masked_one(result: dict[str, Any]) -> None:
    found = result["backbones"]
    assert len(found) == 6
    for one in found.values():
        assert one["difference"] < 1e-5 < 1e-2 < one["change"]
        assert one["left"] < 0.95
    for name in ("WhisperBackbone", "MoonshineBackbone"):
        masked, *others = found[name]["written"]
        assert others == [masked, masked] and len({*masked[0]}) > 1


def test_a_task_stays_one_and_generates_what_the_masked_one_does(result: dict[str, Any]) -> None:
    assert len(result["tasks"]) == 4
    for name, one in result["tasks"].items():
        assert one["classes"] == [name, name] and one["left"] < 0.95 and one["difference"] < 1e-5
        assert len(one["written"]) == 2 * (name in ("GPT2CausalLM", "MoonshineAudioToText"))
        assert one["written"][1:] == one["written"][:1] * bool(one["written"])
