"""What tests of reading share."""

from __future__ import annotations

import pytest

from secateur.audio import read as audio_read


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The notes that a reader of recordings prints."""
    lines: list[str] = []
    monkeypatch.setattr(audio_read, "say", lines.append)
    audio_read._shown_notes.clear()
    return lines
