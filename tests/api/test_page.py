"""The page of settings is what the classes say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_settings_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "make_settings.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_job_and_part_has_a_table() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for title in ("adapt", "transcribe", "TrainSettings", "PruneSettings", "DecodingOptions", "StudyArm", "Limits"):
        assert f"\n## {title}\n" in page
    assert "| `remove` | `0.3` | share at least 0 and below 1 |" in page
    assert "| `out` | *needed* |" in page
