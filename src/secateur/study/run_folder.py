"""What a report can show of a run: found in its folder by name; whatever is missing is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.files import Json, read_json
from ..evaluate.real_use import Results, read_results
from ..evaluate.result import Result, is_result, read_result
from ..models.family import Config, read_config
from ..prune.sensitivity_map import SensitivityMap, read_map
from .made import read_made

USUAL_ORDER = ("zero-shot", "original", "dense", "tuned", "pruned", "adapted", "exported", "fp32", "fp16", "int8")


@dataclass(frozen=True)
class ReportInputs:
    """What the page shows; results in order, the first is the one before. Whatever is empty is left out."""

    title: str
    results: tuple[tuple[str, Result], ...]
    curves: dict[str, list[Json]] = field(default_factory=dict)
    configs: tuple[Config, Config] | None = None  # original, pruned
    use: tuple[tuple[str, Results], ...] = ()  # under conditions of real use
    maps: tuple[SensitivityMap, ...] = ()  # what matters
    made: Mapping[str, Any] = field(default_factory=dict)  # see made.read_made


def collect(folder: str | Path) -> ReportInputs:
    """Everything in a run folder that a report can show.

    Results: `results/**/*.json`, or else `ARM/results/*.json` under the arm's name; `results/order.json` (a list of
    names) orders them, else the usual names do. Curves: `*/metrics.jsonl`. What was cut: `original/config.json` against
    `pruned/config.json` (or `adapted`, `exported`). What matters: `map.json` and `*/map.json`.

    Raises:
        SecateurError: no such folder, or no result in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SecateurError(f"{folder}: no such run folder")
    files = [(path.stem, path) for path in sorted((folder / "results").rglob("*.json")) if is_result(path)]
    if not files:  # the arms of a study, without what they were chosen on
        paths = [path for path in sorted(folder.glob("*/results/*.json")) if path.stem != "dev" and is_result(path)]
        files = [(path.parent.parent.name, path) for path in paths]
    if not files:
        example = folder / "results" / "NAME.json"
        raise SecateurError(f"{folder}: no result files; `secateur evaluate MODEL MANIFEST --out {example}` adds one")
    order_file = folder / "results" / "order.json"
    order = read_json(order_file) if order_file.exists() else list(USUAL_ORDER)
    if not isinstance(order, list):
        raise SecateurError(f"{order_file}: expected a list of names")
    files.sort(key=lambda item: (_rank(item[0], order), item[0], len(item[1].parts), item[1]))
    logs = {path.parent.name: read_log(path) for path in sorted(folder.glob("*/metrics.jsonl"))}
    return ReportInputs(
        title=folder.resolve().name,
        results=tuple((name, read_result(path)) for name, path in files),
        curves={name: logs[name] for name in sorted(logs, key=lambda n: (_rank(n, order), n))},
        configs=_configs(folder),
        use=_use(folder),
        maps=tuple(read_map(path) for path in sorted([*folder.glob("map.json"), *folder.glob("*/map.json")])),
        made=read_made(folder),
    )


def _use(folder: Path) -> tuple[tuple[str, Results], ...]:
    """The models that were measured in real use, in the order that a job makes them in."""
    folders = [folder_of_model for folder_of_model in (folder / "use").glob("*") if folder_of_model.is_dir()]
    return tuple((p.name, read_results(p)) for p in sorted(folders, key=lambda p: (_rank(p.name, USUAL_ORDER), p.name)))


def read_log(path: Path) -> list[Json]:
    """A training log, one JSON object a line.

    Raises:
        SecateurError: a line that is not one.
    """
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
        except ValueError as problem:
            raise SecateurError(f"{path}: line {number} is not JSON") from problem
        if not isinstance(entry, dict):
            raise SecateurError(f"{path}: line {number} is not an object")
        entries.append(entry)
    return entries


def _rank(name: str, order: Sequence[object]) -> int:
    """Place of `name`, or of what stands before its seed (`pruned-0`), in `order`; unknown names come last."""
    base = name.rsplit("-", 1)[0]
    return next((i for i, known in enumerate(order) if known in (name, base)), len(order))


def _configs(folder: Path) -> tuple[Config, Config] | None:
    def first(names: Sequence[str]) -> Config | None:
        for name in names:
            for path in sorted([folder / name / "config.json", *folder.glob(f"{name}-*/config.json")]):
                config: Config | None = read_config(path) if path.exists() else None
                if config is not None:
                    return config
        return None

    original, pruned = first(("original", "zero-shot")), first(("pruned", "adapted", "exported"))
    if original is None or pruned is None or original.family != pruned.family:
        return None
    return original, pruned
