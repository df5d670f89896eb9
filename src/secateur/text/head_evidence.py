"""What a pinyin head recognised in a clip, small enough for a row of a result, and how well any syllables fit it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from .pinyin import FORMS, Syllable
from .pinyin_units import Form, PinyinUnits, joined

CERTAIN = 0.98  # of frames in a row that are blank with this probability one is kept
LISTED = 0.003  # units below this probability are not listed,
FLOOR = -7.0  # and count as so likely (nats)
MOST = 8  # units listed of a frame
BLANK = "_"
IMPOSSIBLE = -1e30
RESCALED = 8  # frames: probabilities of so many, multiplied, are far above the smallest number


@dataclass(frozen=True)
class HeadEvidence:
    """A CTC output (frames, units) by its likely units: `frames` map a unit's name, or `BLANK`, to its log probability.

    As text it is `form` and the frames, units with minus hundredths of a nat: "parts|_:12 zh:230|ong1:3".
    """

    form: Form
    frames: tuple[dict[str, float], ...]
    _known: dict[tuple[str, ...], float] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, log_probs: NDArray[np.float32], units: PinyinUnits) -> HeadEvidence:
        """From a head's log probabilities (frames, units), the blank first."""
        names = (BLANK, *units.names)
        certain = log_probs[:, 0] >= np.log(CERTAIN)
        again = certain & np.concatenate([[False], certain[:-1]])
        frames = []
        for row in log_probs[~again]:
            likely = [int(i) for i in np.argsort(-row)[:MOST] if row[i] > np.log(LISTED)]
            frames.append({names[i]: round(float(row[i]), 2) for i in likely})
        return cls(units.form, tuple(frames))

    @classmethod
    def read(cls, text: str) -> HeadEvidence:
        """What `text` (see the class) says.

        Raises:
            SecateurError: not such a text.
        """
        form, *frames = text.split("|")
        try:
            pairs = [[unit.rsplit(":", 1) for unit in frame.split()] for frame in frames]
            if form not in ("parts", "numbers", "plain"):
                raise ValueError(form)
            return cls(form, tuple({name: -int(cost) / 100 for name, cost in frame} for frame in pairs))  # type: ignore[arg-type]
        except ValueError as problem:
            raise SecateurError(f"'{text[:40]}' is not of a pinyin head: evaluate the model again") from problem

    def __str__(self) -> str:
        lines = (" ".join(f"{n}:{round(-100 * p)}" for n, p in frame.items()) for frame in self.frames)
        return "|".join([self.form, *lines])

    def best(self) -> str:
        """The best path's syllables, with tones where the head has them, separated by spaces."""
        names: list[str] = []
        last = BLANK
        for frame in self.frames:
            name = max(frame, key=lambda n: frame[n]) if frame else BLANK
            if name not in (BLANK, last):
                names.append(name)
            last = name
        return " ".join(joined(names) if self.form == "parts" else names)

    def scores(self, spoken: Sequence[Sequence[Syllable]]) -> list[float]:
        """log P(syllables | clip), summed over all paths (Graves et al. 2006), for each of several sequences."""
        names = {s: FORMS[self.form](s).split() if s.final else [] for s in {s for one in spoken for s in one}}
        keys = [tuple(itertools.chain.from_iterable(names[s] for s in one)) for one in spoken]
        new = sorted({key for key in keys if key not in self._known})
        if new:
            self._known.update(zip(new, self._forward(new).tolist(), strict=True))
        return [self._known[key] for key in keys]

    def _forward(self, targets: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
        names = {name: i for i, name in enumerate(sorted({n for key in targets for n in key} | {BLANK}))}
        table = np.full((len(self.frames), len(names)), FLOOR)
        for row, frame in zip(table, self.frames, strict=True):
            for name, value in frame.items():
                if name in names:
                    row[names[name]] = value
        longest = max(len(key) for key in targets)
        states = np.full((2 * longest + 1, len(targets)), names[BLANK])  # blank, unit, blank, unit, ..., blank
        for column, key in enumerate(targets):
            states[1 : 2 * len(key) : 2, column] = [names[n] for n in key]
        skips = np.zeros(states.shape)  # from the unit before, unless it is the same
        skips[3::2] = states[3::2] != states[1:-2:2]
        alpha = np.zeros(states.shape)
        alpha[0] = 1.0  # before the first frame
        scale = np.zeros(len(targets))  # logarithm of what `alpha` was divided by, so that it stays in range
        for number, row in enumerate(np.exp(table), 1):
            reached = alpha.copy()
            reached[1:] += alpha[:-1]
            reached[2:] += alpha[:-2] * skips[2:]
            alpha = reached * row[states]
            if number % RESCALED == 0:
                largest = alpha.max(0)
                alpha /= largest
                scale += np.log(largest)
        ends = np.array([2 * len(key) for key in targets])
        columns = np.arange(len(targets))
        last = alpha[ends, columns] + np.where(ends > 0, alpha[np.maximum(ends - 1, 0), columns], 0.0)
        with np.errstate(divide="ignore"):
            total: NDArray[np.float64] = np.maximum(np.log(last) + scale, IMPOSSIBLE)
        return total
