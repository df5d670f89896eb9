"""The main job: a recogniser and an hour of recordings in; a pruned, proved, exported one and a report out.

Three models are compared on the same test clips: the original, a dense control tuned for the same number of steps, and
the pruned one. Everything is kept in one folder and a killed job resumes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from ..base.files import Json, folder_bytes, write_json
from ..base.options import to_dict
from ..base.progress import say, track
from ..data.job import JobData
from ..data.manifest import Utterance
from ..evaluate.bootstrap import too_few_to_compare
from ..evaluate.compare import compare_results
from ..evaluate.conditions import chosen, spread
from ..evaluate.decoded import decoded
from ..evaluate.real_use import measure, read_results, source_of, write_results
from ..evaluate.real_use_table import change_table, changes, drifted, lines
from ..evaluate.result import Result, read_result, write_result
from ..evaluate.run import evaluate
from ..evaluate.scoring import score
from ..export.onnx import export_onnx
from ..export.room import control_precision
from ..models.checkpoint import as_saved, load_checkpoint, save_checkpoint
from ..models.family import TeacherModel, TextCodec
from ..models.network import Network
from ..prune.ranking import rank
from ..prune.settings import PruneSettings
from ..runtime.recogniser import Recogniser
from ..train import distributed
from ..train.settings import TrainSettings
from .arm import ArmSettings, finished, run_arm

TOLERATED = ("pause", "joined", "previous", "prompt", "nonspeech")  # kinds of conditions that are judged
TOLERATED_POINTS = 2.0  # few clips: less would be chance


class Recipe(Protocol):
    """What the job reads: the settings of `secateur.api.adapt`, or anything with these fields."""

    @property
    def training(self) -> TrainSettings:
        """How models are trained."""

    @property
    def prune(self) -> PruneSettings:
        """How much is removed, and by which method."""

    @property
    def precision(self) -> str:
        """Of the exported model."""

    @property
    def rate_factor(self) -> float:
        """The pruned model's learning rate over the dense one's."""

    @property
    def dense_control(self) -> bool:
        """Whether an unpruned model is trained, too."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """Conditions of real use that the exported models are measured under."""

    @property
    def condition_clips(self) -> int:
        """Clips that they are built from."""

    @property
    def timed_clips(self) -> int:
        """Clips on which the exported models are timed."""


def adapt(model: Network, tokenizer: TextCodec, data: JobData, out: Path, settings: Recipe) -> Json:
    """Run the whole job in folder `out` and return the before/after table (see `table`).

    `data.tests` holds exactly one set, "test". Finished parts are not run again. Of several processes all train and
    decode; the first does the rest, and the others get an empty table when training is over.

    Raises:
        SecateurError: clips that do not fit, a budget that cannot be met.
    """
    if settings.prune.audio_seconds:  # both arms meet the same joined examples
        data.shortest_context = settings.prune.audio_seconds
    training = settings.training.resolved(pretrained=True, teacher=False)
    test = data.tests["test"]
    model = as_saved(model.to(data.device))  # what a run that goes on starts from is what the folder holds
    dense: Network | None = None
    results: dict[str, Result] = {}
    first = distributed.rank() == 0
    if first:
        with distributed.by_itself():
            say(f"1/6  evaluating {model.config.name} as it is on {len(test)} test clips")
            results["original"] = _original(model, tokenizer, data, test, out)
            say("2/6  ranking what can go")
            write_json(out / "ranking.json", rank(model, tokenizer, data, settings.prune))
    if settings.dense_control:
        if first:
            say("3/6  tuning the unpruned control")
        dense, _ = _arm(ArmSettings("dense", training), model, tokenizer, data, out)
    if first:
        say("4/6  tuning and pruning")
    rate = training.learning_rate * settings.rate_factor
    pruned_arm = ArmSettings("pruned", replace(training, learning_rate=rate), settings.prune)
    pruned, pruned_tokenizer = _arm(pruned_arm, model, tokenizer, data, out)
    if not first:
        return {}
    if dense is not None:
        results["dense"] = read_result(out / "dense" / "results" / "test.json")
    results["pruned"] = read_result(out / "pruned" / "results" / "test.json")
    say(f"5/6  exporting to ONNX ({settings.precision}) and timing side by side on {settings.timed_clips} clips")
    control = control_precision(model.config, settings.precision)
    exports = {"original": (model, tokenizer, control), "pruned": (pruned, pruned_tokenizer, settings.precision)}
    if dense is not None:
        exports["dense"] = (dense, tokenizer, control)
    for name, (source, its_tokenizer, precision) in exports.items():
        if not (out / "exported" / name / "export.json").exists():
            export_onnx(source.cpu(), its_tokenizer, out / "exported" / name, precision)
    results["exported"] = _exported(out, test, results["pruned"], data.normalise)
    speed = time_side_by_side(out / "exported", sorted(exports), spread(test, settings.timed_clips))
    for name, factor in speed.items():
        results[name] = replace(results[name], rtf=factor, bytes=folder_bytes(out / "exported" / name))
    results["exported"] = replace(
        results["exported"], rtf=speed["pruned"], bytes=folder_bytes(out / "exported" / "pruned")
    )
    for name, result in results.items():
        write_result(out / "results" / f"{name}.json", result)
    write_json(out / "results" / "order.json", [n for n in ("original", "dense", "pruned", "exported") if n in results])
    say("6/6  writing the report")
    known = (finished(out / "pruned") or {}).get("known", {})
    summary = table(results) | {"forgotten": known.get("forgotten", {})} | real_use(out, exports, test, settings)
    write_json(out / "summary.json", summary)
    return summary


def real_use(out: Path, names: Iterable[str], test: Sequence[Utterance], settings: Recipe) -> Json:
    """The exported models under conditions of real use, and a warning for each in which the pruned one is worse."""
    if not settings.conditions:
        return {}
    source, results_of = None, {}
    for name in sorted(names, key=("original", "dense", "pruned").index):
        folder = out / "use" / name
        if not folder.exists():
            recogniser = Recogniser.load(out / "exported" / name)
            source = source or source_of(
                spread([u for u in test if u.text.strip()], settings.condition_clips), recogniser.sample_rate
            )
            write_results(folder, measure(recogniser, source, chosen(settings.conditions), model=name, data="test"))
        results_of[name] = read_results(folder)
    drifts = drifted(results_of["original"], results_of["pruned"], dict.fromkeys(TOLERATED, TOLERATED_POINTS))
    for line in drifts:
        say(f"WARNING: in real use the pruned model is worse than the original. {line}")
    measured = {name: to_dict(lines(results)) for name, results in results_of.items()}
    compared = change_table(changes(results_of["original"], results_of["pruned"]))
    return {"use": measured, "use_table": to_dict(compared), "use_worse": drifts}


def table(results: dict[str, Result]) -> Json:
    """Rates with intervals, sizes and speeds of every model, and the paired comparisons with the last one."""
    rows = {
        name: {
            "error": r.rate, "low": r.interval[0], "high": r.interval[1], "parameters": r.parameters, "macs": r.macs,
            "bytes": r.bytes, "rtf": r.rtf,
        }
        for name, r in results.items()
    }  # fmt: skip
    final = results.get("exported", results["pruned"])
    paired = {}
    for name in ("original", "dense"):
        if name in results:
            difference = compare_results(results[name], final).difference
            paired[name] = {"delta": difference.delta, "low": difference.low, "high": difference.high,
                            "better": difference.b_better, "note": too_few_to_compare(difference)}  # fmt: skip
    return {"metric": final.metric, "models": rows, "against": paired}


def _original(model: Network, tokenizer: TextCodec, data: JobData, test: list[Utterance], out: Path) -> Result:
    path = out / "original" / "results" / "test.json"
    if path.exists():
        return read_result(path)
    result = score(model, tokenizer, data, "test", test, "original")
    save_checkpoint(out / "original", model, tokenizer, half=True)
    write_result(path, result)
    return result


def _arm(arm: ArmSettings, model: Network, tokenizer: TextCodec, data: JobData, out: Path) -> tuple[Network, TextCodec]:
    """Run an arm, or load it when it is finished. The original is the teacher on the rehearsal set, if there is one."""
    folder = out / arm.name
    if distributed.agreed(finished(folder) is not None):
        return load_checkpoint(folder, data.device)
    teacher = TeacherModel(model, tokenizer) if data.rehearsal else None
    tuned, its_tokenizer, _ = run_arm(arm, model, tokenizer, data, folder, teacher)
    return tuned, its_tokenizer


def _exported(out: Path, test: list[Utterance], pruned: Result, normalise: str | None) -> Result:
    """Evaluate the exported model, through the runtime that ships it."""
    path = out / "results" / "exported.json"
    if path.exists():
        return read_result(path)
    recogniser = Recogniser.load(out / "exported" / "pruned")
    result = evaluate(
        decoded(recogniser, label=""), test, model="exported", data="test", parameters=pruned.parameters,
        macs=pruned.macs, normalise=normalise,
    )  # fmt: skip
    write_result(path, result)
    return result


def time_side_by_side(
    folder: Path, names: Sequence[str], clips: Sequence[Utterance], rounds: int = 2
) -> dict[str, float]:
    """Real-time factor of each exported model, one clip after the other, the models in turn on every clip.

    The median over clips of the best of `rounds`, so that one disturbance does not decide.
    """
    import time

    recognisers = {name: Recogniser.load(folder / name) for name in names}
    factors: dict[str, list[float]] = {name: [] for name in names}
    for clip in track(clips, "timing", len(clips)):
        for name, recogniser in recognisers.items():
            best = float("inf")
            for _ in range(rounds):
                start = time.perf_counter()
                recogniser.transcribe(clip)
                best = min(best, time.perf_counter() - start)
            factors[name].append(best / clip.duration)
    return {name: float(np.median(values)) for name, values in factors.items()}
