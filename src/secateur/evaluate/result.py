"""A result file: one model on one set of clips, with everything needed to check, compare and break it down again."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.files import Json, read_json, write_text
from ..base.options import from_dict, to_dict
from .error_rate import Counts, Metric
from .sounds import Sounds

FORMAT = "secateur-result-1"
PINYIN_EXTRA = "pinyin_heard"  # the extra that holds a pinyin head's output: see `text.head_evidence`
ALTERNATIVES_EXTRA = "alternatives"  # the extra that holds a clip's likeliest texts: see `evaluate.alternatives`
EVIDENCE = (PINYIN_EXTRA, ALTERNATIVES_EXTRA)  # extras that say nothing about the clip itself


@dataclass(frozen=True)
class Row:
    """One clip: texts as they were compared (normalised), and its errors."""

    id: str
    speaker: str
    seconds: float  # of audio
    reference: str
    hypothesis: str
    counts: Counts
    extras: Json = field(default_factory=dict)  # age, gender, accent, ... from the manifest


@dataclass(frozen=True)
class LanguageRate:
    """One language of several: its own metric, never the other ones' units."""

    language: str
    metric: Metric
    normalise: str
    rate: float
    interval: tuple[float, ...]
    errors: int
    words: int  # characters when the metric is cer
    utterances: int
    speakers: int


@dataclass(frozen=True)
class Result:
    """The outcome of `secateur evaluate`. Rates are fractions (0.186 is 18.6 %), times seconds."""

    model: str
    data: str
    language: str
    metric: Metric  # of `rate`; `words` counts characters when it is cer
    rate: float
    interval: tuple[float, ...]  # low, high: 95 %, speakers resampled
    substitutions: int
    deletions: int
    insertions: int
    words: int
    utterances: int
    speakers: int
    seconds_audio: float
    seconds_compute: float
    rtf: float  # real-time factor: seconds of computing a second of audio
    parameters: int | None = None
    macs: int | None = None  # multiply-accumulates for the mean clip
    bytes: int | None = None  # on disk
    sounds: Sounds | None = None  # of Chinese: pinyin and tone error rates
    normalise: str = ""  # scheme of `text.normalise` that texts were compared by; empty: not recorded (before 0.4)
    languages: tuple[LanguageRate, ...] = ()  # where there are several
    without_reference: int = 0  # clips whose reference is empty: their words are insertions
    settings: Json = field(default_factory=dict)
    rows: tuple[Row, ...] = ()

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    def summary(self) -> Json:
        """Plain values without the rows."""
        values: Json = to_dict(replace(self, rows=()))
        del values["rows"]
        if self.sounds is None:
            del values["sounds"]
        for name in ("languages", "without_reference"):
            if not values[name]:
                del values[name]
        plain: Json = _nan_to(None, values)
        return plain

    @property
    def mean_of_languages(self) -> float:
        """The mean of the languages' own rates, each counting once; of one language its rate."""
        rates = [one.rate for one in self.languages if not math.isnan(one.rate)]
        return sum(rates) / len(rates) if rates else self.rate

    @classmethod
    def of_summary(cls, values: Json, where: str) -> Result:
        """The result (without rows) that `summary` gave.

        Raises:
            SecateurError: a value that does not belong there.
        """
        result: Result = from_dict(cls, _without_null(values), where)
        return result


ROW_COLUMNS = (
    "id", "speaker", "seconds", "substitutions", "deletions", "insertions", "words", "reference", "hypothesis", "extras"
)  # fmt: skip


def write_result(path: str | Path, result: Result, rows: bool = True) -> None:
    """Write `result` as JSON, atomically; a clip is one line (a list, named by `columns`), or left out."""
    head = json.dumps({"format": FORMAT, **result.summary()}, indent=1, ensure_ascii=False)
    if not rows or not result.rows:
        write_text(path, head + "\n")
        return
    lines = [json.dumps(_row_values(row), ensure_ascii=False, separators=(",", ":")) for row in result.rows]
    columns = json.dumps(ROW_COLUMNS)
    write_text(path, f'{head[:-2]},\n "columns": {columns},\n "rows": [\n' + ",\n".join(lines) + "\n ]\n}\n")


def read_result(path: str | Path) -> Result:
    """A result file.

    Raises:
        SecateurError: missing, not JSON, not a result file, or a damaged one.
    """
    values = read_json(path)
    if not isinstance(values, dict) or "format" not in values:
        raise SecateurError(f"{path}: not a result file; `secateur evaluate MODEL MANIFEST --out FILE` writes one")
    if values.pop("format") != FORMAT:
        raise SecateurError(f"{path}: not a result file of the format {FORMAT}; run `secateur evaluate` again")
    columns, rows = values.pop("columns", list(ROW_COLUMNS)), values.pop("rows", [])
    if columns != list(ROW_COLUMNS) or not isinstance(rows, list):
        raise SecateurError(f"{path}: its rows have unknown columns; run `secateur evaluate` again")
    result = Result.of_summary(values, str(path))
    if len(result.interval) != 2:
        raise SecateurError(f"{path}: interval must be a low and a high rate")
    return replace(result, rows=tuple(_parse_row(row, f"{path}: row {i + 1}") for i, row in enumerate(rows)))


def is_result(path: str | Path) -> bool:
    """Whether `path` is a file that says it is a result (cheap: reads only its beginning)."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as source:
        return FORMAT.rsplit("-", 1)[0].encode() in source.read(64)


def _nan_to(other: object, value: object) -> Any:
    """JSON has no nan: a rate over no words is null there."""
    if isinstance(value, dict):
        return {key: _nan_to(other, one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_nan_to(other, one) for one in value]
    return other if isinstance(value, float) and math.isnan(value) else value


def _without_null(values: Json) -> Json:
    """The same with nan where a rate is null."""
    undefined = float("nan")

    def rates(part: object) -> Any:
        if not isinstance(part, dict):
            return part
        part = dict(part)
        if part.get("rate", 0.0) is None:
            part["rate"] = undefined
        if isinstance(part.get("interval"), list):
            part["interval"] = [undefined if one is None else one for one in part["interval"]]
        return part

    values = rates(values)
    if isinstance(values.get("languages"), list):
        values["languages"] = [rates(one) for one in values["languages"]]
    return values


def _row_values(row: Row) -> list[Any]:
    c = row.counts
    counts = [c.substitutions, c.deletions, c.insertions, c.reference]
    return [row.id, row.speaker, round(row.seconds, 3), *counts, row.reference, row.hypothesis, row.extras]


def _parse_row(values: object, where: str) -> Row:
    if not isinstance(values, list) or len(values) != len(ROW_COLUMNS):
        raise SecateurError(f"{where}: expected {len(ROW_COLUMNS)} values")
    named = dict(zip(ROW_COLUMNS, values, strict=True))
    counts = {f.name: named.pop("words" if f.name == "reference" else f.name) for f in fields(Counts)}
    return from_dict(Row, {**named, "counts": counts}, where)
