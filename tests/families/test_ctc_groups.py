"""What CTC networks declare as prunable: complete, within bounds, and a unit's part of every parameter is its own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from small_ctc import CONFIGS, small_ctc  # noqa: E402

from secateur.models.groups import KINDS, Group  # noqa: E402
from secateur.prune.places import along, unit_sums  # noqa: E402
from secateur.prune.soft.expected import ExpectedCost  # noqa: E402
from secateur.prune.soft.gating import carriers  # noqa: E402
from secateur.prune.units import COSTS  # noqa: E402

WHOLE = {"layer", "branch", "head"}  # units that others are inside of


def named(kind: str) -> tuple[dict[str, Group], dict[str, torch.Tensor]]:
    model = small_ctc(kind)
    return {g.name: g for g in model.groups()}, model.state_dict()


@pytest.mark.parametrize("kind", CONFIGS)
def test_places_are_within_their_parameters_and_apart(kind: str) -> None:
    groups, state = named(kind)
    assert len(groups) == len(small_ctc(kind).groups())  # no name twice
    assert {g.kind for g in groups.values()} <= set(KINDS)
    taken = {}
    for group in groups.values():
        for place in group.places:
            shape = state[place.parameter].shape
            lines = place.width * (group.units if place.unit is None else 1)
            if place.unit is None or place.start is not None:
                assert (place.start or 0) + lines <= shape[place.dim]
                assert place.start is not None or lines == shape[place.dim]
            if group.kind not in WHOLE and place.unit is None:
                line = torch.zeros(shape[place.dim])
                line[(place.start or 0) : (place.start or 0) + lines] = 1
                key = (place.parameter, place.dim)
                taken[key] = taken.get(key, 0) + line
    assert taken and all(line.max() == 1 for line in taken.values())  # two groups never share a row or a column


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_parameter_is_in_a_group(kind: str) -> None:
    groups, state = named(kind)
    covered = {p.parameter for g in groups.values() for p in g.places if g.kind not in ("layer", "branch")}
    # Only what is written to and read from the residual stream, and the output's bias, cannot go by units.
    left = {n for n in state if n not in covered and n != "output.bias" and "norm." not in n and "_norm" not in n}
    allowed = {"conformer.project.bias", "conformer.project.weight", "output.weight", "trunk.conv2.bias",
               "trunk.positions"}  # fmt: skip
    assert all(n in allowed or n.endswith(("out.bias", "down.bias")) for n in left), left


@pytest.mark.parametrize("kind", CONFIGS)
def test_sums_over_units_count_every_value_of_a_place(kind: str) -> None:
    groups, state = named(kind)
    ones = {name: torch.ones_like(value) for name, value in state.items()}
    for group in groups.values():
        for place in group.places:
            marked = torch.zeros(group.units)
            marked[place.unit or 0] = 1
            # `along` leaves 1 where a place says nothing, so values of 2 mark what is this unit's.
            own = (
                along(marked + 1, place, state[place.parameter].shape).expand(state[place.parameter].shape) == 2
            ).sum()
            if place.unit is None and place.start is None:
                assert own == state[place.parameter].numel() // group.units
            assert unit_sums(group, ones, [place])[place.unit or 0] == own


@pytest.mark.parametrize("kind", CONFIGS)
def test_gates_are_carried_by_who_reads(kind: str) -> None:
    groups, _ = named(kind)
    for group in groups.values():
        found = carriers(group)
        assert found
        if group.kind in ("conv", "unit", "ffn", "branch"):
            assert all(place.reads for place in found)


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_expected_cost_of_certain_choices_is_the_cost(kind: str) -> None:
    model = small_ctc(kind)
    groups = [g for g in model.groups() if g.kind not in ("layer", "head", "query_key", "value")]
    shapes = {n: t.shape for n, t in model.state_dict().items()}
    expected = ExpectedCost(model.config, groups, shapes, COSTS["parameters"], COSTS["parameters"])
    torch.manual_seed(0)
    chances, keep = [], {}
    for group in groups:
        stays = torch.rand(group.units) < 0.6
        stays[0] = True
        chances.append(stays.float())
        keep[group.name] = stays.nonzero().flatten().tolist()
    assert float(expected(torch.cat(chances))) == pytest.approx(COSTS["parameters"](model.config.shrunk(keep)))
