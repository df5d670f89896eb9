"""What a Keras model that classifies words is measured on: rows of features, and the recordings they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError, check_known

if TYPE_CHECKING:
    from keras import Model

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Recordings:
    """Rows of features, of recordings of one row or several: the class of each row, the text of each recording.

    Loss is measured on sets with `classes`, word errors on sets with `texts`.
    """

    features: Floats  # (rows, ...), as the model takes them
    classes: NDArray[np.integer] | None = None  # (rows,): the right class of each
    owner: NDArray[np.integer] | None = None  # (rows,): which recording a row is of; none: each of its own
    texts: Sequence[str] | None = None  # reference of each recording
    speakers: Sequence[str] | None = None  # of each recording; none: all different

    @property
    def owners(self) -> NDArray[np.integer]:
        """(rows,)"""
        return np.arange(len(self.features)) if self.owner is None else np.asarray(self.owner)

    def count(self) -> int:
        """Recordings."""
        if self.texts is not None:
            return len(self.texts)
        return int(self.owners.max()) + 1 if len(self.features) else 0

    def named(self) -> list[str]:
        """The speaker of each recording."""
        return list(self.speakers) if self.speakers is not None else [str(i) for i in range(self.count())]


def read_recordings(path: Path) -> tuple[Recordings, tuple[str, ...]]:
    """A set and the words of its classes from an .npz file with the arrays `features` and `words`, and any of
    `classes`, `owner`, `texts`, `speakers`.

    Raises:
        SecateurError: no such file, or not these arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError) as problem:
        raise SecateurError(f"{path}: cannot be read as .npz: {problem}") from problem
    if not {"features", "words"} <= set(values):
        raise SecateurError(f"{path}: arrays 'features' and 'words' are needed, found {', '.join(sorted(values))}")
    for name in ("texts", "speakers"):
        if name in values:
            values[name] = values[name].tolist()
    words = tuple(values.pop("words").tolist())
    for name in values:
        check_known(f"{path}: array", name, list(Recordings.__dataclass_fields__))
    return Recordings(**values), words


def chosen_sets(
    model: Model, sets: Sequence[Recordings], words: Sequence[str]
) -> tuple[Recordings | None, Recordings | None]:
    """The set for the loss, and the one for word errors.

    Raises:
        SecateurError: neither, or sizes that do not fit.
    """
    outputs = model.output_shape
    if not isinstance(outputs, tuple) or len(outputs) != 2 or outputs[1] != len(words):
        raise SecateurError(f"the model's output is {outputs}; one class for each of the {len(words)} words is needed")
    for one in sets:
        rows = len(one.features)
        for name, values, size in (
            ("classes", one.classes, rows),
            ("owner", one.owner, rows),
            ("speakers", one.speakers, one.count()),
        ):
            if values is not None and len(values) != size:
                raise SecateurError(f"{name}: {size} are needed, found {len(values)}")
    labelled = next((s for s in sets if s.classes is not None), None)
    transcribed = next((s for s in sets if s.texts is not None), None)
    if labelled is None and transcribed is None:
        raise SecateurError("nothing to measure: give a set with classes or with texts")
    return labelled, transcribed
