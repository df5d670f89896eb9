"""Pruned Keras models compute what the masked ones compute, for every type of layer, on both backends and between them.

A backend cannot change once Keras is imported: each runs `keras_prune_small.py` in a process of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from keras_runs import needs, ran

needs("keras", "tensorflow", "torch")
HERE = Path(__file__).parent
OTHER = {"tensorflow": "torch", "torch": "tensorflow"}
NAMES = [
    "dense", "dense_over_frames", "conv1d", "conv2d_and_flatten", "depthwise", "depthwise2d", "separable", "transposed",
    "grouped", "low_rank", "stacked_cells", "convolutional_recurrence", "spectral",
    "lstm_masked", "gru_masked", "simple_rnn", "bidirectional_masked", "tokens_masked", "encoder_and_decoder",
    "attention_masked", "attention_across", "inception", "residual", "squeezed", "moved", "nested", "shared",
    "operations", "masks_joined", "grouped_attention", "attention_without_kernels", "cells_and_einsums",
    "flattened_with_channels_first", "reshaped_without_length", "normalised",
]  # fmt: skip

Run = tuple[str, Path, dict[str, Any]]


@pytest.fixture(scope="module", params=["tensorflow", "torch"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The backend, its folder with pruned models, and what happened."""
    folder = tmp_path_factory.mktemp(request.param)
    ran("keras_prune_small.py", request.param, folder)
    return request.param, folder, json.loads((folder / "found.json").read_text())


@pytest.fixture(scope="module")
def reloaded(run: Run) -> dict[str, Any]:
    """What the other backend, without secateur, makes of the saved models."""
    return dict(json.loads(ran("keras_reload.py", OTHER[run[0]], run[1]).strip().splitlines()[-1]))


def test_every_layer_was_tried(run: Run) -> None:
    assert set(run[2]["layers"]) == {*NAMES, *(["channels_first"] if run[0] == "torch" else [])}


@pytest.mark.parametrize("name", NAMES)
def test_the_shrunk_model_is_the_masked_one(run: Run, reloaded: dict[str, Any], name: str) -> None:
    found = run[2]["layers"][name]
    assert found["difference"] < 1e-5
    assert reloaded["found"][name] < 1e-5  # saved, and loaded by the other backend
    assert found["change"] > 1e-3  # what was removed did matter
    before, after = found["parameters"]
    assert after == found["counted"] < 0.85 * before
    assert found["untouched"]  # the model that was given


def test_channels_come_first_too(run: Run) -> None:
    if run[0] != "torch":
        pytest.skip("TensorFlow on a CPU has no convolutions with channels first")
    assert run[2]["layers"]["channels_first"]["difference"] < 1e-5


def test_a_saved_model_needs_keras_alone(reloaded: dict[str, Any]) -> None:
    assert not reloaded["secateur"]
    assert reloaded["found"]["fitted"] < 1e-5


def test_pruning_while_it_learns(run: Run) -> None:
    found = run[2]["fitted"]
    assert found["difference"] < 1e-5
    kept = found["kept"]
    assert kept[:2] == [1.0, 1.0] and kept == sorted(kept, reverse=True)
    assert kept[2] > kept[4] >= kept[5] == kept[-1] <= 0.5  # gradually, then it recovers
    before, after = found["parameters"]
    assert after / before == pytest.approx(kept[-1])
    assert found["accuracy"] > found["chance"] + 0.3
    assert found["regulariser"]  # L1 and L2 are in the small model, and it goes on learning
    assert found["again"] > found["chance"] + 0.2
    assert set(found["files"]) == ({"onnx", "litert"} if run[0] == "tensorflow" else {"onnx"})
    assert max(found["files"].values()) < 1e-5


def test_criteria_look_at_weights_slopes_and_inputs(run: Run) -> None:
    found = run[2]["criteria"]
    assert found["slope"] == pytest.approx(found["rise"], rel=0.02)  # the gradient is the slope of the loss
    assert all(kept == [0, 1, 3, 4, 5] for kept in found["kept"].values())  # the dead unit goes


