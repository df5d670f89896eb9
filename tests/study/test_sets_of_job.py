"""Which clips a job trains on, chooses on and is tested on, where no such sets are named."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.data.manifest import Utterance  # noqa: E402
from secateur.study.sets_of_job import job_data  # noqa: E402


def clips(*speakers: str, each: int = 20) -> list[Utterance]:
    return [
        Utterance(f"{speaker}{i}", Path(f"/{speaker}{i}.wav"), 2.0, f"sentence {i} of {speaker}", speaker)
        for speaker in speakers
        for i in range(each)
    ]


@pytest.mark.parametrize("speakers", [("ann",), ("",), ("ann", "bob"), ("ann", "bob", "")])
def test_people_too_few_to_split_can_be_split_by_clip(speakers: tuple[str, ...]) -> None:
    everything = clips(*speakers)
    with pytest.raises(SecateurError, match=r"dev and test cannot be split off by speaker.*--same-speakers splits by"):
        job_data(everything, [], [], [], 20.0, torch.device("cpu"))
    data = job_data(everything, [], [], [], 20.0, torch.device("cpu"), same_speakers=True)
    parts = [data.training, data.dev, data.tests["test"]]
    assert sorted(u.id for part in parts for u in part) == sorted(u.id for u in everything)
    assert [len(part) / len(everything) for part in parts] == pytest.approx([0.75, 0.1, 0.15], abs=0.05)


def test_what_is_named_is_not_split_off() -> None:
    dev = clips("eve", each=3)
    data = job_data(clips("ann"), dev, [], [], 20.0, torch.device("cpu"), same_speakers=True)
    assert data.dev == dev and len(data.tests["test"]) == 3
    with pytest.raises(SecateurError, match=r"^test cannot be split off by speaker, the clips name 1:"):
        job_data(clips("ann"), dev, [], [], 20.0, torch.device("cpu"))


def test_enough_people_are_split_by_person() -> None:
    data = job_data(clips("ann", "bob", "eve", each=4), [], [], [], 20.0, torch.device("cpu"))
    people = [{u.speaker for u in part} for part in (data.training, data.dev, data.tests["test"])]
    assert all(len(some) == 1 for some in people) and set.union(*people) == {"ann", "bob", "eve"}
