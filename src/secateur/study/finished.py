"""Whether a run of a study is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .arm import finished


def complete(folder: Path) -> dict[str, Any] | None:
    """The summary of a run that is done, tests included, or None."""
    summary = finished(folder)
    return summary if summary is not None and summary.get("complete") else None
