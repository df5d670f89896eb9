"""What families share that answer in every frame (CTC), or write token by token: all but config, network and files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ..base.plugins import Lazy
from ..models.family import Family, TextCodec
from ..text.units import read_units

TokenFamily = partial(
    Family,
    text_file="tokenizer.json",
    task=Lazy("secateur.families.seq2seq.task:Seq2SeqTask"),
    probe=Lazy("secateur.families.seq2seq.probe:TokenProbe"),
    recogniser=Lazy("secateur.families.seq2seq.task:recogniser_of"),
    runtime=Lazy("secateur.runtime.token_recogniser:from_export"),
    stream_decoder=Lazy("secateur.runtime.streaming.agreement:WhisperStreamDecoder"),
    phrases=Lazy("secateur.assistant.phrases.search:search_of"),
)


def _read_text(path: Path, config: Any) -> TextCodec:
    return read_units(path)


CtcFamily = partial(
    Family,
    by_frame=True,
    text_file="units.json",
    read_text=_read_text,
    task=Lazy("secateur.families.ctc.task:CtcTask"),
    probe=Lazy("secateur.families.ctc.probe:CtcProbe"),
    recogniser=Lazy("secateur.families.ctc.task:recogniser_of"),
    runtime=Lazy("secateur.runtime.ctc_recogniser:from_export"),
    stream_decoder=Lazy("secateur.runtime.streaming.chunks:CtcStreamDecoder"),
    phrases=Lazy("secateur.assistant.phrases.ctc:search_of"),
)
