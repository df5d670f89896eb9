"""A recogniser under the conditions of real use: one result for each condition."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.progress import say, track
from ..data.clip import read_clip
from ..data.manifest import Utterance, read_manifest
from ..decode.loops import cut_loops
from ..decode.options import DecodingOptions
from ..runtime.contents import is_export
from ..text.languages import base_language
from ..text.normalise import scheme_of
from .bootstrap import RESAMPLES
from .conditions import TOO_FEW, Case, ClipSamples, build, check_possible, chosen, in_order, unable
from .decoded import PIECE, speaks
from .error_rate import compare_texts, overall_metric
from .result import Result, Row, read_result, write_result
from .run import summarise

if TYPE_CHECKING:
    from ..decode.segments import Transcript
    from ..runtime.recogniser import Recogniser

Results = dict[str, Result]
LOOP_WORDS = 6  # a phrase that comes three times or more, over at least so many words, is a loop


def source_of(clips: Sequence[Utterance], rate: int, nonspeech: Sequence[Utterance] = (), seed: int = 0) -> ClipSamples:
    """Clips to build conditions from; those without a transcript are left out.

    Raises:
        SecateurError: no clip with words.
    """
    spoken = [u for u in clips if u.text.strip()]
    if not spoken:
        raise SecateurError("conditions are made from clips with words, and here is none")
    return ClipSamples(spoken, lambda u: read_clip(u, rate), rate, seed, nonspeech)


def of_model(
    model: str, manifest: Path, conditions: Sequence[str], options: DecodingOptions | None = None,
    limit: int | None = None, nonspeech: Path | None = None, threads: int | None = None, device: str = "auto",
    normalise: str | None = None,
) -> Results:  # fmt: skip
    """The conditions of any model, exported or not, on a manifest.

    Raises:
        SecateurError: a condition that nobody knows, or a model or manifest that cannot be read.
    """
    from ..runtime.recogniser import Recogniser
    from ..weights.fetch import fetch

    names = chosen(conditions)
    clips = list(read_manifest(manifest))[:limit]
    silent = [] if nonspeech is None else list(read_manifest(nonspeech))
    folder = Path(model) if is_export(Path(model)) else fetch(model)
    recogniser = Recogniser.load(folder, threads, device)
    check_possible(conditions, clips, recogniser.config)
    path = manifest.resolve()
    return measure(
        recogniser, source_of(clips, recogniser.sample_rate, silent), names, model=model,
        data=f"{path.parent.name}/{path.stem}", options=options, normalise=normalise,
    )  # fmt: skip


def measure(
    recogniser: Recogniser, source: ClipSamples, names: Sequence[str], *, model: str, data: str,
    options: DecodingOptions | None = None, normalise: str | None = None, resamples: int = RESAMPLES,
) -> Results:  # fmt: skip
    """The results of the conditions `names` (see `conditions.chosen`), decoded as `transcribe` does.

    Conditions that the model cannot take (prompts and timestamps without their tokens), or that the clips are too few
    for, are left out with a line.
    """
    results: Results = {}
    options = options or DecodingOptions()
    for name in names:
        why = unable(recogniser.config, name)
        cases = [] if why else build(name, source)
        if not cases:
            say(f"{name}: left out, {why or TOO_FEW}")
            continue
        start = time.perf_counter()
        transcripts = _decode(recogniser, cases, options, f"{model}: {name}")
        rows = [_row(case, one, normalise) for case, one in zip(cases, transcripts, strict=True)]
        codes = sorted({base_language(c.utterance.language) for c in cases})
        results[name] = summarise(
            _with_languages(rows, cases) if len(codes) > 1 else rows, model=model, data=f"{data}@{name}",
            language=", ".join(codes), metric=overall_metric(codes), seconds_compute=time.perf_counter() - start,
            settings={"condition": name, "seed": source.seed}, resamples=resamples, seed=source.seed,
            normalise=", ".join({scheme_of(code, normalise) for code in codes}) if len(codes) == 1 else
            ", ".join(f"{code} {scheme_of(code, normalise)}" for code in codes),
        )  # fmt: skip
    return results


def _with_languages(rows: Sequence[Row], cases: Sequence[Case]) -> list[Row]:
    return [
        replace(row, extras={**row.extras, "language": base_language(case.utterance.language)})
        for row, case in zip(rows, cases, strict=True)
    ]


def _decode(recogniser: Recogniser, cases: Sequence[Case], options: DecodingOptions, label: str) -> list[Transcript]:
    """Cases with equal options together, a few at a time."""
    multilingual = speaks(recogniser.config)
    sets: dict[DecodingOptions, list[int]] = {}
    for i, case in enumerate(cases):
        own = replace(
            options,
            words=case.words or options.words,
            language=case.utterance.language if multilingual else options.language,
            condition_on_previous=case.previous or options.condition_on_previous,
            timestamps=True if case.timestamps else options.timestamps,
        )
        sets.setdefault(own, []).append(i)
    pieces = [(own, rows[i : i + PIECE]) for own, rows in sets.items() for i in range(0, len(rows), PIECE)]
    transcripts: dict[int, Transcript] = {}
    for own, rows in track(pieces, label, len(pieces)):
        for row, one in zip(rows, recogniser.transcribe_batch([cases[i].samples for i in rows], own), strict=True):
            transcripts[row] = one
    return [transcripts[i] for i in range(len(cases))]


def _row(case: Case, transcript: Transcript, normalise: str | None) -> Row:
    """The row of one case: reference, hypothesis and their errors."""
    u = case.utterance
    code = base_language(u.language)
    compared = compare_texts(u.text, transcript.text, code, scheme_of(code, normalise))
    extras: Json = {k: v for k, v in u.extras.items() if isinstance(v, str | int | float)}
    if len(case.of) > 1:
        extras["of"] = list(case.of)
    if loops(compared.hypothesis) and not loops(compared.reference):
        extras["loop"] = True
    if case.timestamps:
        extras["joints"] = [round(e, 3) for e in joint_errors(case.joints, transcript)]
    return Row(u.id, u.speaker, u.duration, compared.reference, compared.hypothesis, compared.counts, extras)


def loops(text: str) -> bool:
    """Whether a text repeats a phrase three times or more, over at least six words (or characters without spaces).

    >>> loops("so we go on and on and on and on"), loops("zero zero zero")
    (True, False)
    """
    units = text.split() if " " in text else list(text)
    numbers = {unit: i for i, unit in enumerate(dict.fromkeys(units))}
    ids = [numbers[unit] for unit in units]
    return cut_loops(ids, tokens=LOOP_WORDS) != ids


def joint_errors(joints: Sequence[tuple[float, float]], transcript: Transcript) -> list[float]:
    """Seconds from each known beginning and end of a clip to the nearest beginning or end of a segment; without any
    segment, from there to the recording's beginning."""
    starts = [s.start for s in transcript.segments] or [0.0]
    ends = [s.end for s in transcript.segments] or [0.0]
    return [min(abs(t - a) for t in times) for pair in joints for a, times in zip(pair, (starts, ends), strict=True)]


def write_results(folder: Path, results: Mapping[str, Result]) -> None:
    """A result file each: FOLDER/CONDITION.json."""
    for name, result in results.items():
        write_result(folder / f"{name}.json", result)


def read_results(folder: Path) -> Results:
    """The results of a folder that `write_results` made, in the order of conditions.

    Raises:
        SecateurError: none there.
    """
    results = {path.stem: read_result(path) for path in sorted(folder.glob("*.json"))}
    results = {name: result for name, result in results.items() if "condition" in result.settings}
    if not results:
        raise SecateurError(f"{folder}: no results of conditions; secateur evaluate --conditions all --out makes them")
    return dict(sorted(results.items(), key=lambda item: in_order(item[0])))
