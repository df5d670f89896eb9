"""Kaldi's cepstra (MFCC) as a kind of features: the cosine transform of its log-mel, whose code they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .fbank import FbankKind
from .front_end import FrontEnd, filters_fit


class MfccKind(FbankKind):
    """A frame is `coefficients`, the first of which energy replaces; deltas as of `fbank`."""

    name, title = "mfcc", "Kaldi's cepstra"
    usual: ClassVar[Mapping[str, Any]] = {**FbankKind.usual, "bins": 23, "coefficients": 13, "lifter": 22.0}
    uses = FbankKind.uses | {"coefficients", "lifter"}

    def problems(self, f: FrontEnd) -> list[str]:
        """See `Kind.problems`."""
        if not 1 <= f.coefficients <= f.bins:
            return [f"coefficients must be 1 to bins ({f.bins}), found {f.coefficients}"]
        return super().problems(f)

    def filter_problems(self, f: FrontEnd) -> list[str]:
        """A lowered rate leaves at least one filter: what is beyond counts as its highest neighbour."""
        return filters_fit(f, {*f.audible} or None)

    def statics(self, f: FrontEnd) -> int:
        """The number of cepstral coefficients a frame, before deltas."""
        return f.coefficients

    def reads_below(self, f: FrontEnd, bins: set[int]) -> tuple[int, ...]:
        """All: every coefficient is made of all bins (see `kaldi.cepstrum`)."""
        return f.reads


KIND = MfccKind()
