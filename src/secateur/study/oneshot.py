"""Pruning without training: at once by a ranking on a few batches, or what raises the error rate (`--by error`)."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path

from ..allocation.named_cost import planned_cost
from ..allocation.plan import planned
from ..base.device import device_name
from ..base.errors import SecateurError
from ..base.files import Json, read_json, write_json
from ..base.options import from_dict, to_dict
from ..data.job import JobData
from ..evaluate.result import write_result
from ..evaluate.scoring import score
from ..models.checkpoint import as_saved, load_checkpoint, save_checkpoint
from ..models.family import TextCodec
from ..models.network import Network
from ..prune.initial_model import InitialModel
from ..prune.measured_cuts import with_measured_cuts
from ..prune.ranking import gather_evidence
from ..prune.settings import ByErrorSettings, PruneSettings, names_model
from ..prune.task import task_of
from ..prune.units import COSTS, GradualPruner
from ..sensitivity.by_error import remove_by_error
from ..sensitivity.probe import in_turn
from .preview import without_training

SETTINGS = "prune.json"  # what was removed, beside the checkpoint


REMOVED = "removed.json"  # the sites, beside the checkpoint


def prune_without_training(
    model: Network, tokenizer: TextCodec, data: JobData, settings: PruneSettings, folder: Path
) -> Json:
    """Cut `model` by `settings` and keep checkpoint, results and a summary in `folder`.

    The checkpoint is written before anything is scored: a job that was killed while it scored goes on there.

    The model still expects 30 s windows if it did before: nothing has taught it shorter ones, so the audio context
    is kept.

    Raises:
        SecateurError: a budget that cannot be met, a method that only works while training, or a clip that is longer
            than the audio context.
    """
    if settings.method != "gradual":
        raise SecateurError(f"the method '{settings.method}' prunes while training: let it train, or use 'gradual'")
    started = time.perf_counter()
    if (folder / "config.json").exists():
        pruned, text = load_checkpoint(folder, data.device)
        settings = from_dict(PruneSettings, read_json(folder / SETTINGS), str(folder / SETTINGS))
    else:
        pruned, text, settings = _cut(model, tokenizer, data, settings, folder)
        write_json(folder / SETTINGS, to_dict(settings))
        save_checkpoint(folder, pruned, text, half=True)
    results = {name: score(pruned, text, data, name, sets, "pruned") for name, sets in data.tests.items()}
    for name, result in results.items():
        write_result(folder / "results" / f"{name}.json", result)
    summary = {
        "folder": str(folder),
        "prune": to_dict(settings),
        "steps": 0,
        "seconds": round(time.perf_counter() - started, 1),
        "device": device_name(data.device),
        "error": {name: r.rate for name, r in results.items()},
        "removed": 1 - COSTS["parameters"](pruned.config) / COSTS["parameters"](model.config),
    }
    write_json(folder / "summary.json", summary)
    return summary


def _cut(
    model: Network, tokenizer: TextCodec, data: JobData, settings: PruneSettings, folder: Path
) -> tuple[Network, TextCodec, PruneSettings]:
    """What is left of `model`, rounded as it is saved, its text codec, and the settings that a target became."""
    padded = getattr(model.config, "padded", False)
    settings = without_training(model, settings)
    texts = [u.text for u in (*data.training, *data.rehearsal)]
    languages = sorted({u.language for u in data.training})

    def make(how: PruneSettings) -> InitialModel:
        made = task_of(model.config).initial_model(model, tokenizer, texts, languages, how, None)
        if padded:
            made.model.config = replace(made.model.config, padded=True)
        return made

    if names_model(settings.target):
        settings = planned_cost(model, tokenizer, make, data, settings, folder)
    initial = make(settings)
    most = initial.model.config.max_seconds
    for one in (*data.training, *data.rehearsal):
        if one.duration > most:
            raise SecateurError(
                f"{one.id}: {one.duration:.1f} s does not fit the audio context of {most:.1f} s; leave such clips out "
                "(--longest)"
            )
    initial = with_measured_cuts(initial, data, settings)
    settings = planned(model, tokenizer, initial, data, settings, folder)
    pruned = initial.model.to(data.device)
    pruner = GradualPruner(pruned, settings, COSTS[settings.measure](model.config))
    # What batches tell costs a minute, and the size of weights or a measured map needs none of it.
    evidence = gather_evidence(pruned, initial.tokenizer, data) if pruner.criterion.reads_batches else None
    pruner.prune_to(1.0, evidence)
    return as_saved(pruner.shrunk().eval()), initial.tokenizer, settings


def prune_by_error(model: Network, text: TextCodec, data: JobData, settings: ByErrorSettings, folder: Path) -> Json:
    """Select on training clips, confirm on dev, keep `data.rehearsal_dev`; writes checkpoint, results and summary.

    Raises:
        SecateurError: sets that share speakers, or a clip that does not fit the audio context.
    """
    started = time.perf_counter()
    removed: list[Json]
    longest = model.config.max_seconds
    training = [u for u in data.training if u.text and u.duration <= longest]
    if not training or not data.dev:
        raise SecateurError("removal by error needs clips to select on (--train) and to confirm on (--dev)")
    select = [training[i] for i in sorted(in_turn(training)[: settings.clips])]
    before = {
        name: score(model.to(data.device).eval(), text, data, name, clips, "original")
        for name, clips in data.tests.items()
    }
    if (folder / "config.json").exists():  # killed while it scored
        pruned, removed = load_checkpoint(folder, data.device)[0], read_json(folder / REMOVED)
    else:
        pruned, sites = remove_by_error(
            model, text, select, data.dev, data.rehearsal_dev, settings, data.device, data.normalise,
            lambda so_far: write_json(folder / REMOVED, [asdict(one) for one in so_far]),
        )  # fmt: skip
        pruned, removed = as_saved(pruned.to(data.device).eval()), [asdict(one) for one in sites]
        write_json(folder / REMOVED, removed)
        save_checkpoint(folder, pruned, text, half=True)
    results = {name: score(pruned, text, data, name, clips, "by error") for name, clips in data.tests.items()}
    for name, result in results.items():
        write_result(folder / "results" / f"{name}.json", result)
        write_result(folder / "before" / f"{name}.json", before[name])
    summary = {
        "folder": str(folder), "by_error": to_dict(settings), "steps": 0,
        "seconds": round(time.perf_counter() - started, 1), "device": device_name(data.device),
        "removed_sites": removed,
        "before": {name: r.rate for name, r in before.items()}, "error": {name: r.rate for name, r in results.items()},
        "removed": 1 - COSTS["parameters"](pruned.config) / COSTS["parameters"](model.config),
    }  # fmt: skip
    write_json(folder / "summary.json", summary)
    return summary