def test_budgets_are_met_and_names_are_kept_out(run: Run) -> None:
    found = run[2]["budgets"]
    for amount, size in found["sizes"]:
        assert 1 - amount - 0.07 < size <= 1 - amount
    assert found["one"] == [[1, found["stem"][0][2], 4]]  # excluded: all four filters, reading what is left of the stem
    assert found["stem"][0][2] < 8
    assert (found["dense1"], found["rest"]) == (6, 8)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("odd", "(Map) is an operation that units cannot be followed through: exclude=['mirror'] leaves it"),
        ("own", "model 'own': no units may go"),
        ("amount", "from 0 to below 1, found 1.5"),
        ("criterion", "did you mean 'magnitude'?"),
        ("data", "give data=inputs, or an iterable of batches"),
        ("loss", "compile the model first"),
        ("only", "no layer matches 'gru_'"),
        ("tokens", "'out': they are the model's output"),
        ("budget", "cannot be reached"),
        ("quantised", "'int8': it is quantised (int8): prune the model first"),
        ("early", "give the Pruner to fit"),
        ("span", "0 <= begin <= end, both shares"),
    ],
)
def test_what_cannot_be_is_one_clear_line(run: Run, case: str, words: str) -> None:
    message = run[2]["errors"][case]
    assert words in message
    assert "\n" not in message


def test_weights_that_come_back_are_noticed(run: Run) -> None:
    assert "weights that were removed are back" in run[2]["fitted"]["restored"]


def test_an_unknown_layer_is_left_whole_or_masked_around(run: Run) -> None:
    found = run[2]["errors"]
    assert found["around"] == [8, 3, 2]  # what the unknown layer reads is whole, what comes after is not
    assert found["masked"] == [4]
    assert found["front"] <= 0.5  # an unknown layer that only reads the input is in nobody's way


def test_masks_need_no_registered_classes_and_no_permission_for_lambdas(run: Run) -> None:
    found = run[2]["own"]
    assert found["zeros"] == [4, 3]  # units before and after what no rule knows
    assert found["excluded"] == [8, 3] and found["difference"] < 1e-6


def test_the_schedule_goes_by_the_steps_that_fit_takes(run: Run) -> None:
    found = run[2]["schedule"]
    assert found["late"] <= 0.5  # initial_epoch: half of the epochs are not taken
    assert found["several"] <= 0.5
    assert found["averaged"] < 1e-6  # what an optimizer averages stays removed
    assert "training ended at step 6, before the end of pruning (step 70): 0 % of all" in found["short"]


def test_group_lasso_takes_from_whole_units(run: Run) -> None:
    found = run[2]["lasso"]
    least = 5**0.5  # of four inputs and a bias
    assert found["norms"] == pytest.approx([5 - least, 0, 5 - least])
    assert found["empty"][0] < found["empty"][-1] and 0 < found["empty"][-1] < 1
    before, left = found["units"]  # the last press is after the last step: what is empty is zero
    assert before - left == round(found["empty"][-1] * (16 + 9)) > 0
    assert found["back"] == 0 < max(found["steps"])  # momentum brings no unit back, nor do the factors of its norm
    assert found["right"] > 0.9  # of three classes, with 30 % of the parameters gone at once
    assert "strength > 0" in found["none"]


def test_the_readme_says_what_works(tmp_path: Path) -> None:
    """The snippet of the README, as it stands there."""
    section = (HERE.parents[1] / "README.md").read_text(encoding="utf-8").split("\n## Keras\n")[1]
    code = section.split("```python\n")[1].split("```")[0]
    code += "print(model.count_params(), small.count_params(), smaller.count_params())"
    (tmp_path / "page.py").write_text(code)
    (tmp_path / "made").mkdir()
    whole, half, less = map(int, ran(tmp_path / "page.py", "torch", tmp_path / "made").split()[-3:])
    assert 0.4 * whole < half <= 0.5 * whole
    assert 0.7 * half < less <= 0.8 * half
    assert {p.name for p in (tmp_path / "made").iterdir()} == {"small.keras", "small.onnx"}
