"""The sensitivity map as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import small_whisper

from secateur.base.errors import SecateurError
from secateur.prune.sensitivity_map import (
    Effect,
    Measured,
    SensitivityMap,
    numbers,
    ordered,
    read_map,
    spans,
    unit_scores,
    write_map,
)
from secateur.prune.settings import PruneSettings
from secateur.prune.units import COSTS, GradualPruner


def effect(delta: float, adjusted: float = 1.0) -> Effect:
    return Effect(delta, delta - 0.01, delta + 0.01, adjusted, adjusted, 20)


SITES = (
    Measured("a", "ffn", "encoder 0", "ffn", 0.5, ablated={"encoder.layers.0.ffn": "0-2 9"}, loss=effect(0.2)),
    Measured("b", "head", "encoder 0", "heads", 1.0, loss=effect(0.1), error=effect(0.03, 0.001)),
    Measured("c", "head", "encoder 0", "heads", 1.0, loss=effect(-0.1), error=effect(-0.03, 0.3)),
    Measured("d", "head", "encoder 0", "heads", 1.0, loss=effect(-0.1), error=effect(-0.02, 0.001)),
    Measured("e", "sample_rate", "input", "sample rate", 0.5, change={"sample_rate": 8000.0}, loss=effect(-0.3)),
)


def test_a_map_comes_back_from_its_file(tmp_path: Path) -> None:
    groups = {"encoder.layers.0.ffn": 16}
    found = SensitivityMap("tiny", "set/dev", "en", "wer", 20, 4, 0.3, 1.2, "taylor", groups, SITES)
    write_map(tmp_path / "map.json", found)
    assert read_map(tmp_path) == read_map(tmp_path / "map.json") == found
    assert found.sites[0].removed() == {"encoder.layers.0.ffn": [0, 1, 2, 9]}
    (tmp_path / "other.json").write_text('{"format": "secateur-result-1"}')
    with pytest.raises(SecateurError, match="not a sensitivity map"):
        read_map(tmp_path / "other.json")


def test_certain_help_comes_first_and_certain_harm_last() -> None:
    assert [s.site for s in ordered(SITES)] == ["d", "c", "e", "a", "b"]


@pytest.mark.parametrize("units", [[], [3], [0, 1, 2], [5, 7, 6, 12, 0]])
def test_spans_say_which_units(units: list[int]) -> None:
    assert numbers(spans(units)) == sorted(units)


def test_what_is_no_span_is_said() -> None:
    with pytest.raises(SecateurError, match="expected spans"):
        numbers("1-x")


def small_map(sites: tuple[Measured, ...], groups: dict[str, int]) -> SensitivityMap:
    return SensitivityMap("small", "set/dev", "en", "wer", 20, 4, 0.3, 1.2, "taylor", groups, sites)


def test_units_are_scored_by_what_they_did_alone_or_by_their_share() -> None:
    sites = (
        Measured("f", "ffn", "encoder 0", "ffn", 0.25, ablated={"f": "0 3"}, loss=effect(-0.2)),
        Measured("f", "ffn", "encoder 0", "ffn", 0.5, ablated={"f": "0-3"}, loss=effect(0.4)),
        Measured("h[1]", "head", "encoder 0", "heads", 1.0, ablated={"h": "1"}, loss=effect(-0.1), error=effect(-0.02)),
        Measured("h", "head", "encoder 0", "heads", 0.5, ablated={"h": "0-1"}, loss=effect(0.3)),
    )
    found = small_map(sites, {"f": 8, "h": 3})
    assert unit_scores(found, "f", 8).tolist() == pytest.approx([-0.1, 0.3, 0.3, -0.1, *[0.601] * 4])
    assert unit_scores(found, "h", 3).tolist() == pytest.approx([0.15, -0.1, 0.301])
    with pytest.raises(SecateurError, match="of another model: its 'f' has 8 units, this one 9"):
        unit_scores(found, "f", 9)


def test_what_helps_goes_first_until_the_budget_is_met(tmp_path: Path) -> None:
    model, _ = small_whisper()
    groups = {g.name: g.units for g in model.groups()}
    helpful, harmful = "decoder.layers.1.ffn", "decoder.layers.0.ffn"
    sites = tuple(
        Measured(name, "ffn", "", "ffn", 0.5, ablated={name: f"0-{groups[name] // 2 - 1}"}, loss=effect(delta))
        for name, delta in ((helpful, -0.3), (harmful, 0.3))
    )
    write_map(tmp_path / "map.json", small_map(sites, groups))
    settings = PruneSettings(
        remove=0.02, criterion="sensitivity", map=str(tmp_path / "map.json"), kinds=("ffn",), vocabulary=False
    )
    pruner = GradualPruner(model, settings, COSTS["parameters"](model.config))
    pruner.prune_to(1.0)
    assert pruner.keep == {helpful: list(range(len(pruner.keep[helpful]) * -1 + groups[helpful], groups[helpful]))}
    left = pruner.shrunk().config
    assert COSTS["parameters"](left) <= 0.98 * COSTS["parameters"](model.config)
    with pytest.raises(SecateurError, match=r"set prune\.map"):
        GradualPruner(model, PruneSettings(criterion="sensitivity"), 1e6)
