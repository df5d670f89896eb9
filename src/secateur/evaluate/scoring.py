"""The error rate of a network on one of a job's sets, decoded greedily in batches."""

from __future__ import annotations

import torch

from ..data.job import JobData
from ..data.manifest import Utterance
from ..models.family import TextCodec
from ..models.network import Network
from ..prune.task import task_of
from .result import Result
from .run import evaluate, with_cost


def score(
    model: Network, tokenizer: TextCodec, data: JobData, name: str, utterances: list[Utterance], label: str
) -> Result:
    """Decode a set greedily and count errors, with the model's cost."""
    return with_cost(decode_set(model, tokenizer, data, name, utterances, label, f"{label}: {name}"), model.config)


def decode_set(
    model: Network, tokenizer: TextCodec, data: JobData, name: str, utterances: list[Utterance], label: str,
    progress: str = "",
) -> Result:  # fmt: skip
    """The hypotheses of `model` for a set, greedily; without `progress` nothing is shown."""
    bank = data.bank(name, utterances, model.config.front_end.sample_rate)
    languages, task = [u.language for u in utterances], task_of(model.config)
    return evaluate(
        lambda _: task.transcribe(model, tokenizer, bank, languages, batch_seconds(data.device), progress),
        utterances, model=label, data=name, normalise=data.normalise,
    )  # fmt: skip


def batch_seconds(device: torch.device) -> float:
    """Seconds of audio to decode at once."""
    return 2400.0 if device.type == "cuda" else 60.0
