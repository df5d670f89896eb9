"""kill -9 at random moments: what is on the disk is old or new, never torn, and what goes on ends the same, bit by bit.

Twenty kills here; `experiments/faults/run.py` makes as many as are asked for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("kaldialign")

from jobs import Zygote
from kills import Campaign


@pytest.mark.parametrize(("job", "kills"), [("train", 6), ("prune", 6), ("export", 6), ("study", 2)])
def test_a_killed_job_goes_on_as_if_nothing_had_happened(
    job: str, kills: int, place: Path, forks: Zygote, tmp_path: Path
) -> None:
    found = Campaign(job, place, tmp_path / job, forks, seed=0, chains=(kills,)).run(kills)
    assert found["failures"] == []
    assert found["survived"] == found["kills"] == kills
