"""One arm and seed in a process of its own: python -m secateur.study.one STUDY DATA OUT ARM SEED DEVICE."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..base.device import pick_device
from ..base.extras import require
from ..base.files import Json, read_json, write_json
from ..base.progress import say
from ..data.job import JobData
from ..data.manifest import Utterance
from ..evaluate.result import write_result
from ..evaluate.scoring import score
from ..families.ctc.new_model import make_new
from ..models.checkpoint import load_checkpoint
from ..models.family import TeacherModel, TextCodec, family_of, read_config
from ..models.network import Network
from ..train import distributed
from ..train.auxiliary import SavedHead, load_head, mean_head, save_head
from ..weights.fetch import load_model
from .arm import TRAINED, complete, run_arm
from .compute import training_flops
from .conditions import disturbed
from .lm import score_with_lm
from .reading import keep_outputs
from .record import begin_with
from .sets import arm_record, read_sets, some_hours, unseen_tests
from .sets_of_job import named_sets, read_nonspeech
from .settings import (
    StudySettings,
    arm_settings,
    needed_runs,
    new_of,
    read_study,
    shortest_context,
    start_of,
    teacher_of,
)
from .soup import make_soup
from .use import measure_arm


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Wait until no other process works on this run; false when it is done by then.

    A study that was killed may have left its processes behind: they finish, and the next study takes their results.
    """
    if distributed.count() > 1:  # processes of one run share its folder
        yield True
        return
    with require("filelock", "train").FileLock(folder / ".lock"):
        yield complete(folder) is None


def run_one(study: StudySettings, name: str, seed: int, data_folder: Path, out: Path, device: str) -> None:
    """Train and test one arm; its teacher, if it names one, is an earlier arm of the same seed."""
    settings, folder = arm_settings(study, name, seed), out / f"{name}-{seed}"
    if distributed.rank() == 0:
        begin_with(arm_record(study, name, seed, data_folder), folder)
    train_clips, rehearsal_clips = (
        [u for u in read_sets(sets, data_folder) if u.duration <= study.longest]
        for sets in (study.arms[name].train or study.train, study.rehearsal)
    )
    data = _data_of(study, name, seed, data_folder, train_clips, rehearsal_clips, device)
    start = _start_of(study, name, seed, data_folder, out, data, train_clips[0].language)
    teacher, its_flops = _teacher_of(study, name, seed, out, start, device)
    tuned, tuned_text, _ = run_arm(settings, start.model, start.text, data, folder, teacher, head=start.head)
    if distributed.rank() > 0:
        return
    summary = read_json(folder / "summary.json") | start.made
    trained = read_config(folder / TRAINED)
    flops = training_flops(trained, data, settings.train, summary["steps"], teacher)
    summary["flops"] = start.flops + its_flops + flops
    if name in study.robust:
        summary["error"] |= _disturbed(study, name, data_folder, folder, data, tuned, tuned_text)
    if study.lm.outputs and family_of(tuned.config).by_frame:
        keep_outputs(folder, tuned, data)
    if name in study.lm.arms:
        texts = [u.text for u in (*train_clips, *rehearsal_clips)]
        summary["error"] |= score_with_lm(
            study.lm, tuned, tuned_text, data, list(study.tests), texts, data_folder, folder / "results", name
        )
    if study.use.conditions:
        measure_arm(study.use, folder, {name: data.tests[name] for name in study.tests}, data_folder, device)
    write_json(folder / "summary.json", summary | {"complete": True})


@dataclass(frozen=True)
class _Start:
    """What an arm's training starts from, the FLOPs that it cost, and what its summary says of it."""

    model: Network
    text: TextCodec
    head: SavedHead | None = None  # for pinyin, of the same run
    flops: float = 0.0
    made: Json = field(default_factory=dict)


