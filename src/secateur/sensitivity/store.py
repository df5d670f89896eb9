"""What is finished, in the out folder: one file a piece of work, whole or not there, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.files import read_json, write_json
from ..base.options import from_dict
from ..prune.sensitivity_map import numbers, spans
from .variants import Variant

ALL, ERRORS = "all", "errors"  # rows of losses on all clips, and of errors, beside those of the parts


@dataclass(frozen=True)
class Piece:
    """Variants that one worker measures in one go: losses on one part of the clips, or on all of them with texts."""

    part: int | None
    variants: tuple[Variant, ...]

    @property
    def rows(self) -> str:
        """What the losses are called in the store."""
        return ALL if self.part is None else str(self.part)


class Store:
    """`values[rows][variant]` is a number a clip: negative log-likelihoods by part or on all clips, or errors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values: dict[str, dict[str, list[float]]] = {}
        self.seconds = 0.0
        for path in sorted((folder / "pieces").glob("*.json")):
            self._take(read_json(path))

    def _take(self, piece: dict[str, Any]) -> None:
        for rows, values in piece["values"].items():
            self.values.setdefault(rows, {}).update(values)
        self.seconds += piece["seconds"]

    def add(self, piece: Piece, values: dict[str, Sequence[Sequence[float]]], seconds: float) -> None:
        """Keep a finished piece: rows of numbers, one a variant."""
        names = [v.name for v in piece.variants]
        entry = {
            rows: {name: [round(float(x), 5) for x in row] for name, row in zip(names, many, strict=True)}
            for rows, many in values.items()
        }
        content = {"seconds": round(seconds, 3), "values": entry}
        key = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        write_json(self.folder / "pieces" / f"{piece.rows}-{key}.json", content, indent=None)
        self._take(content)

    def pieces(self, part: int | None, variants: Sequence[Variant], size: int) -> list[Piece]:
        """What is still to be done, `size` variants a piece at the most."""
        done = self.values.get(Piece(part, ()).rows, {})
        todo = [v for v in variants if v.name not in done]
        each = -(-len(todo) // max(1, -(-len(todo) // size)))  # pieces of one size
        return [Piece(part, tuple(todo[i : i + each])) for i in range(0, len(todo), each or 1)]


def same_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Note the settings of a new run; refuse to go on with other ones.

    Raises:
        SecateurError: the folder holds a run with other settings.
    """
    path = folder / "settings.json"
    now = json.loads(json.dumps(settings))
    if not path.exists():
        write_json(path, now)
    elif read_json(path) != now:
        old = read_json(path)
        odd = next((k for k in now if old.get(k) != now[k]), "keys")
        raise SecateurError(f"{folder}: a run with another '{odd}' is here; name another --out, or delete it")


def write_variants(path: Path, variants: Sequence[Variant], known: dict[str, Any]) -> None:
    """Keep what is measured, and what else was `known` of the model, so that a run goes on with the same ranking."""
    rows = [
        {**{k: getattr(v, k) for k in ("site", "kind", "layer", "part", "amount", "silenced", "change")},
         "gone": {group: spans(units) for group, units in v.gone.items()}}
        for v in variants
    ]  # fmt: skip
    write_json(path, {**known, "variants": rows}, indent=None)


def read_variants(path: Path) -> tuple[list[Variant], dict[str, Any]]:
    """What `write_variants` kept."""
    known = read_json(path)
    rows = known.pop("variants")
    for row in rows:
        row["gone"] = {group: numbers(text) for group, text in row["gone"].items()}
    return [from_dict(Variant, row, str(path)) for row in rows], known
