"""What single outputs of a model say beside an error rate: a Whisper's pinyin head (evidence for correction by
sound), and the phone error rate of a CTC model whose units are phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from ..base.errors import SecateurError
from ..data.bank import AudioBank, buckets
from ..data.manifest import Utterance
from ..decode.segments import Transcript
from ..evaluate.result import PINYIN_EXTRA, Result
from ..features.front_end import extractor
from ..models.network import Network
from ..models.token_network import TokenNetwork, encoder_inputs
from ..runtime.recogniser import Recogniser
from ..text.head_evidence import HeadEvidence
from ..text.phones import Phones
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


def phones_of(recogniser: Recogniser) -> Phones:
    """The phones of a recogniser.

    Raises:
        SecateurError: it writes something else.
    """
    text = getattr(recogniser, "text", None)
    if not isinstance(text, Phones):
        raise SecateurError("phones are counted of CTC models that write them (units = 'phones'): use wer or cer")
    return text


def in_phones(units: Phones, utterances: Sequence[Utterance]) -> list[Utterance]:
    """The clips with their words' usual pronunciations, and nothing between words, as transcripts."""
    return [replace(u, text=units.sounds(units.encode(u.text))) for u in utterances]


def sounds(units: Phones, transcript: Transcript) -> str:
    """The phones of a transcript."""
    return units.sounds(unit for segment in transcript.segments for unit in segment.tokens)
