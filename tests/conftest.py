"""Where tests find real speech and real weights; what is absent is skipped by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def speech_folder() -> Path | None:
    """`SECATEUR_DATA`, or ../shared/data beside the checkout, or None."""
    for place in (os.environ.get("SECATEUR_DATA"), ROOT.parent / "shared" / "data"):
        if place and Path(place).is_dir():
            return Path(place)
    return None


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of real speech sets (librispeech-mini, speechocean762, ...)."""
    folder = speech_folder()
    if folder is None:
        pytest.skip("no real speech: set SECATEUR_DATA or put the sets in ../shared/data")
    return folder
