"""Everything that can be refused, refused before any training: settings, files, sets, model, budget, precision."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.locale import translated
from ..base.progress import say
from .contradictions import check_effect, check_sets, check_taught, check_unread, notes_on_casing
from .data import DataSettings, Work
from .job_time import NOT_COUNTED, in_minutes, job_seconds

if TYPE_CHECKING:
    import torch

    from ..data.job import JobData
    from ..models.family import TeacherModel, TextCodec
    from ..models.network import Network
    from ..prune.settings import PruneSettings
    from ..study.preview import Preview

LOOKED_AT = 500  # texts of a set whose casing is judged
FP32 = 4  # bytes a value
COPIES = 5  # of every weight while training: itself, its gradient, AdamW's two moments, the average


@dataclass
class Plan:
    """A job that passed all checks: its model, text codec and sets, what is removed, what it will cost."""

    model: Network
    text: TextCodec
    data: JobData
    files: list[Path]  # manifests and archives
    new: bool = False  # the model has random weights
    teacher: TeacherModel | None = None
    preview: Preview | None = None
    steps: int = 0
    seconds: dict[str, float] = field(default_factory=dict)  # of each part of the job, estimated
    not_counted: str = NOT_COUNTED
    gigabytes: float = 0.0  # of memory, activations of a batch left out
    clips: dict[str, int] = field(default_factory=dict)

    def summary(self) -> Json:
        """What `--check` prints."""
        from ..base.options import to_dict

        parts = in_minutes(self.seconds)
        removal = None if self.preview is None else {"text": self.preview.text, **to_dict(self.preview)}
        return {
            "check": True, "clips": self.clips, "steps": self.steps, "removal": removal,
            "minutes": parts.pop("all"), "minutes_of": parts, "not_counted": self.not_counted,
            "gigabytes": round(self.gigabytes, 2),
        }  # fmt: skip


def plan_job(
    settings: DataSettings, work: Work, data: JobData | None = None, files: Sequence[Path] = (), device: str = ""
) -> Plan:
    """Check a job, which does `work`, in the order of cost, and load what it needs; `data` are ready sets (of `files`).

    Raises:
        SecateurError: anything that would stop the job later.
    """
    if data is None and not settings.train:
        raise SecateurError("--train is missing: name a manifest (`secateur data prepare` makes one)")
    if work.prune is not None:
        check_prune(work.prune, work.one_shot)
    if data is None:
        check_effect(settings, work)
        if not settings.same_speakers:
            check_sets(settings)
    named = [*settings.train, *settings.dev, *settings.test, *settings.rehearsal, *settings.rehearsal_dev]
    check_files([*named, *settings.noise, *settings.nonspeech])
    if data is None:
        data, files = _sets(settings, work.window, device or settings.device), named
    data.normalise = settings.normalise
    if settings.rehearsal_dev:
        from ..study.sets_of_job import named_sets

        data.rehearsal_dev = named_sets(settings.rehearsal_dev)
    if settings.nonspeech:
        from ..study.sets_of_job import read_nonspeech

        data.nonspeech = read_nonspeech(settings.nonspeech, data.device)
    check_speakers(data, settings.same_speakers)
    from ..models.family import TeacherModel

    model, text, new = _model(settings.model, work, data)
    teacher = TeacherModel(model, text) if len(data.rehearsal) and not new else None
    if work.teacher:
        from ..weights.fetch import load_model

        teacher = TeacherModel(*load_model(work.teacher))
    sounds = [path for path in (*settings.noise, *settings.nonspeech) if path.is_file()]
    check_unread(settings, model.config)
    check_taught(settings, work, teacher is not None, len(data.rehearsal) > 0)
    plan = Plan(model, text, data, [*files, *sounds], new, teacher)
    plan.clips = {"train": len(data.training), "rehearsal": len(data.rehearsal), "dev": len(data.dev)}
    plan.clips |= {name: len(clips) for name, clips in data.tests.items()}
    if work.precision:
        from ..export.room import check_room

        check_room(model.config, work.precision, settings.out, work.exports)
    if work.training is not None:
        from ..data.manifest import evenly
        from ..prune.task import unread_by
        from ..train.check import check_training

        if not data.window and "training.style" not in unread_by(model.config):
            sets = {"train": data.training, "rehearsal": data.rehearsal, "dev": data.dev, **data.tests}
            texts = {name: [u.text for u in evenly(clips, LOOKED_AT)] for name, clips in sets.items()}
            sentences, counted = work.training.style == "sentence", settings.normalise in ("cased", "none")
            for line in notes_on_casing(texts, sentences, counted):
                say(f"note: {line}")
        check_training(model, work.training.resolved(pretrained=not new, teacher=bool(work.teacher)))
    if not data.window or settings.check:  # texts that do not fit in memory are read once, by the job
        _cost(plan, work)
    return plan


def check_files(paths: Iterable[Path]) -> None:
    """Refuse files that are not there.

    Raises:
        SecateurError: the first that is missing.
    """
    from ..data.shards import is_shards, shard_paths

    for path in paths:
        if is_shards(path):
            shard_paths(path)
        elif not path.exists():
            raise SecateurError(f"{path}: no such file")


def check_prune(prune: PruneSettings, one_shot: bool = False) -> None:
    """Refuse pruning settings that contradict each other or name what is not there.

    Raises:
        SecateurError: with the nearest right name where one is unknown.
    """
    from ..base.extras import require

    require("torch", "train")
    from ..prune.method import METHODS, check_settings
    from ..prune.settings import names_model, parse_target

    check_settings(prune)
    if prune.map:
        from ..prune.sensitivity_map import read_map

        read_map(prune.map)
    if names_model(prune.target):
        from ..allocation.named_cost import named_folder

        named_folder(parse_target(prune.target).model, prune.precision)
    if prune.plan:
        check_files([Path(prune.plan)])
    if one_shot and not METHODS[prune.method].one_shot:
        from ..prune.importance import CRITERIA

        instead = f": leave it out; --prune.criterion {prune.method} ranks by it" if prune.method in CRITERIA else ""
        raise SecateurError(
            f"--one-shot ranks and cuts once, without training: method '{prune.method}' needs to train{instead}"
        )


def check_speakers(data: JobData, allowed: bool = False) -> None:
    """Refuse sets that share speakers, or print a note where it is `allowed`.

    Their error rate does not hold for new speakers.

    Raises:
        SecateurError: which sets, how many speakers.
    """
    from ..data.clip_index import is_streamed

    trained = {u.speaker for u in data.rehearsal}
    trained |= set() if is_streamed(data.training) else {u.speaker for u in data.training}
    sets = {"train": trained, "dev": {u.speaker for u in data.dev}}
    sets |= {name: {u.speaker for u in clips} for name, clips in data.tests.items()}
    for name, clips in data.rehearsal_dev.items():
        both = sorted(({u.speaker for u in clips} & trained) - {""})
        if both and not allowed:
            raise SecateurError(
                f"train and rehearsal-dev ({name}) share {len(both)} speakers ({', '.join(both[:3])}): what is trained "
                "on says nothing of what is still known"
            )
    names = list(sets)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            both = sorted((sets[first] & sets[second]) - {""})
            if not both:
                continue
            line = (
                f"{first} and {second} share {len(both)} speakers ({', '.join(both[:3])}): an error rate on them says "
                "nothing of new speakers"
            )
            if not allowed:
                raise SecateurError(
                    f"{line}; split by speaker (`secateur data split`), or allow it for a model of one person "
                    "(--same-speakers)"
                )
            say(f"note: {line}")


def _sets(settings: DataSettings, window: int, device: str) -> JobData:
    from ..study.sets_of_job import JobManifests, read_job, read_streamed

    sets = (settings.train, settings.dev, settings.test, settings.rehearsal, settings.noise)
    files = JobManifests(*sets, settings.longest)
    return read_streamed(files, device, window) if window else read_job(files, device, settings.same_speakers)


def _model(name: str, work: Work, data: JobData) -> tuple[Network, TextCodec, bool]:
    """The model to start from, its text codec, and whether it is new."""
    if work.new is None or work.training is None:
        from ..models.checkpoint import untrained
        from ..runtime.contents import BUNDLED, is_export
        from ..weights.fetch import load_model

        if any(map(is_export, (Path(name), BUNDLED / name))):
            raise SecateurError(f"{name}: exported, and only checkpoints are trained: name one, or base")
        return *load_model(name), untrained(name)
    from ..families.ctc.new_model import make_new

    return *make_new(work.new, list(data.texts()), data.training[0].language, work.training.seed), True


def _cost(plan: Plan, work: Work) -> None:
    """What would be removed, and the job's cost. The initial model is built once for that, and dropped."""
    from ..data.clip_index import durations_of
    from ..models.family import family_of
    from ..prune.task import task_of
    from ..study.compute import streamed_flops, training_flops
    from ..study.preview import preview, rehearse
    from ..train.loop import total_steps
    from ..train.stream import Mix, epoch_steps

    data, config = plan.data, plan.model.config
    train = None
    if work.training is not None:
        train = work.training.resolved(pretrained=not plan.new, teacher=bool(work.teacher))
    if work.prune is None:
        languages = data.languages or sorted({u.language for u in data.training})
        initial = task_of(config).initial_model(plan.model, plan.text, data.texts(), languages, None, train)
    else:
        plan.preview, initial = preview(plan.model, plan.text, data, work.prune, train, work.one_shot)
        if plan.preview.note:
            say(plan.preview.note)
    trained = initial.model.config
    check_lengths(data, min(trained.max_seconds, config.max_seconds))
    if train is None:
        if not data.window:
            if work.prune is None:
                plan.not_counted = "candidates that are decoded"
            plan.seconds = job_seconds(data, config, work, 0.0, 0, speed(data.device))
        return
    rehearse(initial, data, train, plan.teacher, work.prune)
    mix = Mix(durations_of(data.training), durations_of(data.rehearsal), data.rehearsal_share, data.window)
    plan.steps = total_steps(train, mix)
    seconds = sum(map(float, mix.training)) + sum(map(float, mix.rehearsal))
    audio = 0.0 if data.window else seconds * trained.front_end.sample_rate * FP32
    plan.gigabytes = (COPIES * FP32 * family_of(config).parameters(config) + audio) / 1e9
    if data.window:
        flops = streamed_flops(trained, list(map(float, mix.training)), train, plan.steps)
    else:
        flops = training_flops(trained, data, train, plan.steps, plan.teacher)
    epoch = max(epoch_steps(mix, train.batch_seconds, train.seed), 1)
    validations = 1 + int(plan.steps / max(train.validate_every * epoch, 1))
    plan.seconds = job_seconds(data, config, work, flops, validations, speed(data.device))


