"""The error rate of a network on one of a job's sets, decoded greedily in batches."""

from __future__ import annotations

from itertools import chain

import torch

from ..data.job import JobData
from ..data.manifest import Utterance
from ..models.family import TextCodec
from ..models.network import Network
from ..prune.task import task_of
from ..train import distributed
from .result import Result
from .run import evaluate, with_cost


def score(
    model: Network, tokenizer: TextCodec, data: JobData, name: str, utterances: list[Utterance], label: str,
    shared: bool = False,
) -> Result:  # fmt: skip
    """Decode a set greedily and count errors, with the model's cost; `shared`: see `decode_set`."""
    progress = f"{label}: {name}" if distributed.rank() == 0 else ""
    return with_cost(decode_set(model, tokenizer, data, name, utterances, label, progress, shared), model.config)


def decode_set(
    model: Network, tokenizer: TextCodec, data: JobData, name: str, utterances: list[Utterance], label: str,
    progress: str = "", shared: bool = False,
) -> Result:  # fmt: skip
    """The hypotheses of `model` for a set, greedily; without `progress` nothing is shown.

    With `shared` the processes of a run decode a part each; all must call this, and all get the same result.
    """
    bank = data.bank(name, utterances, model.config.front_end.sample_rate)
    languages, task = [u.language for u in utterances], task_of(model.config)

    def texts(_: list[Utterance]) -> list[str]:
        rows = list(range(len(utterances)))
        if shared and distributed.count() > 1:  # dealt by length, so that all have as much to do
            rows = sorted(rows, key=lambda row: int(bank.lengths[row]))[distributed.rank() :: distributed.count()]
        part, spoken = (
            (bank, languages) if len(rows) == len(bank) else (bank.select(rows), [languages[r] for r in rows])
        )
        own = task.transcribe(model, tokenizer, part, spoken, batch_seconds(data.device), progress) if rows else []
        if len(rows) == len(bank):
            return own
        every = dict(chain.from_iterable(distributed.gathered(list(zip(rows, own, strict=True)))))
        return [every[row] for row in range(len(bank))]

    return evaluate(texts, utterances, model=label, data=name, normalise=data.normalise)


def batch_seconds(device: torch.device) -> float:
    """Seconds of audio to decode at once."""
    return 2400.0 if device.type == "cuda" else 60.0
