"""What the pinyin head of a Whisper hears in clips: beside the transcript, evidence for correction by sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ..data.bank import AudioBank, buckets
from ..evaluate.corrected import HEARD
from ..evaluate.result import Result
from ..features.mel_torch import LogMel
from ..models.decoding.ctc.greedy import greedy
from ..text.pinyin_units import PinyinUnits, joined


@torch.no_grad()
def heard_pinyin(
    model: Any, head: nn.Linear, units: PinyinUnits, bank: AudioBank, batch_seconds: float
) -> list[str]:
    """The syllables of every clip, with tones, separated by spaces: the head's best path, computed on the bank's
    device; clips longer than the audio context are cut."""
    config, device = model.config, bank.device
    rate = config.front_end.sample_rate
    window = int(config.max_seconds * rate)
    features, head = LogMel(config.front_end).to(device), head.to(device)
    seconds = [config.max_seconds if config.padded else min(int(n) / rate, config.max_seconds) for n in bank.lengths]
    found = [""] * len(bank)
    for rows in buckets(seconds, batch_seconds, None):
        audio, lengths = bank.gather(rows)
        audio, lengths = audio[:, :window], lengths.clamp_max(window)
        mel, frames = features(audio, lengths, pad_to=window if config.padded else None)
        memory, _ = model.encoder(mel, None if config.padded else frames, model.dropout)
        log_probs = head(memory).float().log_softmax(-1).cpu().numpy()
        for row, output, count in zip(rows, log_probs, frames.tolist(), strict=True):
            names = [units.names[i - 1] for i in greedy(output[: (count + 1) // 2])]
            found[row] = " ".join(joined(names) if units.form == "parts" else names)
    return found


def with_heard(result: Result, heard: Sequence[str]) -> Result:
    """`result` with every clip's pinyin as the extra that `secateur text correct` reads."""
    rows = [replace(r, extras={**r.extras, HEARD: text}) for r, text in zip(result.rows, heard, strict=True)]
    return replace(result, rows=tuple(rows))
