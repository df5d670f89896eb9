"""Models with classes of their own are pruned like those of Keras: masked == shrunk, saved and loaded again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from keras_runs import needs, ran

needs("keras", "tensorflow", "torch")
NAMES = [
    "own_step", "own_step_nested", "dense_by_another_name", "attention_by_another_name", "transformer", "residuals",
    "without_cache", "subclassed", "wrong_configs", "turned_by_position",
    "functions_and_many_axes",
]  # fmt: skip


@pytest.fixture(scope="module", params=["tensorflow", "torch"])
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script printed with one backend."""
    folder = tmp_path_factory.mktemp(f"classes_{request.param}")
    ran("keras_classes_small.py", request.param, folder)
    return dict(json.loads((folder / "classes.json").read_text()))


def test_every_class_was_tried(result: dict[str, Any]) -> None:
    assert sorted(result["classes"]) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_shrunk_model_is_the_masked_one(result: dict[str, Any], name: str) -> None:
    one = result["classes"][name]
    assert one["difference"] < 1e-5 and one["reloaded"] < 1e-5
    assert one["change"] > 1e-2  # what was removed did matter
    before, after = one["parameters"]
    assert after < 0.7 * before
    assert one["class"] and one["untouched"]


def test_inputs_and_outputs_keep_their_names(result: dict[str, Any]) -> None:
    one = result["by_name"]
    assert one["names"] == ["first", "whole"]
    assert max(one["differences"]) < 1e-5 and one["change"] > 1e-2
    assert one["parameters"][1] < 0.8 * one["parameters"][0]


def test_a_task_keeps_its_class_and_what_it_holds(result: dict[str, Any]) -> None:
    one = result["tasks"]
    assert one["classes"] == ["Task"] * 4 and one["backbones"] == ["Shared"] * 4 and one["picks"] == 2
    assert max(one["differences"]) < 1e-5
    masked, *others = one["written"]
    assert others == [masked, masked] and len({*masked[0]}) > 2
    whole, small, again, twice, alone = one["left"]
    assert whole == 1 and small == again and twice < small < 0.8 and alone < 0.8
    assert one["tied"] == [1, 1, 1] and one["momentum"] and one["shapes"] == [[2, 6], [2, 6]]


def test_a_saved_model_whose_class_is_missing_is_a_plain_one(result: dict[str, Any]) -> None:
    one = result["unknown"]
    assert one["units"] == 4 and one["classes"] == ["Unregistered", "Functional"] and one["difference"] == 0
    assert "a plain model instead of one of class 'Unregistered': Could not locate class" in one["warned"]


def test_a_model_keeps_its_own_step_and_is_pruned_again(result: dict[str, Any]) -> None:
    steps = result["steps"]
    assert steps["class"] and steps["own"] == 7.0
    assert steps["hidden"] == 9  # 16 units, a quarter less, and again
    assert steps["reloaded"] == 0.0


def test_a_rule_teaches_what_no_trace_follows(result: dict[str, Any]) -> None:
    taught = result["taught"]
    assert "layer 'scaled/matmul" in taught["before"] and "exclude=['scaled'] leaves" in taught["before"]
    assert taught["units"] == 5 and taught["difference"] < 1e-6
    assert "did you mean 'Dense'?" in taught["unknown"]


def test_what_stops_it_is_said(result: dict[str, Any]) -> None:
    refused = result["refused"]
    assert "the code of 'by_width' computes something else where it has fewer units" in refused["width"]
    assert "exclude=['by_width'] leaves it whole" in refused["width"] and refused["alone"] < 0.7
    assert "model 'unwritten' gives no config to build it again from: Object Unwritten" in refused["unwritten"]
    assert "was not called yet" in refused["never"]
    assert "model 'native' (Native) cannot be followed" in refused["native"] and "mode='mask'" in refused["native"]
    assert not any("\n" in refused[case] for case in ("width", "never", "native"))


def test_what_cannot_be_followed_is_masked(result: dict[str, Any]) -> None:
    assert result["refused"]["zeros"] == [4, 2] and result["refused"]["runs"] == [4, 12, 3]
