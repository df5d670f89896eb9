"""A sensitivity map for people: its order, its grid, and its section in a run's report."""

from __future__ import annotations

from pathlib import Path

from secateur.evaluate.error_rate import Counts
from secateur.evaluate.result import Row, write_result
from secateur.evaluate.run import summarise
from secateur.prune.sensitivity_map import Effect, Measured, SensitivityMap, ordered, write_map
from secateur.sensitivity.page import cells, grid, headline
from secateur.study.report import render
from secateur.study.run_folder import collect


def effect(delta: float, adjusted: float = 1.0) -> Effect:
    return Effect(delta, delta - 0.01, delta + 0.01, adjusted, adjusted, 20)


def site(name: str, layer: str, part: str, amount: float, loss: float, error: Effect | None = None) -> Measured:
    return Measured(name, "head", layer, part, amount, loss=effect(loss), error=error)


FOUND = SensitivityMap(
    "tiny", "set/dev", "en", "wer", 20, 4, 0.3, 1.2, "taylor", {},
    ordered((
        site("decoder.layers.0.heads[1]", "decoder 0", "one head", 1.0, 0.3, effect(0.02, 0.01)),
        site("decoder.layers.0.heads[0]", "decoder 0", "one head", 1.0, -0.2, effect(-0.02, 0.01)),
        site("encoder.layers.10.ffn", "encoder 10", "ffn", 0.25, 0.1),
        site("encoder.layers.10.ffn", "encoder 10", "ffn", 0.5, 0.7),
        site("encoder.layers.2.ffn", "encoder 2", "ffn", 0.5, 0.6),
        Measured("sample_rate", "sample_rate", "input", "sample rate", 0.5, change={"sample_rate": 8000.0},
                 loss=effect(0.05), error=effect(-0.001)),
    )),
)  # fmt: skip


def test_each_cell_of_the_grid_is_the_most_helpful_of_the_largest() -> None:
    rows, columns, chosen = grid(FOUND)
    assert rows == ["input", "encoder 2", "encoder 10", "decoder 0"]
    assert columns[0] == "ffn" and len(columns) == 3
    assert chosen["decoder 0", "one head"].site.endswith("[0]")
    assert chosen["encoder 10", "ffn"].amount == 0.5


def test_the_first_line_says_what_helps_and_how_sure_it_is() -> None:
    assert "6 removals tried, 3 decoded: 2 lower the error, 1 of them certainly" in headline(FOUND)
    assert cells(FOUND.sites[0])[:4] == ["decoder.layers.0.heads[0]", "all", "−2.0 (−3.0 to −1.0)", "0.010"]
    assert cells(FOUND.sites[1])[1] == "8000 Hz"
    assert cells(FOUND.sites[2])[1:4] == ["25 %", "not decoded", ""]


def test_a_run_that_holds_a_map_shows_it_in_its_report(tmp_path: Path) -> None:
    rows = [Row(str(i), f"s{i}", 2.0, "a b", "a", Counts(0, 1, 0, 2)) for i in range(4)]
    result = summarise(rows, model="tiny", data="set/dev", language="en", metric="wer", seconds_compute=1.0)
    write_result(tmp_path / "results" / "original.json", result)
    assert "What matters" not in render(collect(tmp_path))
    write_map(tmp_path / "map" / "map.json", FOUND)
    page = render(collect(tmp_path))
    assert "What matters" in page and 'title="encoder.layers.10.ffn@0.5">+0.70</td>' in page
