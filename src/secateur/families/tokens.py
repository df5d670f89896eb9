"""What the families share that write tokens one after another: all but config, network, cost, files and graphs."""

from __future__ import annotations

from functools import partial

from ..base.plugins import Lazy
from ..models.family import Family

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
