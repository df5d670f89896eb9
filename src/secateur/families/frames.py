"""What the families share that answer in every frame (CTC): everything but config, network, cost, files and graph."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ..base.plugins import Lazy
from ..models.family import Family, TextCodec
from ..text.units import read_units


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
