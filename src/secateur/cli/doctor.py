"""`secateur doctor`: what can be done with a model, and what cannot and why."""

from __future__ import annotations

from ..api.doctor import DoctorSettings, doctor
from ..base.files import Json
from ..base.options import to_dict

HELP = """Show what would be pruned of a model (groups, units, parameters), what stays whole, and why.

A model of an unknown family gets the list of its layers and the reason: nothing is guessed. Of a Keras model (.keras)
each group names the layers whose units go together."""
EXAMPLE = """secateur doctor downloads/wav2vec2-base-960h
secateur doctor digits.keras"""


Options = DoctorSettings


def run(options: DoctorSettings) -> Json:
    """Look, without changing anything."""
    findings: Json = to_dict(doctor(options))
    return findings


def show(result: Json) -> str:
    """What may go, then what may not."""
    from ..base.options import from_dict
    from ..models.findings import Findings

    return str(from_dict(Findings, result))
