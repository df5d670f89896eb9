"""The sensitivity map as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from secateur.base.errors import SecateurError
from secateur.prune.sensitivity import Effect, Measured, SensitivityMap, numbers, ordered, read_map, spans, write_map


def effect(delta: float, adjusted: float = 1.0) -> Effect:
    return Effect(delta, delta - 0.01, delta + 0.01, adjusted, adjusted, 20)


SITES = (
    Measured("a", "ffn", "encoder 0", "ffn", 0.5, gone={"encoder.layers.0.ffn": "0-2 9"}, loss=effect(0.2)),
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