def _data_of(
    study: StudySettings, name: str, seed: int, data_folder: Path, training: list[Utterance],
    rehearsal: list[Utterance], device: str,
) -> JobData:  # fmt: skip
    """The clips of an arm, of which it may train on some hours only."""
    arm = study.arms[name]
    hours = arm.hours if arm.hours is not None else study.hours
    devs = {f"dev-{Path(path).parent.name}": read_sets([path], data_folder) for path in study.dev}
    return JobData(
        training=some_hours(training, hours, seed), rehearsal=rehearsal, rehearsal_share=study.rehearsal_share,
        dev=[u for clips in devs.values() for u in clips], device=pick_device(device),
        normalise=study.normalise, tests={**(devs if len(devs) > 1 else {}), **unseen_tests(study, data_folder)},
        words=tuple(u.text for u in training) if hours is not None else (),
        rehearsal_dev=named_sets([data_folder / path for path in study.rehearsal_dev]),
        nonspeech=read_nonspeech([data_folder / path for path in study.nonspeech], pick_device(device)),
        shortest_context=shortest_context(study),
    )  # fmt: skip


def _start_of(
    study: StudySettings, name: str, seed: int, data_folder: Path, out: Path, data: JobData, language: str
) -> _Start:
    """A soup of runs, another arm's model, a known checkpoint, or a new model."""
    arm = study.arms[name]
    if arm.soup:
        folders = [Path(one) for one in arm.soup if "/" in one]
        folders += [out / f"{of}-{its}" for of, its in needed_runs(study, name, seed)]
        model, text, made = make_soup(folders, data, arm.soup_kind, name)
        if distributed.rank() == 0 and (mean := mean_head([Path(one) for one in made["of"]])):
            save_head(out / f"{name}-{seed}", *mean)
        return _Start(model, text, flops=sum(map(_flops_of, folders)), made={"soup": made})  # all were trained
    if arm.start:
        start = out / "{}-{}".format(*start_of(study, name, seed))
        return _Start(*load_checkpoint(start), load_head(start), _flops_of(start))
    if arm.model or not new_of(study, name).preset:
        return _Start(*load_model(arm.model or study.model))
    # The study's units, also for an arm with transcripts of its own: so arms compare, and can teach each other.
    texts = [u.text for u in read_sets([*study.train, *study.rehearsal], data_folder)]
    return _Start(*make_new(new_of(study, name), texts, language, seed))


def _flops_of(folder: Path) -> float:
    """What a run cost, and what it came from; nothing where that is not known (a folder of another study)."""
    summary = folder / "summary.json"
    return float(read_json(summary).get("flops", 0.0)) if summary.exists() else 0.0


def _teacher_of(
    study: StudySettings, name: str, seed: int, out: Path, start: _Start, device: str
) -> tuple[TeacherModel | None, float]:
    """An arm's teacher and its FLOPs: one that had to be trained first is part of what its pupil costs."""
    teacher = study.arms[name].teacher
    if not teacher:
        return None, 0.0
    if teacher == "original":
        return TeacherModel(start.model, start.text), 0.0
    taught, its_seed = teacher_of(study, name, seed) if "/" not in teacher else ("", 0)
    folder = out / f"{taught}-{its_seed}" if taught in study.arms else Path(teacher)
    return TeacherModel(*load_checkpoint(folder, device)), _flops_of(folder)


def _disturbed(
    study: StudySettings, name: str, data_folder: Path, folder: Path, data: JobData, model: Network, text: TextCodec
) -> dict[str, float]:
    """Error rates of the tests under the study's conditions; their results are kept."""
    rate, errors = model.config.front_end.sample_rate, dict[str, float]()
    for label, condition in study.conditions.items():
        for test in study.tests:
            say(f"{name}: {test}, {label}")
            key = f"{test}@{label}"
            data.banks[key, rate] = disturbed(data.banks[test, rate], condition, data_folder, rate)
            result = score(model, text, data, key, data.tests[test], name)
            del data.banks[key, rate]
            write_result(folder / "results" / f"{key}.json", result)
            errors[key] = result.rate
    return errors


if __name__ == "__main__":
    spec, data_root, target, arm_name, arm_seed, arm_device = sys.argv[1:]
    with distributed.processes(arm_device) as own, alone(Path(target) / f"{arm_name}-{arm_seed}") as free:
        if free:
            run_one(read_study(Path(spec)), arm_name, int(arm_seed), Path(data_root), Path(target), own)
