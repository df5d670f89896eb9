"""A ranking before pruning: which groups matter least, by the chosen criterion, on a few batches."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..base.files import Json
from ..data.clip_index import durations_of
from ..data.job import JobData
from ..data.manifest import Utterance
from ..features.front_end import extractor
from ..models.family import TextCodec
from ..models.network import Network
from ..train.loss import Batch, Objective
from ..train.settings import TrainSettings
from ..train.stream import Mix, batch_stream
from .evidence import ActivationCollector, TaylorCollector
from .importance import CRITERIA, Evidence
from .initial_model import InitialModel
from .sensitivity_map import read_map
from .settings import PruneSettings
from .task import task_of
from .units import COSTS

BATCHES, BATCH_SECONDS = 4, 40.0  # what evidence is gathered on


def gather_evidence(model: Network, tokenizer: TextCodec, data: JobData) -> Evidence:
    """Gradients and activations of a few training batches, on a copy of `model`."""
    copied = copy.deepcopy(model).to(data.device).eval()
    groups = [g for g in copied.groups() if g.maskable and g.kind not in ("vocabulary",)]
    collector = TaylorCollector(copied, groups)
    objective, loaded = training_batches(copied, tokenizer, data, data.training, BATCHES, BATCH_SECONDS)
    with ActivationCollector(copied) as activations:
        for batch in loaded:
            copied.zero_grad(set_to_none=True)
            loss: Tensor = objective(copied, batch, TrainSettings())
            loss.backward()  # type: ignore[no-untyped-call]
            collector.update()
    inputs, outputs = activations.norms()
    return Evidence(
        dict(copied.named_parameters()), collector.means(), inputs, outputs, signed=collector.signed_means()
    )


def training_batches(
    model: Network, tokenizer: TextCodec, data: JobData, clips: Sequence[Utterance], batches: int, batch_seconds: float
) -> tuple[Objective, Iterator[Batch]]:
    """The objective of `clips` (the first ones, or all, of the training bank), and `batches` of their plain batches,
    whose features have no augmentation."""
    config, settings = model.config, TrainSettings()
    bank = data.training_bank(config.front_end.sample_rate)
    objective = task_of(config).objective(InitialModel(model, tokenizer, None), clips, settings, None, data.device)
    durations = tuple(float(seconds) for seconds in durations_of(clips))
    stream = batch_stream(Mix(durations), batch_seconds, seed=0)
    features = extractor(config.front_end).to(data.device)

    def load() -> Iterator[Batch]:
        for step in range(batches):
            examples = next(stream)
            audio, lengths = bank.gather([row for example in examples for row in example.clips])
            inputs, frames = features(audio, lengths, input_mask=model.input_mask)
            yield Batch(examples, len(data.training), audio, lengths, inputs, frames, step)

    return objective, load()


def rank(model: Network, tokenizer: TextCodec, data: JobData, settings: PruneSettings) -> list[Json]:
    """Groups from the least to the most important per parameter: name, kind, units, mean score, parameters a unit."""
    evidence = gather_evidence(model, tokenizer, data)
    # Criteria for single weights do not rank units.
    criterion = CRITERIA[settings.criterion if settings.criterion in CRITERIA else "taylor"]
    if "map" in criterion.needs:
        evidence.map = read_map(settings.map)
    parameters = COSTS["parameters"]
    full = parameters(model.config)
    entries = []
    for group in model.groups():
        if not group.maskable or group.kind == "vocabulary" or group.units < 2:
            continue
        score = criterion(group, evidence).detach().float().cpu()
        keep = list(range(group.units))
        size = group.units // group.blocks
        one_less = [u for u in keep if u % size != size - 1]
        saved = full - parameters(model.config.shrunk({group.name: one_less}))
        entries.append({
            "group": group.name, "kind": group.kind, "units": group.units, "score": float(score.mean()),
            "score_per_parameter": float(score.mean()) * group.blocks / max(saved, 1),
            "lowest": torch.quantile(score, 0.1).item(), "highest": torch.quantile(score, 0.9).item(),
        })  # fmt: skip
    return sorted(entries, key=lambda entry: float(entry["score_per_parameter"]))
