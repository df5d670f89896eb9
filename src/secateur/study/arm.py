"""One arm of a comparison: tune (and prune) a model on the same data for the same steps, then evaluate it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import torch

from ..base.device import device_name
from ..base.errors import SecateurError
from ..base.files import Json, clear_temporaries, read_json, write_json
from ..base.options import to_dict
from ..data.clip_index import joined
from ..data.job import JobData
from ..data.manifest import evenly
from ..evaluate.result import Result, write_result
from ..evaluate.scoring import batch_seconds, decode_set, score
from ..export.exporter import exporter_of
from ..export.job import CALIBRATION_CLIPS, sample_features
from ..models.checkpoint import as_saved, save_checkpoint
from ..models.family import TeacherModel, TextCodec, write_config
from ..models.network import Network
from ..prune.initial_model import InitialModel
from ..prune.measured_cuts import with_measured_cuts
from ..prune.method import check_low_rank_method, check_sharded_method, make_method
from ..prune.settings import PruneSettings, names_model
from ..prune.task import task_of
from ..prune.units import COSTS
from ..prune.weights.threshold import matrix_weights, nonzero_values, nonzero_weights
from ..train import distributed
from ..train.auxiliary import AuxiliaryObjective, SavedHead, load_head, save_head, with_auxiliary_head
from ..train.loop import TrainingRun, train
from ..train.offload import at_home
from ..train.run import Callback
from ..train.settings import TrainSettings
from ..train.stream import mix_of
from .interpolate import RehearsalDev
from .pinyin_head import pinyin_evidence_of, with_pinyin_evidence

TRAINED = "trained.json"  # the config of what is trained: inputs, contexts and rows cut, units still there


@dataclass(frozen=True)
class ArmSettings:
    """What makes one arm: how it is tuned, what is pruned, and the weight of the teacher (in `train`)."""

    name: str
    train: TrainSettings | None  # None: the model as it is
    prune: PruneSettings | None = None


def run_arm(
    arm: ArmSettings, model: Network, tokenizer: TextCodec, data: JobData, folder: Path,
    teacher: TeacherModel | None = None,
    test_now: bool = True,
    head: SavedHead | None = None,
) -> tuple[Network, TextCodec, dict[str, Result]]:  # fmt: skip
    """Run `arm` from a copy of `model` and keep checkpoint, log and results in `folder`; a killed run resumes.

    Inside `distributed.processes` all train together; only the first has results to give. Training goes on
    with a pinyin `head` that belongs to `model`.

    Raises:
        SecateurError: clips longer than the audio context that the arm keeps, or a plan that cannot be met.
    """
    started = time.perf_counter()
    first = distributed.rank() == 0  # it writes; all decode
    if first:
        clear_temporaries(folder)
    original = {measure: cost(model.config) for measure, cost in COSTS.items()}
    arm, initial = _planned(arm, model, tokenizer, data, folder)
    steps, known = 0, Json()
    if arm.train is not None:
        before = RehearsalDev(model, tokenizer, data)
        tuned, steps, known = _tune(arm, initial, original, data, folder, teacher, before, head)
        initial = InitialModel(tuned, initial.tokenizer, initial.rows)
    result_model = as_saved(initial.model.to(data.device).eval())  # `evaluate` on the folder then gives the same
    if first:
        save_checkpoint(folder, result_model, initial.tokenizer, half=True)
    results = _results(arm, result_model, initial.tokenizer, data, folder, test_now)
    if not first:
        return result_model, initial.tokenizer, {}
    summary = {
        "arm": to_dict(arm), "steps": steps, "seconds": round(time.perf_counter() - started, 1),
        "device": device_name(data.device), "processes": distributed.count(),
        "removed": 1 - COSTS["parameters"](result_model.config) / original["parameters"],
        "removed_weights": 1 - nonzero_weights(result_model) / matrix_weights(model),
        "removed_or_zero": 1 - nonzero_values(result_model) / original["parameters"],
        "error": {name: r.rate for name, r in results.items()}, "torch": torch.__version__,
    } | ({"known": known} if known else {})  # fmt: skip
    write_json(folder / "summary.json", summary)
    remove_state(folder)
    return result_model, initial.tokenizer, results


def _planned(
    arm: ArmSettings, model: Network, tokenizer: TextCodec, data: JobData, folder: Path
) -> tuple[ArmSettings, InitialModel]:
    """The arm with the amounts that its target or plan means, and the model that it trains: what goes before training
    (rows, contexts, width, ranks) is gone."""
    task = task_of(model.config)
    languages = data.languages or sorted({u.language for u in data.training})

    def make(how: PruneSettings | None) -> InitialModel:
        return task.initial_model(model, tokenizer, data.texts(), languages, how, arm.train)

    if arm.prune is not None and names_model(arm.prune.target):
        from ..allocation.named_cost import planned_cost

        arm = replace(arm, prune=planned_cost(model, tokenizer, make, data, arm.prune, folder))
    initial = make(arm.prune)
    if arm.prune is not None:
        initial = with_measured_cuts(initial, data, arm.prune)
    if arm.train is not None and arm.train.four_bits:
        # An encoder whose inputs are even loses less when its arithmetic is in bytes; afterwards its grid is fixed.
        clips = [u for u in data.training if u.duration <= initial.model.config.max_seconds]
        samples = sample_features(evenly(clips, CALIBRATION_CLIPS), initial.model.config)
        initial = replace(initial, model=exporter_of(initial.model.config).smoothed(initial.model, samples))
    if distributed.rank() == 0:
        write_config(folder / TRAINED, initial.model.config)
    if arm.prune is not None and (arm.prune.target or arm.prune.plan):
        from ..allocation.plan import planned

        arm = replace(arm, prune=planned(model, tokenizer, initial, data, arm.prune, folder))
    return arm, initial


def _results(
    arm: ArmSettings, model: Network, text: TextCodec, data: JobData, folder: Path, test_now: bool
) -> dict[str, Result]:
    """Results on dev and, with `test_now`, on the tests, in `folder` too; with the pinyin head's where there is one."""
    first = distributed.rank() == 0
    kept = load_head(folder) if first and (arm.train is None or arm.train.auxiliary_saved) else None  # a soup has one
    results: dict[str, Result] = {}
    for name, utterances in ({"dev": data.dev} | (data.tests if test_now else {})).items():
        results[name] = score(model, text, data, name, utterances, arm.name, shared=True)
        if not first:
            continue
        if kept is not None:
            bank = data.bank(name, utterances, model.config.front_end.sample_rate)
            evidence = pinyin_evidence_of(model, *kept, bank, batch_seconds(data.device))
            results[name] = with_pinyin_evidence(results[name], evidence)
        write_result(folder / "results" / f"{name}.json", results[name])
    return results


