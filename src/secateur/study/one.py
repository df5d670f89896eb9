"""One arm and seed in a process of its own: python -m secateur.study.one STUDY DATA OUT ARM SEED DEVICE."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..base.device import pick_device
from ..base.extras import require
from ..base.files import Json, read_json, write_json
from ..base.progress import say
from ..data.job import JobData
from ..evaluate.result import write_result
from ..evaluate.scoring import score
from ..families.ctc.new_model import make_new
from ..models.checkpoint import load_checkpoint
from ..models.family import family_of, read_config
from ..train import distributed
from ..train.auxiliary import load_head, mean_head, save_head
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
    arm, settings, folder = study.arms[name], arm_settings(study, name, seed), out / f"{name}-{seed}"
    if distributed.rank() == 0:
        begin_with(arm_record(study, name, seed, data_folder), folder)
    hours = arm.hours if arm.hours is not None else study.hours
    train_clips = [u for u in read_sets(arm.train or study.train, data_folder) if u.duration <= study.longest]
    rehearsal_clips = [u for u in read_sets(study.rehearsal, data_folder) if u.duration <= study.longest]
    devs = {f"dev-{Path(path).parent.name}": read_sets([path], data_folder) for path in study.dev}
    data = JobData(
        training=some_hours(train_clips, hours, seed), rehearsal=rehearsal_clips, rehearsal_share=study.rehearsal_share,
        dev=[u for clips in devs.values() for u in clips], device=pick_device(device),
        normalise=study.normalise, tests={**(devs if len(devs) > 1 else {}), **unseen_tests(study, data_folder)},
        words=tuple(u.text for u in train_clips) if hours is not None else (),
        rehearsal_dev=named_sets([data_folder / path for path in study.rehearsal_dev]),
        nonspeech=read_nonspeech([data_folder / path for path in study.nonspeech], pick_device(device)),
        shortest_context=shortest_context(study),
    )  # fmt: skip
    flops_before = 0.0
    made: Json = {}
    head = None
    if arm.soup:
        folders = [Path(one) for one in arm.soup if "/" in one]
        folders += [out / f"{of}-{its}" for of, its in needed_runs(study, name, seed)]
        model, text, made["soup"] = make_soup(folders, data, arm.soup_kind, name)
        if distributed.rank() == 0 and (mean := mean_head([Path(one) for one in made["soup"]["of"]])):
            save_head(folder, *mean)
        records = [one / "summary.json" for one in folders]
        flops_before = sum(read_json(one).get("flops", 0.0) for one in records if one.exists())  # all were trained
    elif arm.start:
        start = out / "{}-{}".format(*start_of(study, name, seed))
        model, text = load_checkpoint(start)
        head = load_head(start)
        flops_before = read_json(start / "summary.json")["flops"]
    elif arm.model or not new_of(study, name).preset:
        model, text = load_model(arm.model or study.model)
    else:
        # The study's units, also for an arm with transcripts of its own: so arms compare, and can teach each other.
        texts = [u.text for u in read_sets([*study.train, *study.rehearsal], data_folder)]
        model, text = make_new(new_of(study, name), texts, train_clips[0].language, seed)
    teacher = None
    if arm.teacher == "original":
        teacher = model
    elif arm.teacher:
        taught, its_seed = teacher_of(study, name, seed) if "/" not in arm.teacher else ("", 0)
        teacher_folder = out / f"{taught}-{its_seed}" if taught in study.arms else Path(arm.teacher)
        teacher = load_checkpoint(teacher_folder, device)[0]
        # A teacher that had to be trained first is part of what its pupil costs, as is what an arm continues from.
        summary_of = teacher_folder / "summary.json"
        flops_before += read_json(summary_of).get("flops", 0.0) if summary_of.exists() else 0.0
    tuned, tuned_text, _ = run_arm(settings, model, text, data, folder, teacher, head=head)
    if distributed.rank() > 0:
        return
    summary = read_json(folder / "summary.json") | made
    trained = read_config(folder / TRAINED)
    summary["flops"] = flops_before + training_flops(trained, data, settings.train, summary["steps"], teacher)
    if name in study.robust:
        rate = tuned.config.front_end.sample_rate
        for label, condition in study.conditions.items():
            for test in study.tests:
                say(f"{name}: {test}, {label}")
                key = f"{test}@{label}"
                data.banks[key, rate] = disturbed(data.banks[test, rate], condition, data_folder, rate)
                disturbed_result = score(tuned, tuned_text, data, key, data.tests[test], name)
                del data.banks[key, rate]
                write_result(folder / "results" / f"{key}.json", disturbed_result)
                summary["error"][key] = disturbed_result.rate
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


if __name__ == "__main__":
    spec, data_root, target, arm_name, arm_seed, arm_device = sys.argv[1:]
    with distributed.processes(arm_device) as own, alone(Path(target) / f"{arm_name}-{arm_seed}") as free:
        if free:
            run_one(read_study(Path(spec)), arm_name, int(arm_seed), Path(data_root), Path(target), own)
