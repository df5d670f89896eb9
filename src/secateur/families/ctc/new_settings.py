"""The settings of a new CTC model, in one frozen dataclass that needs no torch; `make_new` builds it."""

from __future__ import annotations

from dataclasses import dataclass

from ...base.options import Settings, option
from ...text.units import Kind


@dataclass(frozen=True)
class NewModel(Settings):
    """The untrained model to start from, instead of a pretrained one; none without a `preset`."""

    preset: str = option(
        "",
        "Start from an untrained CTC model of this kind, or with `whisper` from a CTC output on an encoder.",
        choices="secateur.families.ctc.new_model:NAMES",
    )
    trunk: str = option("", "Take the encoder, weights included, of this Whisper (preset whisper).")
    units: Kind = option("characters", "Choose the output units.")
    pieces: int = option(256, "Learn this many pieces (units pieces).", unit="pieces", least=2)
    layers: int | None = option(
        None, "Stack this many layers or blocks; left out: the preset's.", unit="layers", least=1
    )
    width: int | None = option(None, "Make a layer or branch this wide; left out: the preset's.", least=1)
