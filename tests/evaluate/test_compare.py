"""Comparing two systems, as a library and on the command line, on rows made by the real counting."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.evaluate.compare import compare
from secateur.evaluate.error_rate import count_errors
from secateur.evaluate.result import Result, Row, write_result
from secateur.evaluate.run import summarise
from secateur.evaluate.table import markdown_table, ratio, short

pytest.importorskip("kaldialign")
WORDS = ["turn", "the", "light", "on", "in", "kitchen", "please", "now", "play", "some", "music"]


def system(name: str, error: float, seed: int, speakers: int = 12, **changes: Any) -> Result:
    """A recogniser that mishears each word with the probability `error`; the clips are always the same."""
    said, heard = np.random.default_rng(99), np.random.default_rng(seed)
    rows = []
    for i in range(speakers * 10):
        reference = said.choice(WORDS, said.integers(3, 9)).tolist()
        hypothesis = [word if heard.random() > error else "bad" for word in reference]
        texts = " ".join(reference), " ".join(hypothesis)
        counts = count_errors(*texts)
        rows.append(Row(f"c{i:03}", f"s{i % speakers}", 2.0 + i % 5, *texts, counts, {"age": i % speakers * 5}))
    return summarise(rows, model=name, data="clips", language="en", metric="wer", seconds_compute=12.0, **changes)


def test_better_system_wins() -> None:
    a, b = system("a", 0.3, 1), system("b", 0.1, 2)
    found = compare([a], [b])
    assert found.difference.delta == pytest.approx(b.rate - a.rate)
    assert found.difference.certain and found.difference.b_better > 0.99
    assert found.speakers_better > found.speakers_worse
    assert found.speakers[0].b - found.speakers[0].a <= found.speakers[-1].b - found.speakers[-1].a
    gains = [clip.errors_a - clip.errors_b for clip in found.corrected]
    assert gains == sorted(gains, reverse=True) and min(gains) > 0
    assert all(clip.errors_b > clip.errors_a for clip in found.broken)
    unchanged = sum(x.counts.errors == y.counts.errors for x, y in zip(a.rows, b.rows, strict=True))
    assert len(found.corrected) + len(found.broken) + unchanged == found.utterances == 120


def test_order_of_rows_does_not_matter() -> None:
    a, b = system("a", 0.3, 1), system("b", 0.2, 2)
    assert compare([a], [b]) == compare([a], [replace(b, rows=b.rows[::-1])])


def test_seeds_are_pooled() -> None:
    dense = [system("dense", 0.2, seed) for seed in (1, 2, 3)]
    pruned = [system("pruned", 0.2, seed) for seed in (4, 5)]
    found = compare(dense, pruned)
    assert found.seeds == (3, 2)
    assert found.difference.a == pytest.approx(sum(r.rate for r in dense) / 3)
    assert sum(s.b * s.words for s in found.speakers) == pytest.approx(sum(r.errors for r in pruned) / 2)


def test_what_cannot_be_compared_is_named() -> None:
    a, b = system("a", 0.3, 1), system("b", 0.1, 2)
    with pytest.raises(SecateurError, match="'b' has no rows"):
        compare([a], [replace(b, rows=())])
    with pytest.raises(SecateurError, match=r"1 are in one only, e\.g\. 'c119'"):
        compare([a], [replace(b, rows=b.rows[:-1])])
    with pytest.raises(SecateurError, match="measured in wer, 'b' in cer"):
        compare([a], [replace(b, metric="cer")])
    changed = (replace(b.rows[0], reference="another text"), *b.rows[1:])
    with pytest.raises(SecateurError, match="clip 'c000' has another reference"):
        compare([a], [replace(b, rows=changed)])


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, error, seed in (("a", 0.3, 1), ("b", 0.1, 2)):
        write_result(tmp_path / f"{name}.json", system(name, error, seed))
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert main(["compare", *files, "--json", "--clips", "2"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["difference"]["delta"] < 0 and len(values["corrected"]) == 2
    assert main(["compare", *files]) == 0
    shown = capsys.readouterr().out
    assert "P(B better)" in shown and "excludes zero" in shown and "Speakers: " in shown


def test_command_line_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path / "a.json", system("a", 0.3, 1))
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "missing.json")]) == 2
    assert "missing.json: no such file" in capsys.readouterr().err
    assert main(["compare", "tiny.en", str(tmp_path / "a.json")]) == 2
    assert "give a MANIFEST" in capsys.readouterr().err
    files = [str(tmp_path / "a.json")] * 2
    for words, named in (("m.jsonl", "MANIFEST"), ("--normalise=cased", "--normalise"), ("--beam=3", "--beam")):
        assert main(["compare", *files, words]) == 2
        assert f"{named} has no effect on result files" in capsys.readouterr().err


def test_markdown_table_is_generated_from_results() -> None:
    a = system("a", 0.3, 1, parameters=37_760_640, macs=12_000_000_000, size=75_500_000)
    b = system("b", 0.1, 2, parameters=9_440_160, macs=1_200_000_000, size=18_900_000)
    text = markdown_table([("original", a), ("pruned", b), ("elsewhere", replace(a, data="other"))])
    lines = text.splitlines()
    assert lines[0] == f"**clips**: 120 clips, 12 speakers, {a.words} words"
    assert "| pruned |" in text and "9.44 M (÷ 4.0)" in text and "18.9 MB (÷ 4.0)" in text
    assert f"| {100 * a.rate:.1f} % | {100 * a.interval[0]:.1f} to {100 * a.interval[1]:.1f} |" in text
    first, other = text.split("**other**")
    for part in (first, other):
        assert len({line.count("|") for line in part.splitlines() if line.startswith("|")}) == 1
    assert "elsewhere" in other and "elsewhere" not in first


def test_columns_without_values_are_left_out() -> None:
    assert "parameters" not in markdown_table([("a", system("a", 0.3, 1))])


@pytest.mark.parametrize(
    ("number", "text"), [(999.6, "1.00 k"), (1234, "1.23 k"), (51.0, "51"), (12_345_678, "12.3 M"), (123e9, "123 G")]
)
def test_short_numbers(number: float, text: str) -> None:
    assert short(number) == text


def test_ratios() -> None:
    assert (ratio(10, 40), ratio(40, 10), ratio(None, 1), ratio(3, 3)) == ("÷ 4.0", "× 4.0", "", "")
