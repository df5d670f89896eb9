"""Single weights, blocks and N:M are masked in `fit` and in loops of one's own; criteria read data of every form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from keras_runs import needs, ran

needs("keras", "tensorflow", "torch")


@pytest.fixture(scope="module", params=["tensorflow", "torch"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    ran("keras_masks_small.py", request.param, folder)
    return dict(json.loads((folder / "masks.json").read_text()))


def test_patterns_remove_the_least_weights_of_every_kernel(found: dict[str, Any]) -> None:
    once = found["at_once"]
    assert all(share == pytest.approx(0.5, abs=0.01) for share in once["unstructured"].values())
    assert all(share == pytest.approx(0.5, abs=0.18) for share in once["4x4"].values())  # whole blocks of small kernels
    assert set(once["blocks"]) <= {0, 12}  # all of a block or nothing
    assert max(once["2:4 groups"]) == min(once["2:4 groups"]) == 2
    assert max(once["1:4 groups"]) == min(once["1:4 groups"]) == 1
    assert all(once[f"{pattern} size"] for pattern in ("unstructured", "4x4", "2:4", "1:4"))
    assert once["least"][0] <= once["least"][1]
    assert all(share == 0.5 for share in once["criteria"].values())


def test_masks_hold_while_fit_runs_and_nothing_comes_back(found: dict[str, Any]) -> None:
    for pattern, one in found["fitting"].items():
        zeros = one["zeros"]
        assert zeros[:3] == [0.0] * 3 and zeros == sorted(zeros), pattern
        assert zeros[11] == zeros[-1] == pytest.approx(0.47 if ":" in pattern else 0.6, abs=0.01)
        assert 0 < zeros[4] < zeros[8] < zeros[-1]
        assert one["back"] == 0 and one["difference"] == 0
        assert one["kept"] == sorted(one["kept"], reverse=True)
        assert set(one["again"]) == {zeros[-1]}  # a model of zeros learns on with Pruner("zeros")
        assert one["freed"] < 0.01  # and without it they come back: the mask is what holds them


def test_schedules_have_powers_spans_in_steps_and_layers_of_their_own(found: dict[str, Any]) -> None:
    one = found["schedules"]
    for power in (1, 5):
        expected = [1 - (1 - step / 10) ** power for step in range(1, 11)]
        assert one[f"power {power}"] == pytest.approx(expected, abs=0.03)
    convolution, hidden = zip(*one["widths"], strict=True)
    assert [width == 4 for width in convolution] == [False] * 3 + [True] * 9
    assert hidden[5] == 99 and hidden[8:] == (6,) * 4
    assert one["small"] == [4, 6] and one["difference"] < 1e-5


def test_a_loop_of_ones_own_prunes_step_by_step(found: dict[str, Any]) -> None:
    units, weights = found["by_hand"]["units"], found["by_hand"]["weights"]
    assert units["done"] and weights["done"]
    assert max(units["difference"], weights["difference"]) < 1e-5
    assert units["left"] < 0.51 and weights["left"] == 1
    assert weights["zeros"] == pytest.approx(0.5, abs=0.01)


def test_data_of_every_form_is_the_same_data(found: dict[str, Any]) -> None:
    forms, inputs, ragged = (found["iterables"][name] for name in ("forms", "inputs", "ragged"))
    assert len(forms) == 8 and len(inputs) == 4
    for kept in forms.values():
        assert kept == pytest.approx(forms["arrays"], abs=1e-5)
    for kept in inputs.values():
        assert kept == pytest.approx(inputs["array"], abs=1e-5)
    assert inputs["array"] != forms["arrays"]
    assert ragged["list"] == pytest.approx(ragged["padded"], abs=1e-5)
    assert ragged["tensor"] == pytest.approx(ragged["whole"], abs=1e-5)
    assert ragged["batches"] == pytest.approx(ragged["whole"], abs=1e-5)


@pytest.mark.parametrize("form", ["generator", "pydataset", "dataset"])
def test_data_without_an_end_is_looked_at_in_part_and_that_is_said(found: dict[str, Any], form: str) -> None:
    assert "first 64 batches" in found["iterables"]["endless"][form]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("none", "give targets in data beside the inputs"),
        ("used up", "data has no batches"),
        ("number", "int gives no batches"),
        ("parts", "found 4 parts"),
        ("lengths", "differ in more than their length"),
        ("pattern", "blocks of inputs x outputs such as 4x4"),
        ("nm", "0 < N < M"),
        ("amount", "pattern 2:4 removes 0.5 of every kernel"),
        ("signed", "'signed' does not score single weights"),
        ("round", "round_to is of whole units"),
        ("only", "no layer with a kernel matches 'recurent' (did you mean 'recurrent'?)"),
        ("power", "of the schedules cubic and polynomial"),
        ("span", "0 <= begin <= end"),
        ("layers", "schedules by layer need amounts by layer"),
        ("step", "start(model, steps=...)"),
        ("steps", "begin and end in steps"),
        ("kind", "did you mean 'cubic'?"),
        ("wanda", "knows no inputs of depthwise/kernel"),
    ],
)
def test_what_cannot_be_is_one_clear_line(found: dict[str, Any], case: str, words: str) -> None:
    message = (found["iterables"]["errors"] | found["errors"])[case]
    assert words in message
    assert "\n" not in message
