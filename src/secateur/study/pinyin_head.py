"""What the pinyin head of a Whisper hears in clips: beside the transcript, evidence for correction by sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data.bank import AudioBank, buckets
from ..data.manifest import Utterance
from ..evaluate.corrected import HEARD
from ..evaluate.result import Result
from ..families.seq2seq.inputs import encoder_inputs
from ..features.extractor import extractor
from ..text.head_evidence import HeadEvidence
from ..text.pinyin_units import PinyinUnits
from ..train.auxiliary import load_head
from ..weights.fetch import load_model


@torch.no_grad()
def heard_pinyin(
    model: Any, head: nn.Linear, units: PinyinUnits, bank: AudioBank, batch_seconds: float
) -> list[HeadEvidence]:
    """The head's output of every clip by its likely units, computed on the bank's device; clips longer than the audio
    context are cut."""
    config, device = model.config, bank.device
    rate = config.front_end.sample_rate
    features, head = extractor(config.front_end).to(device), head.to(device)
    seconds = [config.max_seconds if config.padded else min(int(n) / rate, config.max_seconds) for n in bank.lengths]
    found = [HeadEvidence(units.form, ())] * len(bank)
    for rows in buckets(seconds, batch_seconds, None):
        memory, valid = model.encoder(*encoder_inputs(features, *bank.gather(rows), config), model.dropout)
        counts = [memory.shape[1]] * len(rows) if valid is None else valid.sum(1).tolist()
        log_probs = head(memory).float().log_softmax(-1).cpu().numpy()
        for row, output, count in zip(rows, log_probs, counts, strict=True):
            found[row] = HeadEvidence.of(output[:count], units)
    return found


def with_heard(result: Result, heard: Sequence[HeadEvidence]) -> Result:
    """`result` with what was heard in every clip as the extra that correction by sound reads."""
    rows = [replace(r, extras={**r.extras, HEARD: str(one)}) for r, one in zip(result.rows, heard, strict=True)]
    return replace(result, rows=tuple(rows))


def heard_beside(
    result: Result, folder: str, utterances: Sequence[Utterance], device: str, batch_seconds: float
) -> Result:
    """`result` of a checkpoint on `utterances` with what its pinyin head heard; as it is where none was kept.

    Raises:
        SecateurError: head and units, or the checkpoint, cannot be read.
    """
    head = load_head(Path(folder))
    if head is None:
        return result
    model, _ = load_model(folder)
    model = model.to(device).eval()
    bank = AudioBank.read(utterances, torch.device(device), model.config.front_end.sample_rate, label="")
    return with_heard(result, heard_pinyin(model, *head, bank, batch_seconds))
