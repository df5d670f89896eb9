"""Criteria, masks and budgets say the same on numpy arrays as on torch tensors."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from secateur.models.groups import Group, Place  # noqa: E402
from secateur.prune.budget import by_amounts, partial_plan  # noqa: E402
from secateur.prune.importance import CRITERIA, Evidence  # noqa: E402
from secateur.prune.places import parameter_masks  # noqa: E402
from secateur.prune.sensitivity_map import Effect, Measured, SensitivityMap  # noqa: E402

GROUP = Group(
    "layer", "unit", 6,
    (
        Place("a", 1), Place("b", 0, width=2, reads=True), Place("c", 1, start=3),
        *(Place("d", 0, unit=u, start=2 * u + 1) for u in range(6)),
    ),
    blocks=2,
)  # fmt: skip
RANDOM = np.random.default_rng(0)
SHAPES = {"a": (3, 6), "b": (12, 2), "c": (2, 12), "d": (12, 4)}
WEIGHTS = {name: RANDOM.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
OTHER = RANDOM.random(6).astype(np.float32)

MAP = SensitivityMap(
    "", "", "en", "wer", 1, 1, 0.1, 1.0, "taylor", {"layer": 6},
    tuple(
        Measured(f"layer[{u}]", "unit", "", "", 1.0, {"layer": str(u)}, loss=Effect(float(x), 0.0, 1.0, 1.0, 1.0, 1))
        for u, x in enumerate(OTHER)
    ),
)  # fmt: skip


def evidence(tensors: bool) -> Evidence:
    def made(x: np.ndarray) -> object:
        return torch.from_numpy(x) if tensors else x

    return Evidence(
        {n: made(w) for n, w in WEIGHTS.items()}, taylor={"layer": made(OTHER)}, signed={"layer": made(OTHER)},
        inputs={"b": made(np.arange(12, dtype=np.float32))}, seed=4, map=MAP,
    )  # fmt: skip


@pytest.mark.parametrize("name", CRITERIA)
def test_a_criterion_gives_the_same_scores(name: str) -> None:
    found, tensors = CRITERIA[name](GROUP, evidence(False)), CRITERIA[name](GROUP, evidence(True))
    assert isinstance(found, np.ndarray) and isinstance(tensors, torch.Tensor)
    assert found.shape == (6,) and len(set(found.tolist())) == 6
    np.testing.assert_allclose(found, tensors.numpy(), rtol=1e-6)
    plan = by_amounts([GROUP], {"layer": found}, {"layer": 0.67})
    assert plan == by_amounts([GROUP], {"layer": tensors}, {"layer": 0.67})
    assert len(plan["layer"]) == 2
    half = partial_plan([GROUP], {"layer": found}, plan, 0.5)
    assert half == partial_plan([GROUP], {"layer": tensors}, plan, 0.5)
    assert set(plan["layer"]) < set(half["layer"])


def test_masks_zero_the_same_places() -> None:
    kept = np.array([1, 0, 1, 1, 1, 0], bool)
    masks = parameter_masks([GROUP], {"layer": kept}, SHAPES)
    tensors = parameter_masks([GROUP], {"layer": torch.from_numpy(kept)}, SHAPES)
    assert masks.keys() == tensors.keys() == SHAPES.keys()
    for name, mask in masks.items():
        np.testing.assert_array_equal(mask, tensors[name].numpy())
    assert masks["d"].ravel().tolist() == [1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0]


def test_random_scores_differ_between_layers_of_the_same_letters() -> None:
    one, two = (CRITERIA["random"](Group(name, "unit", 6, ()), evidence(False)) for name in ("ab", "ba"))
    assert not np.allclose(one, two)
