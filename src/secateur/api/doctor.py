"""What would be pruned of a model, what stays whole, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.options import Settings, option
from .job import job

if TYPE_CHECKING:
    from ..models.findings import Findings


@dataclass(frozen=True, kw_only=True)
class DoctorSettings(Settings):
    """Which model is examined."""

    model: str = option(
        help="Examine this: a model folder (ours or of transformers), a known name, owner/name, or a .keras file.",
        positional=True,
    )


@job(DoctorSettings)
def doctor(settings: DoctorSettings) -> Findings:
    """Examine a model without changing anything.

    Raises:
        SecateurError: no such model.
    """
    from ..base.extras import require

    if settings.model.endswith(".keras"):
        from ..keras.doctor import examine_file

        return examine_file(Path(settings.model))
    require("torch", "train")
    from ..study.doctor import examine

    return examine(settings.model)
