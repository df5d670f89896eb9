"""The data of the demo: whatever real speech there is, little enough for two cores and a few minutes."""

from __future__ import annotations

from pathlib import Path

from ..base.device import pick_device
from ..base.progress import say
from ..data.demo import demo_speech
from ..data.job import JobData
from ..data.manifest import limit, read_manifest
from .sets_of_job import job_data

TEST_CLIPS = 100
DEV_CLIPS = 24
TRAIN_HOURS = 1.0


def demo_data(longest: float, device: str) -> tuple[JobData, list[Path]]:
    """An hour or less to train on, a test set that two cores can decode three times; and the manifests they are from.

    Raises:
        SecateurError: no such device, or no clip of at most `longest` seconds.
    """
    speech = demo_speech()
    say(f"speech: {speech.name}. {speech.note}")
    data = job_data(
        limit(read_manifest(speech.train), hours=TRAIN_HOURS), limit(read_manifest(speech.dev), count=DEV_CLIPS),
        limit(read_manifest(speech.test), count=TEST_CLIPS), [], longest, pick_device(device),
    )  # fmt: skip
    return data, [speech.train, speech.dev, speech.test]
