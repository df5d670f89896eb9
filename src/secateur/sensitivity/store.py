"""Finished measurements in the out folder, one atomic file a work item, so that a killed run resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import Json, read_json, write_json
from ..base.options import from_dict
from ..prune.sensitivity_map import ABLATED, numbers, spans
from .variants import Variant

ALL, ERRORS = "all", "errors"  # rows of losses on all clips, and of errors, beside those of the parts


@dataclass(frozen=True)
class WorkItem:
    """Variants that one worker measures together: losses on one part of the clips, or on all of them with texts."""

    part: int | None
    variants: tuple[Variant, ...]

    @property
    def rows(self) -> str:
        """The key of the losses in the store."""
        return ALL if self.part is None else str(self.part)


class MeasurementStore:
    """`values[rows][variant]` is a number a clip: negative log-likelihoods by part or on all clips, or errors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values: dict[str, dict[str, list[float]]] = {}
        self.seconds = 0.0
        for path in sorted((folder / "pieces").glob("*.json")):
            self._add_values(read_json(path))

    def _add_values(self, item: Json) -> None:
        for rows, values in item["values"].items():
            self.values.setdefault(rows, {}).update(values)
        self.seconds += item["seconds"]

    def add(self, item: WorkItem, values: dict[str, Sequence[Sequence[float]]], seconds: float) -> None:
        """Store a finished work item: a row of numbers for each variant."""
        names = [v.name for v in item.variants]
        entry = {
            rows: {name: [round(float(x), 5) for x in row] for name, row in zip(names, row_values, strict=True)}
            for rows, row_values in values.items()
        }
        content = {"seconds": round(seconds, 3), "values": entry}
        key = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        write_json(self.folder / "pieces" / f"{item.rows}-{key}.json", content, indent=None)
        self._add_values(content)

    def pending(self, part: int | None, variants: Sequence[Variant], size: int) -> list[WorkItem]:
        """The work that is not finished, at most `size` variants an item."""
        done = self.values.get(WorkItem(part, ()).rows, {})
        todo = [v for v in variants if v.name not in done]
        each = -(-len(todo) // max(1, -(-len(todo) // size)))  # items of equal size
        return [WorkItem(part, tuple(todo[i : i + each])) for i in range(0, len(todo), each or 1)]


def same_settings(folder: Path, settings: Json) -> None:
    """Write the settings of a new run; refuse to resume with others.

    Raises:
        SecateurError: the folder holds a run with other settings.
    """
    path = folder / "settings.json"
    now = json.loads(json.dumps(settings))
    if not path.exists():
        write_json(path, now)
    elif read_json(path) != now:
        old = read_json(path)
        differing = next((k for k in now if old.get(k) != now[k]), "keys")
        raise SecateurError(f"{folder}: a run with another '{differing}' is here; name another --out, or delete it")


def write_variants(path: Path, variants: Sequence[Variant], listed: Json) -> None:
    """Write the variants and what else was `listed` of the model, so that a run resumes with the same ranking."""
    rows = [
        {
            **{k: getattr(v, k) for k in ("site", "kind", "layer", "part", "amount", "silenced", "change")},
            ABLATED: {group: spans(units) for group, units in v.ablated.items()},
        }
        for v in variants
    ]
    write_json(path, {**listed, "variants": rows}, indent=None)


def read_variants(path: Path) -> tuple[list[Variant], Json]:
    """Read what `write_variants` wrote."""
    listed = read_json(path)
    rows = listed.pop("variants")
    for row in rows:
        row["ablated"] = {group: numbers(text) for group, text in row.pop(ABLATED).items()}
    return [from_dict(Variant, row, str(path)) for row in rows], listed
