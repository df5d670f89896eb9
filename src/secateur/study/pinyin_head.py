"""The output of a Whisper's pinyin head: beside the transcript, evidence for correction by sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from ..data.bank import AudioBank, buckets
from ..data.manifest import Utterance
from ..evaluate.corrected import PINYIN_EXTRA
from ..evaluate.result import Result
from ..families.seq2seq.inputs import encoder_inputs
from ..features.extractor import extractor
from ..models.network import Network
from ..models.token_network import TokenNetwork
from ..text.head_evidence import HeadEvidence
from ..text.pinyin_units import PinyinUnits
from ..train.auxiliary import load_head
from ..weights.fetch import load_model


@torch.no_grad()
def pinyin_evidence_of(
    model: Network, head: nn.Linear, units: PinyinUnits, bank: AudioBank, batch_seconds: float
) -> list[HeadEvidence]:
    """The head's output of every clip by its likely units, computed on the bank's device; clips longer than the audio
    context are cut."""
    network = cast(TokenNetwork, model)  # those with a head are encoder-decoders
    config, device = model.config, bank.device
    rate = config.front_end.sample_rate
    features, head = extractor(config.front_end).to(device), head.to(device)
    seconds = [config.max_seconds if config.padded else min(int(n) / rate, config.max_seconds) for n in bank.lengths]
    evidence = [HeadEvidence(units.form, ())] * len(bank)
    for rows in buckets(seconds, batch_seconds, None):
        memory, valid = network.encoder(*encoder_inputs(features, *bank.gather(rows), config), network.dropout)
        counts = [memory.shape[1]] * len(rows) if valid is None else valid.sum(1).tolist()
        log_probs = head(memory).float().log_softmax(-1).cpu().numpy()
        for row, output, count in zip(rows, log_probs, counts, strict=True):
            evidence[row] = HeadEvidence.of(output[:count], units)
    return evidence


def with_pinyin_evidence(result: Result, evidence: Sequence[HeadEvidence]) -> Result:
    """`result` with the evidence of every clip as the extra that correction by sound reads."""
    rows = [
        replace(r, extras={**r.extras, PINYIN_EXTRA: str(one)}) for r, one in zip(result.rows, evidence, strict=True)
    ]
    return replace(result, rows=tuple(rows))


def add_pinyin_evidence(
    result: Result, folder: str, utterances: Sequence[Utterance], device: str, batch_seconds: float
) -> Result:
    """`result` of a checkpoint on `utterances` with its pinyin head's output; as it is where no head was saved.

    Raises:
        SecateurError: head and units, or the checkpoint, cannot be read.
    """
    head = load_head(Path(folder))
    if head is None:
        return result
    model, _ = load_model(folder)
    model = model.to(device).eval()
    bank = AudioBank.read(utterances, torch.device(device), model.config.front_end.sample_rate, label="")
    return with_pinyin_evidence(result, pinyin_evidence_of(model, *head, bank, batch_seconds))
