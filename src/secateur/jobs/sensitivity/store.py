"""What is finished, in the out folder: one file a piece of work, whole or not there, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...base.errors import SecateurError
from ...base.files import read_json, write_json
from ...base.options import from_dict
from ...prune.sensitivity import numbers, spans
from .variants import Variant

Phase = Literal["screen", "rest", "decode"]


@dataclass(frozen=True)
class Piece:
    """Variants that one worker measures in one go: losses on a part of the clips, or texts of all."""

    phase: Phase
    variants: tuple[Variant, ...]


class Store:
    """`values[phase][variant]` is a number a clip: summed negative log-likelihoods, or errors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values: dict[str, dict[str, list[float]]] = {"screen": {}, "rest": {}, "decode": {}}
        self.seconds = 0.0
        for path in sorted((folder / "pieces").glob("*.json")):
            self._take(read_json(path))

    def _take(self, piece: dict[str, Any]) -> None:
        self.values[piece["phase"]] |= piece["values"]
        self.seconds += piece["seconds"]

    def add(self, piece: Piece, values: Sequence[Sequence[float]], seconds: float) -> None:
        """Keep a finished piece."""
        names = [v.name for v in piece.variants]
        found = {name: [round(float(x), 5) for x in row] for name, row in zip(names, values, strict=True)}
        content = {"phase": piece.phase, "seconds": round(seconds, 3), "values": found}
        key = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        write_json(self.folder / "pieces" / f"{piece.phase}-{key}.json", content, indent=None)
        self._take(content)

    def pieces(self, phase: Phase, variants: Sequence[Variant], size: int) -> list[Piece]:
        """What is still to be done, `size` variants a piece."""
        todo = [v for v in variants if v.name not in self.values[phase]]
        return [Piece(phase, tuple(todo[i : i + size])) for i in range(0, len(todo), size)]


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
