"""What tests of killed and starved jobs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jobs import Zygote


@pytest.fixture(scope="module")
def place(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, settings and models for every job."""
    from jobs import prepare

    folder = tmp_path_factory.mktemp("faults")
    prepare(folder, speech, arms=1)
    return folder


@pytest.fixture(scope="session")
def forks() -> Iterator[Zygote]:
    """A process that has imported everything and forks for each command."""
    from jobs import zygote

    with zygote() as running:
        yield running