def _tune(
    arm: ArmSettings,
    initial: InitialModel,
    original: Mapping[str, float],
    data: JobData,
    folder: Path,
    teacher: TeacherModel | None,
    before: RehearsalDev,
    head: SavedHead | None,
) -> tuple[Network, int, Json]:
    """Train, pruning on the way; returns the shrunk model, the steps taken and the rates on rehearsal dev sets."""
    settings = arm.train
    assert settings is not None
    model, config = initial.model, initial.model.config
    everything = joined(data.training, data.rehearsal)
    mix = mix_of(data, config, settings)
    for row, seconds in enumerate(chain(mix.training, mix.rehearsal)):
        if seconds > config.max_seconds:
            raise SecateurError(
                f"{everything[row].id}: {seconds:.1f} s does not fit the audio context of {config.max_seconds:.1f} s; "
                "leave such clips out (--longest) or keep more context (--audio-seconds)"
            )
    bank = data.training_bank(config.front_end.sample_rate)
    callbacks: list[Callback] = []
    pruner = None
    if arm.prune is not None:
        check_low_rank_method(arm.prune.method, settings.low_rank_updates)
        check_sharded_method(arm.prune.method, settings.shard)
        model.to(data.device)
        pruner = make_method(model, arm.prune, original[arm.prune.measure])
        callbacks.append(pruner)

    def validate(current: Network) -> dict[str, float]:
        return {"error": decode_set(current, initial.tokenizer, data, "dev", data.dev, arm.name, shared=True).rate}

    rate = config.front_end.sample_rate
    noise, nonspeech = (None if bank is None else bank.at(rate) for bank in (data.noise, data.nonspeech))
    main = task_of(config).objective(initial, everything, settings, teacher, data.device)
    objective = with_auxiliary_head(main, model, everything, settings, head)
    helped = objective if isinstance(objective, AuxiliaryObjective) else None
    run = TrainingRun(
        bank=bank, mix=mix, objective=objective, extra=None if helped is None else helped.head, callbacks=callbacks,
        validate=validate, folder=folder, label=arm.name, noise=noise,
        nonspeech=nonspeech,
    )  # fmt: skip
    if settings.offload and teacher is None:
        before.model.cpu()  # until it is measured again
    copied = at_home if settings.offload else lambda value: value.detach().clone()
    start = {name: copied(value) for name, value in model.state_dict().items()} if data.rehearsal_dev else {}
    log = train(model, run, settings)
    known = before.settle(model, initial.tokenizer, start, callbacks, settings, arm.name) if start else {}
    if helped is not None and settings.auxiliary_saved and distributed.rank() == 0:
        save_head(folder, helped.head, helped.units)
    # Early stopping ends before the total.
    return (pruner.shrunk() if pruner is not None else model), log[-1]["step"], known


def remove_state(folder: Path) -> None:
    """Remove the training state of a finished arm, which may have been killed before it came to that."""
    (folder / "state.safetensors").unlink(missing_ok=True)


def finished(folder: Path) -> Json | None:
    """The summary of an arm that is done, or None."""
    path = folder / "summary.json"
    return dict(read_json(path)) if path.exists() else None


def complete(folder: Path) -> Json | None:
    """The summary of an arm whose tests are done too, or None."""
    summary = finished(folder)
    return summary if summary is not None and summary.get("complete") else None
