"""Settings and files of a job that contradict each other, or would have no effect; texts in several letter cases."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import SecateurError
from ..base.options import changed_fields
from ..data.summary import casing
from .data import DataSettings, Work

if TYPE_CHECKING:
    from ..models.family import Config
    from ..prune.settings import PruneSettings

WAYS = {"upper": "upper case only", "lower": "lower case only", "mixed": "upper and lower case"}


def notes_on_casing(sets: Mapping[str, Sequence[str]], sentences: bool, counted: bool) -> list[str]:
    """Notes on a job whose model writes sentences: what it will write after training on `sets["train"]`, and what its
    error rates on the other sets will make of that.

    `sentences`: bare texts are trained on as sentences (training.style). `counted`: error rates count case.

    >>> notes_on_casing({"train": ["Turn on the light, please."], "dev": ["Good morning to you all."]}, False, True)
    []
    """
    ways = {name: way for name, texts in sets.items() if (way := casing(texts))}
    train = ways.get("train", "")
    bare = train in ("upper", "lower") and not any(re.search(r"[.?!,;:]", text) for text in sets["train"])
    notes = []
    if not sentences and (train == "upper" or bare):
        lower = "; `secateur data prepare --lower` writes texts in lower case" if train == "upper" else ""
        what = f"{WAYS[train]}, without punctuation" if bare else WAYS[train]
        notes.append(
            f"the texts to train on are in {what}, and the model will learn to write so: --training.style sentence "
            f"makes sentences of bare ones{lower}"
        )
    learnt = "mixed" if sentences and bare else train
    for way in dict.fromkeys(ways.values()):
        names = ", ".join(name for name in ways if ways[name] == way and name != "train")
        if train and names and (way != train or (counted and way != learnt)):
            effect = "count that as errors" if counted else "leave case out and do not show it"
            notes.append(
                f"the texts to train on are in {WAYS[train]}, those of {names} in {WAYS[way]}: what the model learns "
                f"to write is not what it is compared with, and error rates {effect}"
            )
    return notes


TRAINED_ON = ("train", "rehearsal", "nonspeech")
OFF = (None, 0, "", (), "none")
WHILE_TRAINING = frozenset({"prune.begin", "prune.end", "prune.every", "prune.schedule", "prune.audio_seconds"})
SETS = (*TRAINED_ON, "dev", "test", "rehearsal_dev")


def check_effect(settings: DataSettings, work: Work) -> None:
    """Refuse settings that were changed and have no effect, since another is off or a set is not given.

    Studies are not checked: what their arms share may be for some of them.

    Raises:
        SecateurError: the first such setting, and what it goes with.
    """
    check_idle(settings, work)
    for name in ("training", "prune"):
        for setting, needed in without_effect(getattr(settings, name, None), name):
            raise SecateurError(f"{setting} has no effect without {needed}: set both, or neither")
    augment = getattr(getattr(settings, "training", None), "augment", None)
    if augment is not None and not settings.noise:
        for name in (one.name for one in changed_fields(augment)):
            if name in ("noise_chance", "snr_db") and getattr(augment, name) != 0:
                raise SecateurError(f"training.augment.{name} has no effect without --noise: name recordings of noise")
    if (prune := getattr(settings, "prune", None)) is not None:
        _check_amounts(prune)


def _check_amounts(prune: PruneSettings) -> None:
    """Refuse two settings that both say how much goes, and a sensitivity map that nothing reads."""
    from ..prune.importance import CRITERIA

    given = [name for name in ("target", "plan", "amounts", "pattern") if getattr(prune, name)]
    if prune.remove is not None and "remove" in {one.name for one in changed_fields(prune)}:
        given.append("remove")
    if len(given) > 1 and given != ["amounts", "pattern"]:  # whose amounts name the matrices
        raise SecateurError(f"prune.{given[0]} and prune.{given[1]} both say how much goes: leave out one of them")
    read = prune.target or (prune.criterion in CRITERIA and "map" in CRITERIA[prune.criterion].needs)
    if prune.map and not read:
        raise SecateurError("prune.map has no effect without prune.target or --prune.criterion sensitivity")


def without_effect(settings: object, where: str) -> Iterator[tuple[str, str]]:
    """Changed settings whose counterpart (`goes_with` of their option) is off, each with that counterpart."""
    if not dataclasses.is_dataclass(settings):
        return
    changed = {one.name for one in changed_fields(settings)}
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        other = one.metadata.get("goes_with", "")
        if other and one.name in changed and getattr(settings, other) in OFF:
            yield f"{where}.{one.name}", f"{where}.{other}"
        yield from without_effect(value, f"{where}.{one.name}")


def check_idle(settings: DataSettings, work: Work) -> None:
    """Refuse settings of what this job does not do: training where it only cuts, streaming where it does not stream.

    Raises:
        SecateurError: the first such setting, and why.
    """
    idle = {
        "training": "" if work.training else "nothing is trained (--one-shot, --by error)",
        "prune": "" if work.prune else "what goes is chosen by its error (--by error)",
        "by_error": "" if getattr(settings, "by", "") == "error" else "it needs --by error",
        "new": "" if work.new else "a new model needs --new.preset",
    }
    for part, why in idle.items():
        for path, _ in changed_paths(getattr(settings, part, None), part) if why else ():
            raise SecateurError(f"{path} has no effect: {why}")
    changed = {one.name for one in changed_fields(settings)}
    if "window" in changed and not work.window:
        raise SecateurError("--window has no effect without --stream: set both, or neither")
    if work.teacher and work.training is None:
        raise SecateurError("--teacher has no effect: nothing is trained (--one-shot, --by error)")
    for path, value in changed_paths(work.prune, "prune") if work.one_shot else ():
        if path in WHILE_TRAINING and value not in OFF:
            raise SecateurError(f"{path} has no effect with --one-shot, which cuts once, without training")


def check_unread(settings: DataSettings, config: Config) -> None:
    """Refuse settings that the model's family does not read.

    Raises:
        SecateurError: the first such setting that asks for something.
    """
    from ..prune.task import unread_by

    unread = unread_by(config)
    for part in ("training", "prune"):
        for path, value in changed_paths(getattr(settings, part, None), part):
            if path in unread and value not in OFF:
                raise SecateurError(f"{path} has no effect on a model of the family '{config.family}': leave it out")


def check_taught(settings: DataSettings, work: Work, taught: bool, rehearses: bool) -> None:
    """Refuse a teacher that would teach nothing, and distillation without a teacher (`taught`: there is one).

    Raises:
        SecateurError: what is missing.
    """
    if work.training is None:
        return
    training = work.training.resolved(pretrained=True, teacher=bool(work.teacher))
    changed = {one.name for one in changed_fields(work.training)}
    if training.distillation and not taught:
        named = "name one (--teacher), or " if hasattr(settings, "teacher") else ""
        rehearsal = "clips of what must not be forgotten (--rehearsal), which a pretrained start then teaches"
        raise SecateurError(f"training.distillation has no effect without a teacher: {named}give {rehearsal}")
    if work.teacher and not training.distillation:
        raise SecateurError("--teacher has no effect with training.distillation 0: leave out one of them")
    if training.distillation and training.distillation_on == "rehearsal" and not rehearses:
        raise SecateurError(
            "a teacher has no effect on rehearsal clips where there are none: name some (--rehearsal), or "
            "--training.distillation-on all"
        )
    for name in ("distillation_on", "distillation_temperature"):
        if name in changed and not training.distillation:
            raise SecateurError(f"training.{name} has no effect without training.distillation: set both, or neither")


def changed_paths(settings: object, where: str) -> Iterator[tuple[str, Any]]:
    """Every setting that was changed, parts of parts included, by its path; with its value."""
    for one in changed_fields(settings) if dataclasses.is_dataclass(settings) else ():
        value, path = getattr(settings, one.name), f"{where}.{one.name}"
        if dataclasses.is_dataclass(value):
            yield from changed_paths(value, path)
        else:
            yield path, value


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
