"""How much goes: what is zero already, exact shares, steps of a size; and training goes on with what is left."""

from __future__ import annotations

import json
from typing import Any

import pytest
from keras_runs import needs, ran

needs("keras", "tensorflow", "torch")


@pytest.fixture(scope="module", params=["tensorflow", "torch"])
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script wrote with one backend."""
    folder = tmp_path_factory.mktemp(f"amounts_{request.param}")
    ran("keras_amounts_small.py", request.param, folder)
    return dict(json.loads((folder / "amounts.json").read_text()))


def test_what_is_zero_is_deleted_and_nothing_changes(result: dict[str, Any]) -> None:
    zeros = result["zeros"]
    # Two convolutions are zero and one is normalised to what is rectified to zero, three rectified ones and one with a
    # negative bias; those that are rectified to another constant stay, as a sigmoid's zero, which is one half.
    assert zeros["units"] == [5, 9, 5]
    assert max(zeros["difference"]) < 1e-6
    assert zeros["kept"] == [0, 1, 3, 4, 5] and zeros["width"] == 5 and zeros["narrow"] < 1e-6
    assert zeros["masked"] == 4  # what masks zeroed


def test_small_weights_count_as_zero_below_a_threshold(result: dict[str, Any]) -> None:
    assert (result["zeros"]["strict"], result["zeros"]["threshold"]) == (9, 5)
    assert "did you mean 'zeros'?" in result["zeros"]["unknown"]
    assert "threshold >= 0" in result["zeros"]["negative"]


def test_a_share_is_met_or_a_word_is_said(result: dict[str, Any]) -> None:
    amounts = result["amounts"]
    for asked, got in amounts["exact"]:
        assert asked <= got < asked + 0.01
    assert not amounts["words"]
    assert "amount 0.1 was asked, 0." in amounts["coarse"]


def test_units_come_in_steps_and_budgets_count_operations(result: dict[str, Any]) -> None:
    assert all(units % 8 == 0 for units in result["amounts"]["rounded"])
    assert 0.4 <= result["amounts"]["share"] < 0.6  # of 0.4 asked
    assert sum(result["amounts"]["macs"]) < 91
    assert "did you mean 'macs'?" in result["amounts"]["budget"]


@pytest.mark.parametrize("result", ["torch"], indirect=True)
def test_what_cannot_be_is_one_line_before_any_work(result: dict[str, Any]) -> None:
    expected = {
        "forms": "the same",
        "targets": "12 examples of inputs, but 7 targets", "second": "9 examples of inputs, but 8 targets",
        "name": "no input 'pich' (did you mean 'pitch'?)", "swapped": "input 'pitch' takes the shape (batch, 4)",
        "shape": "takes the shape (batch, ", "nan": "not finite", "weights": "not finite",
        "batch": "at least 1, found -3", "protect": "0 to 1, found 1.5", "no number": "0 to 1, found nan",
        "model": "a Keras model is needed, found list", "threshold": "has no effect without",
        "zeros": "'random' has no effect", "empty": "has no effect",
        "data": "data has no effect with criterion 'magnitude'", "random": "data has no effect with criterion 'random'",
        "sparse": "keras_amounts_small.py", "read": "", "map": "measured has no effect with criterion 'magnitude'",
        "rows": "batch_size has no effect without data", "most": "protect has no effect with an amount by layer",
        "multiple": "round_to has no effect with amount='zeros'", "macs": "budget has no effect",
        "most weights": "protect is of whole units", "power": "give it as Schedule(power=...)",
        "span": "end has no effect with amount='zeros'",
    }  # fmt: skip
    found = result["refused"]
    assert found.keys() == expected.keys()
    assert not {name: found[name] for name, words in expected.items() if words not in found[name]}
    assert "data" in found["sparse"] and "data" not in found["read"]


def test_training_goes_on_with_the_moments_that_are_left(result: dict[str, Any]) -> None:
    on = result["goes_on"]
    assert on["compiled"] and on["steps"] == 3
    assert on["moments"] and max(on["moments"]) == 0 < on["largest"]
    assert on["metrics"] == ["loss", "mae"]


def test_what_is_removed_never_comes_back(result: dict[str, Any]) -> None:
    gradually = result["gradually"]
    assert gradually["back"] == 0 and gradually["events"] > 10


def test_deviations_are_pruned_after_training_and_while_it_lasts(result: dict[str, Any]) -> None:
    gradually = result["gradually"]
    assert gradually["pooled"] < 1e-5
    assert gradually["after"] == gradually["during"] == 4 and gradually["finite"]
    assert gradually["learned"] < 1e-5  # masked where it is read only


def test_what_stays_takes_over_from_what_goes(result: dict[str, Any]) -> None:
    one = result["refits"]
    assert one["True"] < 0.7 * one["False"]  # on inputs that it was not refitted to
    assert max(one["True masked"], one["False masked"]) < 1e-5
    assert one["untouched"] and "give data=inputs" in one["none"]
    assert one["units"] == one["learned"] == 3 and one["alike"] < 0.05


def test_a_budget_in_measured_time_says_what_it_cannot_be(result: dict[str, Any]) -> None:
    one = result["timed"]
    for asked, (reported, saved, less, word) in one["met"].items():
        assert reported == pytest.approx(saved) and saved >= float(asked) > less
        assert (f"{saved:.3f} of the latency goes" in word) == (saved - float(asked) > 0.01)
    assert "the largest plan that was measured saves 0.00" in one["constant"]
    assert "of the latency cannot be reached" in one["far"]
    assert "one share above 0" in one["layers"] and "then fit" in one["fit"]
