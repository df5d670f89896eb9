"""Settings and files of a job that contradict each other, or would have no effect."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.options import changed_fields
from .data import DataSettings

TRAINED_ON = ("train", "rehearsal", "nonspeech")
SETS = (*TRAINED_ON, "dev", "test", "rehearsal_dev")


def check_effect(settings: DataSettings) -> None:
    """Refuse settings that were changed and have no effect, since another is off or a set is not given.

    Studies are not checked: what their arms share may be for some of them.

    Raises:
        SecateurError: the first such setting, and what it goes with.
    """
    for name in ("training", "prune"):
        for setting, needed in without_effect(getattr(settings, name, None), name):
            raise SecateurError(f"{setting} has no effect without {needed}: set both, or neither")
    augment = getattr(getattr(settings, "training", None), "augment", None)
    if augment is not None and not settings.noise:
        for name in (one.name for one in changed_fields(augment)):
            if name in ("noise_chance", "snr_db") and getattr(augment, name) != 0:
                raise SecateurError(f"training.augment.{name} has no effect without --noise: name recordings of noise")
    prune: Any = getattr(settings, "prune", None)
    share_too = prune is not None and "remove" in {one.name for one in changed_fields(prune)}
    if share_too and prune.target and prune.remove is not None:
        raise SecateurError("prune.target and prune.remove both say how much goes: leave out one of them")


def without_effect(settings: Any, where: str) -> Iterator[tuple[str, str]]:
    """Changed settings whose counterpart (`goes_with` of their option) is off, each with that counterpart."""
    if not dataclasses.is_dataclass(settings):
        return
    changed = {one.name for one in changed_fields(settings)}
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        other = one.metadata.get("goes_with", "")
        if other and one.name in changed and getattr(settings, other) in (None, 0, "", (), "none"):
            yield f"{where}.{one.name}", f"{where}.{other}"
        yield from without_effect(value, f"{where}.{one.name}")


def check_sets(settings: DataSettings) -> None:
    """Refuse a file that is named twice: clips would be trained on twice, or judged on what was trained on.

    Raises:
        SecateurError: the file and the options.
    """
    named: dict[Path, str] = {}
    for field in SETS:  # those that are trained on first; what two judging sets share is for `check_speakers`
        option, paths = "--" + field.replace("_", "-"), getattr(settings, field)
        for path in paths:
            if [p.absolute() for p in paths].count(path.absolute()) > 1:
                raise SecateurError(f"{path} is twice in {option}: every clip belongs to one set, once")
            if path.absolute() in named:
                raise SecateurError(
                    f"{path} is both {named[path.absolute()]} and {option}: every clip belongs to one set, once"
                )
        if field in TRAINED_ON:
            named |= {path.absolute(): option for path in paths}
