"""Targets of pruning: `latency=0.5`, `parameters=0.4`, `macs=0.6`, `size=0.3`, `wer=+0.5`, `cost=tiny.en`."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.errors import SecateurError, nearest

RATIOS = ("latency", "parameters", "macs", "size")  # of the dense model's
COST = "cost"  # at most what another model takes: milliseconds of a short and of a long clip, bytes
WER = "wer"  # points of error rate that may be lost, before any tuning


@dataclass(frozen=True)
class Target:
    """`value` is a share of what the dense model has or takes, above 0 and below 1; of `wer`, points (0.5 is 0.5 %); of
    `cost`, a share of what `model` (a name or folder) takes, 1."""

    measure: str
    value: float
    model: str = ""


def parse_target(text: str) -> Target:
    """A target as the command line and TOML say it.

    >>> parse_target("latency=0.5"), parse_target("wer=+0.5")
    (Target(measure='latency', value=0.5), Target(measure='wer', value=0.5))

    Raises:
        SecateurError: no such measure (with the nearest), no number, or a share that is not between 0 and 1.
    """
    measure, sign, value = text.partition("=")
    known = (*RATIOS, WER, COST)
    if measure == COST:
        if not value:
            raise SecateurError(f"target '{text}': name the model that must not be exceeded, such as cost=tiny.en")
        return Target(measure, 1.0, value)
    if measure not in known:
        raise SecateurError(
            f"target '{text}': expected one of {', '.join(known)} and a number{nearest(measure, known)}, "
            "such as latency=0.5"
        )
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not sign or not (number >= 0 if measure == WER else 0 < number < 1):
        expected = "points of error rate from 0 on" if measure == WER else "a share of the dense model's, from 0 to 1"
        raise SecateurError(f"target '{text}': {measure} takes {expected}, found '{value}'")
    return Target(measure, number)


def names_model(target: str) -> bool:
    """Whether a target is another model's cost."""
    return bool(target) and parse_target(target).measure == COST
