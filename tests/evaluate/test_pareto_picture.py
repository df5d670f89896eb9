"""The picture of error against time and size: well-formed, both themes, every recogniser, the front of the best."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("torch")

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SVG = "{http://www.w3.org/2000/svg}"


def row(model: str, clips: str, wer: float, ms: int, megabytes: float | None, ours: bool) -> dict[str, Any]:
    return {"model": model, "clips": clips, "WER": wer, "cpu_ms_per_clip": ms, "MB": megabytes, "ours": ours}


ROWS = [
    row("mine-int8", "in domain", 16.9, 280, 37.0, True), row("peer <int8>", "in domain", 28.0, 900, 78.1, False),
    row("sphinx", "in domain", 60.0, 5000, None, False), row("mine-int8", "retained", 7.8, 560, 37.0, True),
    row("peer <int8>", "retained", 6.3, 900, 78.1, False), row("sphinx", "retained", 30.0, 5000, None, False),
]  # fmt: skip


def test_the_picture_has_every_recogniser_and_both_themes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    from pareto import picture

    text = picture(ROWS)
    root = ElementTree.fromstring(text)
    words = " ".join("".join(one.itertext()) for one in root.iter(f"{SVG}text"))
    for expected in ("1  mine-int8", "2  peer <int8>", "3  sphinx", "in domain", "retained", "MB of the model"):
        assert expected in words
    assert "prefers-color-scheme: dark" in text and "currentColor" in text
    label = root.get("aria-label") or ""
    assert "sphinx, retained: WER 30.0 %, 5000 ms" in label and "None" not in label
    assert picture(ROWS) == text  # the same input gives the same bytes


def test_one_recogniser_alone_is_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    from pareto import picture

    ElementTree.fromstring(picture([row("alone", "in domain", 0.0, 3, None, False)]))
