"""Any model under the conditions of real use, and two of them compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import SecateurError
from ..decode.options import DecodingOptions, check_decoding
from ..evaluate.decoded import PLAIN
from .compare import CompareSettings
from .evaluate import EvaluateSettings, is_exported, located

if TYPE_CHECKING:
    from ..evaluate.real_use import Results
    from ..evaluate.real_use_table import Change


def measure(settings: EvaluateSettings) -> Results:
    """The results of `settings.conditions`, by name, decoded as `transcribe` does; written to the folder `out`.

    Raises:
        SecateurError: a condition that nobody knows, or a model or manifest that cannot be read.
    """
    from ..evaluate.conditions import chosen
    from ..evaluate.real_use import of_model, write_results

    names = chosen(settings.conditions)
    for option in ("by", "correct", "correct_cost", "correct_lm", "alternatives", "tune_on", "metric"):
        if getattr(settings, option) is not None:
            flag = option.replace("_", "-")
            raise SecateurError(f"--{flag} does not go with --conditions: leave out one of the two")
    if settings.nonspeech is not None and "nonspeech" not in names:
        raise SecateurError("--nonspeech goes with --conditions nonspeech: add it, or leave out --nonspeech")
    check_decoding(settings.how(), replace(settings, decoding=PLAIN).how())
    model = located(settings.model)
    how = DecodingOptions() if settings.decoding == PLAIN else replace(settings, fallback=True).how()
    results = of_model(
        model if is_exported(model) else settings.model, settings.manifest, settings.conditions, how, settings.limit,
        settings.nonspeech, settings.threads, settings.device, settings.normalise,
    )  # fmt: skip
    if settings.out is not None:
        write_results(settings.out, results)
    return results


def folders(settings: CompareSettings) -> bool:
    """Whether two folders are compared that `measure` wrote."""
    a, b = Path(settings.a), Path(settings.b)
    return settings.manifest is None and all(one.is_dir() and any(one.glob("clean.json")) for one in (a, b))


def compare(settings: CompareSettings) -> list[Change]:
    """B against A, condition by condition, paired.

    Raises:
        SecateurError: results of other recordings.
    """
    from ..evaluate.real_use import read_results
    from ..evaluate.real_use_table import changes

    return changes(read_results(Path(settings.a)), read_results(Path(settings.b)))
