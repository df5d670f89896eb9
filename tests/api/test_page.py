"""The pages of settings, commands and formats are what the classes say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))


def test_the_pages_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    import make_settings

    assert make_settings.main(["--check"]) == 0, capsys.readouterr().err


def test_every_command_and_format_has_a_table() -> None:
    from secateur.cli import COMMANDS

    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for name in set(COMMANDS) - {"data", "text", "models"} | {"data prepare", "models soup", "text pinyin"}:
        assert f"\n## {name}\n" in page
    assert "| `SOURCE` | *needed* |" in page and "Options: [settings](settings.md#adapt)." in page
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    for line in (
        "| `duration` | number | *needed* | s |",
        "reference, hypothesis",
        "### WhisperConfig",
        "### Contents",
    ):
        assert line in page


def test_every_job_and_part_has_a_table() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for title in ("adapt", "transcribe", "TrainSettings", "PruneSettings", "DecodingOptions", "StudyArm", "Limits"):
        assert f"\n## {title}\n" in page
    assert "| `remove` | `0.3` | share at least 0 and below 1 |" in page
    assert "| `out` | *needed* |" in page
