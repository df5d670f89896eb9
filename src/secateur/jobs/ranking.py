"""A ranking before anything goes: which groups matter least, by the chosen criterion, on a few batches."""

from __future__ import annotations

import copy
from typing import Any

import torch

from ..features.mel_torch import LogMel
from ..models.whisper.cost import count_parameters
from ..models.whisper.model import Whisper
from ..prune.evidence import ActivationCollector, TaylorCollector
from ..prune.importance import CRITERIA, Evidence
from ..prune.settings import PruneSettings
from ..text.tokenizer import Tokenizer
from ..train.loss import cross_entropy
from ..train.stream import Mix, batch_stream
from ..train.targets import encode_targets, token_batch
from .arm import JobData


def gather_evidence(
    model: Whisper, tokenizer: Tokenizer, data: JobData, batches: int = 4, batch_seconds: float = 40.0
) -> Evidence:
    """Gradients and activations of `batches` training batches, on a copy of `model`."""
    twin = copy.deepcopy(model).to(data.device).eval()
    config = twin.config
    groups = [g for g in twin.groups() if g.maskable and g.kind not in ("vocabulary",)]
    collector = TaylorCollector(twin, groups)
    bank = data.bank("train", [*data.learn, *data.retain], config.front_end.sample_rate)
    learn = data.learn
    rows = encode_targets(learn, tokenizer, config.tokens, config.text_context)
    stream = batch_stream(Mix(tuple(u.duration for u in learn)), batch_seconds, seed=0)
    features = LogMel(config.front_end).to(data.device)
    prompt = len(config.tokens.prompt(learn[0].language))
    with ActivationCollector(twin) as activations:
        for _ in range(batches):
            batch = next(stream)
            mel, frames = features(*bank.gather(batch))
            tokens = token_batch([rows[i] for i in batch], prompt, config.tokens.end, data.device)
            twin.zero_grad(set_to_none=True)
            loss: Any = cross_entropy(twin(mel, frames, tokens.inputs), tokens.labels)
            loss.backward()
            collector.update()
    inputs, outputs = activations.norms()
    return Evidence(dict(twin.named_parameters()), collector.means(), inputs, outputs, signed=collector.signed_means())


def rank(model: Whisper, tokenizer: Tokenizer, data: JobData, settings: PruneSettings) -> list[dict[str, Any]]:
    """Groups from the least to the most important per parameter: name, kind, units, mean score, parameters a unit."""
    evidence = gather_evidence(model, tokenizer, data)
    full = count_parameters(model.config)["total"]
    found = []
    for group in model.groups():
        if not group.maskable or group.kind == "vocabulary" or group.units < 2:
            continue
        score = CRITERIA[settings.criterion](group, evidence).detach().float().cpu()
        keep = list(range(group.units))
        size = group.units // group.blocks
        less = [u for u in keep if u % size != size - 1]
        saved = full - count_parameters(model.config.shrunk({group.name: less}))["total"]
        found.append({
            "group": group.name, "kind": group.kind, "units": group.units, "score": float(score.mean()),
            "score_per_parameter": float(score.mean()) * group.blocks / max(saved, 1),
            "lowest": torch.quantile(score, 0.1).item(), "highest": torch.quantile(score, 0.9).item(),
        })  # fmt: skip
    return sorted(found, key=lambda entry: float(entry["score_per_parameter"]))
