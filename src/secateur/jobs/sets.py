"""The sets of a job from manifests: split by speaker when only one is given, long clips left out, prompts unseen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ..audio.augment import NoiseBank
from ..base.errors import SecateurError
from ..base.progress import say
from ..data.manifest import Utterance, read_manifest
from ..data.split import split_by_speaker, without_texts_of
from .arm import JobData


def read_all(manifests: Sequence[Path]) -> list[Utterance]:
    """The clips of several manifests."""
    return [u for path in manifests for u in read_manifest(path)]


def read_job(
    learn: Sequence[Path], dev: Sequence[Path], test: Sequence[Path], retain: Sequence[Path], noise: Sequence[Path],
    longest: float, device: str,
) -> JobData:  # fmt: skip
    """The sets of a job from its manifests; see `job_data`."""
    return job_data(
        read_all(learn), read_all(dev), read_all(test), read_all(retain), longest, pick_device(device), noise
    )


def job_data(
    learn: Sequence[Utterance], dev: Sequence[Utterance], test: Sequence[Utterance], retain: Sequence[Utterance],
    longest: float, device: torch.device, noise: Sequence[Path] = (),
) -> JobData:  # fmt: skip
    """Ready sets: without dev or test, they are split off `learn` by speaker; trained-on texts leave the test.

    Raises:
        SecateurError: nothing left to learn from, or too few speakers to split.
    """
    train, development, tests = list(learn), list(dev), list(test)
    if not development or not tests:
        missing = {"dev": 0.1} if tests else {"test": 0.15} if development else {"dev": 0.1, "test": 0.15}
        parts = split_by_speaker(train, {"train": 1 - sum(missing.values()), **missing})
        train = parts["train"]
        development, tests = parts.get("dev", development), parts.get("test", tests)
        say(f"split by speaker: {len(train)} clips to learn from, {len(development)} dev, {len(tests)} test")
    kept, keep_also = ([u for u in clips if u.duration <= longest] for clips in (train, retain))
    dropped = len(train) + len(retain) - len(kept) - len(keep_also)
    if dropped:
        say(f"{dropped} clips longer than {longest:g} s are left out of training")
    if not kept:
        raise SecateurError("nothing to learn from: every clip is longer than --longest")
    unseen = without_texts_of(tests, [*kept, *keep_also])
    if len(unseen) < len(tests):
        say(f"{len(tests) - len(unseen)} test clips whose text is trained on are left out")
    if not unseen:
        raise SecateurError("no test clip is left: all their texts are in the training set")
    bank = NoiseBank.read(noise, 16000, device) if noise else None
    return JobData(
        learn=kept, dev=development, tests={"test": unseen}, retain=keep_also, device=device, noise=bank
    )


def pick_device(name: str) -> torch.device:
    """`auto` is the first GPU when there is one.

    Raises:
        SecateurError: a GPU was asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise SecateurError("no GPU was found here: use --device cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SecateurError(f"no device '{name}': use auto, cpu or cuda") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SecateurError(f"no GPU {device.index}: there are {torch.cuda.device_count()} here, counted from 0")
    return device
