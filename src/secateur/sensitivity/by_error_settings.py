"""Settings of removal by error."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.errors import SecateurError
from ..base.options import Settings, option

KINDS = ("head", "ffn", "query_key", "value", "conv", "unit")


@dataclass(frozen=True)
class ByErrorSettings(Settings):
    """How removals are chosen."""

    most: int = option(8, "Remove at most this many sites, one after the other.", least=1)
    tried: int = option(5, "Confirm the best of these many candidates a round on held-out clips.", least=1)
    gain: float = option(
        0.1, "Accept a removal that lowers the error on held-out clips by at least this.", unit="points", above=0
    )
    forget: float = option(
        0.2,
        "Refuse a removal that raises the error on any set to keep by more than this, in all.",
        unit="points",
        least=0,
    )
    clips: int = option(
        600, "Select on this many training clips, speakers taking turns; dev confirms.", unit="clips", least=8
    )
    kinds: tuple[str, ...] = option(("head", "ffn"), "Try sites of these kinds.", advanced=True)
    amounts: tuple[float, ...] = option(
        (0.05, 0.1), "Try these shares of every group of units, those first whose removal should lower the loss.",
        unit="share", above=0, below=1, advanced=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown:
            raise SecateurError(f"kinds: no '{unknown[0]}' can be removed by error (known: {', '.join(KINDS)})")
