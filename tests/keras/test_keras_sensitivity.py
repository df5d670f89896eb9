"""Maps of a Keras model are what masking by hand finds, the same on both backends, and prune by what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from keras_runs import needs, ran

needs("keras", "tensorflow", "torch", "kaldialign")


@pytest.fixture(scope="module", params=["tensorflow", "torch"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    ran("keras_sensitivity_small.py", request.param, folder)
    return dict(json.loads((folder / "found.json").read_text()))


def test_every_site_changes_the_loss_as_masking_by_hand_does(found: dict[str, Any]) -> None:
    assert found["untouched"]
    assert found["loss"][0] == pytest.approx(found["loss"][1], abs=1e-5)
    assert len(found["hand"]) > 2
    for name, change in found["hand"].items():
        assert found["sites"][name][5] == pytest.approx(change, abs=1e-5), name


def test_words_of_strings_are_counted(found: dict[str, Any]) -> None:
    from secateur.evaluate.error_rate import count_errors, total

    counts = total(count_errors(text, heard) for text, heard in zip(found["texts"], found["heard"], strict=True))
    assert found["error"] == pytest.approx(counts.rate) and counts.reference == found["words"]


def test_sites_are_named_for_people_and_say_what_goes_with_them(found: dict[str, Any]) -> None:
    sites = found["sites"]
    assert sites["block_3@1"][:3] == ["branch", "block", "whole 3"]
    assert sites["hidden@1"][:3] == ["layer", "hidden", "whole units"]
    assert sites["input[0]@1"][:3] == ["input", "input", "one feature"]
    kernel, frames = 3 * 6 * 6, 12
    parameters = 6 * 6 + 6 + kernel + 6 + 12 * 8 + 8 + 8 * 3 + 3
    macs = frames * (6 * 6 + kernel) + 12 * 8 + 8 * 3
    assert sites["block_3@1"][3] == pytest.approx((kernel + 6 + 6 * 8) / parameters, abs=1e-6)
    assert sites["block_3@1"][4] == pytest.approx((frames * kernel + 6 * 8) / macs, abs=1e-6)
    # Features that say which word it is matter; the others do not.
    assert sites["heard@1"][6] > 0.3 > 0.1 > sites["unheard@1"][6]
    assert found["files"] == ["heatmap.png", "map.json", "report.html", "table.md"]


def test_the_command_measures_a_saved_model(found: dict[str, Any]) -> None:
    assert found["code"] == 0
    assert {name.split("@")[0] for name in found["again"]} == {"block_1", "block_3", "hidden"}
    for name in ("block_1@1", "block_3@1", "hidden@1"):
        assert found["again"][name] == pytest.approx(found["sites"][name][5], abs=1e-5)


def test_what_harms_least_when_it_goes_is_pruned_first(found: dict[str, Any]) -> None:
    assert found["left"] == [unit for unit in range(6) if unit != found["lowest"]]
    assert found["smaller"] < 1
    assert "needs measured=..." in found["message"]


def test_the_doctor_shows_a_saved_model(found: dict[str, Any]) -> None:
    lines = found["doctor"].splitlines()
    assert found["codes"] == [0, 2, 2, 0] and found["by"] == "magnitude"  # of texts alone there is no loss
    assert "small: family Keras on" in lines[0]
    groups = [line.split()[0] for line in lines if "units (" in line]
    assert groups == ["block_1", "block_3", "hidden"]
    assert any("has softmax over them" in line for line in lines)
    assert found["tied"] == [8 * 6 + 6 + 6 * 6 + 6 + 6 * 2]  # each value once