def check_lengths(data: JobData, most: float) -> None:
    """Refuse training clips that the audio context of the model to train does not hold.

    Raises:
        SecateurError: the first such clip.
    """
    from itertools import chain

    from ..data.clip_index import durations_of, joined

    for row, seconds in enumerate(chain(durations_of(data.training), durations_of(data.rehearsal))):
        if seconds > most:
            raise SecateurError(
                f"{joined(data.training, data.rehearsal)[row].id}: {seconds:.1f} s does not fit the audio context of "
                f"{most:.1f} s; leave such clips out (--longest) or keep more context (--prune.audio-seconds)"
            )


def speed(device: torch.device) -> float:
    """Floating-point operations a second of large matrix products on a device, measured for a tenth of a second."""
    import torch

    size, kind = (4096, torch.bfloat16) if device.type == "cuda" else (512, torch.float32)
    a = torch.randn(size, size, device=device, dtype=kind)
    on_cpu = device.type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter  # other programs take none of the processor's time
    threads = torch.get_num_threads() if on_cpu else 1
    times: list[float] = []
    while sum(times) < 0.1 * threads and len(times) < 50:
        start = clock()
        (a @ a)[0, 0].item()  # waits for the device
        times.append(max(clock() - start, 1e-6))
    return float(2 * size**3 * threads / min(times))


def checked(result: Json) -> str:
    """The lines that a command prints for `--check`."""
    clips = ", ".join(f"{count} {translated(name)}" for name, count in result["clips"].items())
    steps = f"; {result['steps']} steps" if result["steps"] else ""
    lines = [translated(f"nothing is wrong with it: {clips} clips{steps}")]
    if result["steps"]:
        of = result["minutes_of"]
        lines.append(
            translated(
                f"about {result['minutes']:g} min here (roughly, from operations and a short measurement): "
                f"{of['training']:g} of training, {of['decoding']:g} of decoding, {of['reading']:g} of reading, "
                f"{of['export']:g} of export; not counted: {translated(result['not_counted'])}"
            )
        )
        lines.append(
            translated(f"{result['gigabytes']:g} GB for weights, optimiser and audio, a batch's activations on top")
        )
    removal = result["removal"]
    if removal is not None:
        lines += [translated(removal["text"]), *("  " + translated(line) for line in removal["lines"])]
    return "\n".join(lines)
